"""Files: names and texts that users give, writing whole or not at all, keeping other processes out."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from benchmark.errors import LockedError

MAX_NAME_BYTES = 143
"""The longest file name that is made: the least limit of common file systems (eCryptfs); most take 255."""


def file_name(text: str, suffix: str = "") -> str:
    """Return a file name for a text that a user gave (a label, the name of an image), ending in `suffix`.

    What a file name cannot hold is percent-encoded, as is all that is not ASCII. A name of more than
    MAX_NAME_BYTES is cut and ends in the first 16 digits of the text's sha256, so that it is the text's own.
    """
    name = quote(text, safe=" !#$&'()+,;=@[]{}~")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) + len(suffix) > MAX_NAME_BYTES:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        head = name[: MAX_NAME_BYTES - len(suffix) - len(digest) - 1]
        name = f"{re.sub('%.?$', '', head)}~{digest}"
    return name + suffix


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """Return what a stranger said with its control characters written out: they could steer a terminal.

    Line feeds and tabs stay.
    """
    return text.translate(_CONTROLS)


def read_text(path: Path) -> str:
    """Return a text that a user wrote: UTF-8, with or without a byte order mark.

    Raises OSError, and UnicodeDecodeError for other encodings.
    """
    return path.read_text(encoding="utf-8-sig")


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file to write to that takes the place of `path` in one step when the block ends well.

    A reader sees the old file or the new one, never a part; after an exception the old one is still there
    and nothing else. Several processes may do it at once: the last one wins. With `durable`, the file and
    its name are on disk when the block ends, whatever happens to the machine. The folder must exist.
    Raises OSError.
    """
    # A short name of its own, since `path` may have the longest there is; readers of folders skip the dot.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def write_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write `data` to `path` in one step (see `replacing`). Raises OSError."""
    with replacing(path, durable=durable) as file:
        file.write(data)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Keep every other process out that locks `path`, until the block or this process ends, however it ends.

    Yields the descriptor of the locked file: who deletes or moves the file lets others lock another one.

    The file at `path` is made where there is none, holds the name of the process that locks it or did so
    last, and stays. With `wait`, the block begins when no other process is in it; without, raises
    LockedError, which says who is. The folder must exist. Raises OSError if the file cannot be written.
    """
    from filelock import FileLock, Timeout  # here, as workers write files but lock none

    path.parent.stat()  # the library would make a folder that is not there
    held: list[int] = []

    def sign(descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        held.append(descriptor)

    lock = FileLock(path, timeout=-1 if wait else 0, on_acquired=sign)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockedError(path, path.read_text().strip() or "another process") from error
    try:
        yield held[-1]
    finally:
        lock.release()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
