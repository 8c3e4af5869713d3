"""The rows of a study as a CSV file: each job's are kept as it is done, so that a study resumes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from benchmark.errors import StoreError
from benchmark.files import locked, write_atomically
from benchmark.studies.base import Row

KEY = "job"
"""The column that says which job a row is of (see `Study.key`)."""


class Rows:
    """The rows in a file; those of jobs that nobody asks for now stay, for they may be asked for again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame = _read(path)

    def has(self, key: str) -> bool:
        """Whether the rows of this job are there."""
        return KEY in self._frame and bool((self._frame[KEY] == key).any())

    def add(self, key: str, rows: Iterable[Row]) -> None:
        """Keep the rows of a job. Raises StoreError if the file cannot be written."""
        new = pd.DataFrame([{KEY: key, **row} for row in rows])
        self._frame = pd.concat([self._frame, new], ignore_index=True) if len(self._frame) else new
        try:
            write_atomically(self._path, self._frame.to_csv(index=False).encode())
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error

    def of(self, keys: Collection[str]) -> pd.DataFrame:
        """Return the rows of these jobs, in their order in the file."""
        return self._frame[self._frame[KEY].isin(keys)] if len(self._frame) else self._frame


@contextmanager
def opened(path: Path) -> Iterator[Rows]:
    """Yield the rows at `path` while no other process adds to them; the folder is made where there is none.

    Raises LockedError if another process has them open, StoreError if the file is none of a study's.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}") from error
    with locked(path.with_name(f".{path.stem}.lock"), wait=False):
        yield Rows(path)


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame()
    try:
        # There is a codec named null, which is no missing value.
        frame = pd.read_csv(
            path, float_precision="round_trip", dtype={KEY: str}, keep_default_na=False, na_values=[""]
        )
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); move it away") from error
    if KEY not in frame:
        raise StoreError(f"{path}: has no column {KEY!r}, so it is no file of a study; move it away")
    return frame
