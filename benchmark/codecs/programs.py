"""The programs that codecs run: where they are looked for, which versions they are, how to get them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmark.errors import CodecUnavailableError

_VERSION_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Program:
    """A program by the names it goes under, with the remedy where it is missing.

    It is looked for in the folder that the environment variable `folder_variable` names (there and in its
    bin/, to any depth), else on PATH. If the variable is set, PATH is not asked: a wrong folder is an error.
    """

    names: tuple[str, ...]
    remedy: str
    """How to get it: a Debian package, an address."""
    version_argv: tuple[str, ...]
    """The arguments that make it tell its version; the exit status does not matter."""
    version_pattern: str
    """Matches its own words; the first group is kept."""
    folder_variable: str | None = None

    @property
    def name(self) -> str:
        """The file name of the program that is used here, argument 0 of its command lines."""
        return self.path().name

    def path(self) -> Path:
        """Return the program's file. Raises CodecUnavailableError, with the remedy."""
        folder = os.environ.get(self.folder_variable, "") if self.folder_variable else ""
        if folder:
            found = next(
                (f for f in _below(Path(folder).expanduser(), self.names) if os.access(f, os.X_OK)), None
            )
            where = f"below {folder} ({self.folder_variable})"
        else:
            found = next((Path(hit) for name in self.names if (hit := shutil.which(name))), None)
            where = "on PATH"
        if found is None:
            hint = f", or set {self.folder_variable} to its folder" if self.folder_variable else ""
            raise CodecUnavailableError(f"no {' or '.join(self.names)} {where}; {self.remedy}{hint}")
        return found.absolute()

    def identity(self) -> str:
        """Return the program's own version and the start of its sha256, as "bpgenc 0.9.8 [3f2a91bc]".

        The hash is there because builds of one version differ in their streams. Raises CodecUnavailableError.
        """
        path = self.path()
        words = _version(path, path.stat().st_mtime_ns, self.version_argv, self.version_pattern)
        return f"{path.name} {words} [{file_sha256(path)[:8]}]"


def _below(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield files of these names: in `folder`, its bin/, then anywhere below bin/, an earlier name first."""
    for name in names:
        yield from (file for file in (folder / name, folder / "bin" / name) if file.is_file())
    for name in names:
        yield from (file for file in sorted((folder / "bin").rglob(name)) if file.is_file())


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, computed once while the file stays as it is."""
    return _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _version(path: Path, _mtime_ns: int, argv: tuple[str, ...], pattern: str) -> str:
    """Ask a program for its version. Raises CodecUnavailableError if it cannot be run."""
    try:
        done = subprocess.run(
            [path, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CodecUnavailableError(f"{path} does not run here: {error}") from error
    text = done.stdout.decode("utf-8", "replace")
    if (match := re.search(pattern, text)) is None:
        raise CodecUnavailableError(
            f"{path} does not tell its version; it said: {text.strip()[-200:] or 'nothing'}"
        )
    return match.group(1)
