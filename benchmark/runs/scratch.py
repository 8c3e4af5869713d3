"""The one temporary folder of a run: what its processes leave behind goes with it, or with the next run.

Its name is TMPDIR to all processes that are started for the run, and so tells them from others: those that
outlive what started them, in sessions of their own too, go in the same way.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.errors import BenchError, LockedError
from benchmark.files import locked

PREFIX = "bench-run-"
LOCK = "_lock"


@contextmanager
def run_folder() -> Iterator[Path]:
    """Make a folder for the temporary files of all processes of a run; remove it when the block ends.

    It is locked, so that a run that comes later can tell those of runs that were killed, and removes them.
    Raises BenchError if there is no room for one.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise BenchError(
            f"no temporary folder can be made ({error.strerror}); free space, or set TMPDIR"
        ) from error
    before = os.environ.get("TMPDIR")
    try:
        with locked(folder / LOCK, wait=False):
            os.environ["TMPDIR"] = str(folder)
            yield folder
    finally:
        os.environ.pop("TMPDIR", None)
        if before is not None:
            os.environ["TMPDIR"] = before
        _remove(folder)


def _sweep(parent: Path) -> None:
    """Remove the folders of killed runs: signed by a process of this machine, and locked by none."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, LockedError):
            signed = (folder / LOCK).read_bytes().endswith(f" on {socket.gethostname()}".encode())
            if signed and folder.lstat().st_uid == os.geteuid() and not folder.is_symlink():
                with locked(folder / LOCK, wait=False):
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Kill what was started for the run and still is there, then remove its folder."""
    for _ in range(_ROUNDS):
        strays = list(_started_with(folder))
        for process in strays:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        if not strays:
            break
        time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)


_ROUNDS = 20
"""How often it is looked again for processes that others, killed since, may have started meanwhile."""


def _started_with(folder: Path) -> Iterator[int]:
    """Yield the processes that were started with `folder` as TMPDIR, as far as this user may know."""
    mark = b"\0TMPDIR=" + os.fsencode(folder) + b"\0"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in b"\0" + (process / "environ").read_bytes() and int(process.name) != os.getpid():
                yield int(process.name)
