"""A full disk is the machine's fault, whoever meets it: a codec, or a program that cannot say so."""

from __future__ import annotations

import errno
import shutil
import tempfile

from benchmark.errors import MachineError

LEAST_FREE_BYTES = 1 << 20
"""Where less is free, a failure is put down to that, whatever a program said."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_disk(error: BaseException) -> None:
    """Raise MachineError if a full disk is behind `error`: it says so, or temporary files have no room."""
    if _says_full(error) or _free_bytes() < LEAST_FREE_BYTES:
        raise MachineError(
            f"no space is left for temporary files in {tempfile.gettempdir()}; free some, or set TMPDIR"
        ) from error


def _says_full(error: BaseException | None) -> bool:
    """Whether it, or what caused it, is the system's word for a full disk."""
    for _ in range(10):
        if error is None or (isinstance(error, OSError) and error.errno in _FULL):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, OSError) and error.errno in _FULL


def _free_bytes() -> int:
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return LEAST_FREE_BYTES
