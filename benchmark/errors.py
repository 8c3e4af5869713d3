"""The one exception tree: the library raises these, and the command line alone turns them into exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class BenchError(Exception):
    """Something that the user can act on; the message names what is wrong and the remedy."""


class UsageError(BenchError):
    """The request itself is wrong: an unknown name, a bad option, two options that exclude each other."""


class SuiteError(UsageError):
    """A suite file that cannot be used; the message names the file and the field."""


class DatasetError(BenchError):
    """Images that are missing, truncated, altered, or cannot be fetched."""


class ImageError(DatasetError):
    """One file that cannot be read as an image; the message names the file."""


class CodecError(BenchError):
    """A codec failed on one input."""


class CodecUnavailableError(CodecError):
    """A codec cannot run on this machine; the message says how to get what is missing."""


class NeedsOptionsError(CodecUnavailableError, UsageError):
    """A codec that cannot run without options that were not given; the message says which."""


class CodecTimeoutError(CodecError):
    """A codec ran past its time limit and was stopped."""


class PointError(CodecError, UsageError):
    """An operating point that the codec does not have; the message says which it has."""


class BitstreamError(CodecError):
    """Bytes that are not a valid stream of this codec: truncated, altered, foreign or absurd."""


class WeightsError(BenchError):
    """Trained weights that are missing, damaged or do not fit the network."""


class NotExactError(WeightsError):
    """A network with layers that exact arithmetic does not have, such as attention or a softmax."""


class StoreError(BenchError):
    """A results store that cannot be read or written."""


class MachineError(BenchError):
    """The machines failed, and neither the request nor a codec: a full disk, a lost worker or scheduler."""


class DiskError(StoreError, MachineError):
    """A results store that can no longer be written in the middle of a run."""


class LockedError(BenchError):
    """Another process, `owner`, holds a lock that was not to be waited for."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(f"{path}: locked by {owner}; wait for it")
        self.owner = owner


class AnalysisError(BenchError):
    """Records from which the asked-for figure cannot be made."""


class TrainingError(BenchError):
    """A training or finetuning run that cannot start or go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the near names if there are any, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}?"
    return f"known: {', '.join(names) or 'none'}"
