"""What a codec is: pixels to bytes, bytes to pixels, and nothing else; and its entry in the registry."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.arrays import Image
from benchmark.errors import PointError
from benchmark.operations import Operations

__all__ = [
    "Codec",
    "CodecEntry",
    "Facts",
    "Image",
    "check_number",
    "collect_facts",
    "located",
    "note",
    "seen_from",
]

Facts = dict[str, Any]
"""What a codec says of one call beside its result, JSON-serializable (see `note`)."""

_facts: ContextVar[Facts | None] = ContextVar("facts", default=None)
_folder: ContextVar[Path] = ContextVar("folder", default=Path())


class Codec(ABC):
    """A codec at several operating points.

    An instance is cheap to make; what is costly (weights, looking for binaries) happens on first use.
    Encoding and decoding are deterministic, and `decode` is a function of the bytes and of what the codec
    ships (its binary, its weights) alone: it may be called in another process than `encode` was.
    A codec never times, scores or prints.
    """

    name: str
    """The registry name."""

    points: tuple[float, ...] = ()
    """The points that its options give it, where the registry's entry has none."""

    @abstractmethod
    def version(self) -> str:
        """Return what identifies the implementation: library and version, or the binary's own words.

        Raises CodecUnavailableError, with the remedy, where the codec cannot run on this machine.
        Results are kept per version: a changed version means that stored results are measured anew.
        """

    def version_at(self, point: float) -> str:
        """Return the version as far as it concerns `point`: rows are kept per version and point.

        A codec whose points have weights of their own ends it in ", models POINT:IDENTITY" (see
        `benchmark.versions`), so that new weights of one point are no reason to measure the others.
        """
        return self.version()

    @abstractmethod
    def check_point(self, point: float) -> None:
        """Raise PointError, saying which points exist, unless `point` is one of this codec's."""

    def prepare(self, point: float) -> None:  # noqa: B027 (a hook: most codecs have nothing to prepare)
        """Do what must not be timed: load weights, compile kernels. Called before `encode` and `decode`."""

    def operations(self, point: float) -> Operations | None:
        """Return the multiply-accumulates of the codec's networks at `point`; None for one without networks.

        Takes as long as coding a small image; never called on the clock.
        """
        return None

    @abstractmethod
    def encode(self, image: Image, point: float) -> bytes:
        """Return the bitstream of `image`: every byte that a decoder needs.

        Raises CodecError if the codec failed on this image.
        """

    @abstractmethod
    def decode(self, bitstream: bytes) -> Image:
        """Return the image that the bytes alone describe.

        Raises BitstreamError for bytes that are no valid stream, CodecError if the decoder failed.
        """


@dataclass(frozen=True)
class CodecEntry:
    """A codec as the registry knows it.

    `target` is "module:Class"; `Class(name=..., **options)` makes the codec. `point_name` says what an
    operating point means ("quality", "QP", "lmbda"), `points` are the default ones in rising quality.
    Codecs of one `family` mean the same by the same point; without one, a codec is a family of its own.
    `kin` is for figures: what the codec is a variant of (codecs of one first word share a hue, those of one
    text a shade) and how it quantizes (codecs of one text share a dash); None: the codec's name, and nothing.
    Without `points`, the codec has those that its options give it. `code_options` are options that name code
    or programs to run: a file that was encoded elsewhere may not give them, its reader must. `point_options`
    are tables of points to files whose content the version says (see `Codec.version_at`): rows leave them
    out, so that another file of one point is no reason to measure the others.
    """

    target: str
    summary: str
    point_name: str
    points: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    kin: tuple[str, str] | None = None
    code_options: tuple[str, ...] = ()
    point_options: tuple[str, ...] = ()


def check_number(
    codec: str, what: str, point: float, low: float, high: float, *, whole: bool = True, above: bool = False
) -> None:
    """Raise PointError unless `point` is a number in [low, high], or in (low, high] with `above`.

    `whole` asks for an integer; `what` is the point's name in the message ("quality", "QP").
    """
    if not low <= point <= high or (above and point == low) or (whole and point != int(point)):
        kind = "a whole number" if whole else "a number"
        bounds = f"above {low:g} and up to {high:g}" if above else f"from {low:g} to {high:g}"
        raise PointError(f"{codec}: {what} {point:g} does not exist; give {kind} {bounds}")


def note(**facts: object) -> None:
    """Put facts about the running call on record: argv, sha256 of a binary, an entropy estimate in bits.

    A codec calls this inside `encode` or `decode`; outside `collect_facts` it does nothing. Known names:
    `encode_argv`, `decode_argv` (list of str), `binary_sha256` (of the encoder), `config_sha256` (str),
    `entropy_bits` (float: the estimate beside which the real bytes stand). Other names are kept too.
    Values are kept as JSON has them: NumPy's numbers become Python's, other objects their text.
    Raises TypeError, naming the fact, for what JSON cannot hold: no number, a nest without end.
    """
    facts_now = _facts.get()
    if facts_now is not None:
        facts_now.update({name: _plain(name, value) for name, value in facts.items()})


_DEEPER = 200
"""How much deeper than here, in calls and in lists, those may be who read a fact again."""


def _plain(name: str, value: object) -> object:
    try:
        text = json.dumps(value, allow_nan=False, default=_text_or_number)
        json.loads("[" * _DEEPER + text + "]" * _DEEPER)
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"note({name}=...): JSON cannot hold it: {error}") from error


def _text_or_number(value: Any) -> object:  # noqa: ANN401 (whatever a codec notes)
    item = getattr(value, "item", None)  # NumPy's and PyTorch's way to a Python number
    return item() if item is not None and getattr(value, "ndim", 1) == 0 else str(value)


@contextmanager
def collect_facts() -> Iterator[Facts]:
    """Collect what codecs `note` while the context is open."""
    facts: Facts = {}
    token = _facts.set(facts)
    try:
        yield facts
    finally:
        _facts.reset(token)


def located(path: str) -> Path:
    """Return a path of an option as a file: relative ones are seen from the suite that gives the option.

    Called where a codec is made; without a suite they are seen from the working directory.
    """
    return _folder.get() / Path(path).expanduser()


@contextmanager
def seen_from(folder: Path) -> Iterator[None]:
    """Make `located` see relative paths from `folder` while the context is open."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)
