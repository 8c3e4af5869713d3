"""The one temporary folder of a run: what its processes leave behind goes with it, or with the next run."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
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
    try:
        with locked(folder / LOCK, wait=False):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders of killed runs: signed by a process of this machine, and locked by none."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, LockedError):
            signed = (folder / LOCK).read_text(errors="replace").endswith(f" on {socket.gethostname()}")
            if signed and folder.lstat().st_uid == os.geteuid() and not folder.is_symlink():
                with locked(folder / LOCK, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
