"""Writing files that appear whole or not at all, and keeping other processes out meanwhile."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from benchmark.errors import LockedError


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
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep every other process out that locks `path`, until the block or this process ends, however it ends.

    The file at `path` is made where there is none, holds the name of the process that locks it or did so
    last, and stays. With `wait`, the block begins when no other process is in it; without, raises
    LockedError, which says who is. The folder must exist. Raises OSError if the file cannot be written.
    """
    from filelock import FileLock, Timeout  # here, as workers write files but lock none

    path.parent.stat()  # the library would make a folder that is not there
    lock = FileLock(path, timeout=-1 if wait else 0, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockedError(path, path.read_text().strip() or "another process") from error
    try:
        yield
    finally:
        lock.release()


def _sign(lock: int) -> None:
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
