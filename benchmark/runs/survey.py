"""What a machine has for a run: package, libraries, codecs and images. Workers that differ are left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import benchmark
from benchmark import environment
from benchmark.files import printable
from benchmark.runs.runner import Codecs, find_codecs
from benchmark.runs.suite import Suite

Equipment = dict[str, str]
"""What a machine has: name of a thing -> its version or digest, in words that are equal for equal things."""

Differences = Mapping[str, tuple[str, str]]
"""Name of a thing -> what it is here, and what it is there."""

MOST_WORDS = 200
"""How many characters of one thing are told; a digest of all of them follows where there are more."""


@dataclass(frozen=True)
class Question:
    """What a run needs of a machine. A value that can be pickled."""

    suite: Suite
    """With the codecs alone that are to be run."""
    folder: Path
    """Of the suite's file."""
    images: tuple[tuple[Path, str], ...] = ()
    """The files that must be there, each with its sha256; none where images are sent."""


def answer(question: Question) -> Equipment:
    """Say what this machine has of what a run needs."""
    return equipment(find_codecs(question.suite, question.folder), question.images)


def equipment(codecs: Codecs, images: Sequence[tuple[Path, str]]) -> Equipment:
    """Return what can change a result or its time: source, libraries, codecs, image files.

    A codec's version covers its binaries, configuration and weights (see `Codec.version_at`).
    """
    found = {"bench": f"{environment.installed('bench-codec')}, source {source_sha256()[:12]}"}
    found |= {name: environment.installed(name) or "none" for name in environment.PACKAGES}
    for label, versions in codecs.versions.items():
        found[f"codec {label}"] = _words("; ".join(dict.fromkeys(versions.values())))
    found |= {f"codec {label}": _words(reason) for label, reason in codecs.unavailable.items()}
    if images:
        lacking = [path.name for path, sha256 in images if not _is_there(path, sha256)]
        more = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        found["images"] = f"without {lacking[0]}{more}" if lacking else f"all {len(images)}"
    return found


def differences(here: Equipment, there: Equipment) -> Differences:
    """Return what is not the same in both."""
    return {
        name: (here.get(name, "none"), there.get(name, "none"))
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    }


@cache
def source_sha256() -> str:
    """Return a digest of this package's Python files: of what runs, committed or not."""
    folder = Path(benchmark.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(
            f"{path.relative_to(folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()


def _words(text: str) -> str:
    text = printable(text)
    if len(text) <= MOST_WORDS:
        return text
    return f"{text[:MOST_WORDS]} ... [{hashlib.sha256(text.encode()).hexdigest()[:8]}]"


def _is_there(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
