"""The store of per-image results: records, their parquet schema, appending, resuming, reading."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from benchmark.errors import DiskError, LockedError, StoreError
from benchmark.files import locked
from benchmark.results.journal import JOURNAL, begin_journal, is_at, read_journal, rescue
from benchmark.results.records import IDENTITY, KEPT, SCHEMA_VERSION, SLOT, Record, same_identity
from benchmark.results.table import SCHEMA, TABLE, WORDS, read_table, shaped, table_schema, write_table

if TYPE_CHECKING:
    from types import TracebackType

    import pandas as pd

__all__ = [
    "JOURNAL",
    "SCHEMA",
    "SCHEMA_VERSION",
    "TABLE",
    "Record",
    "Store",
    "read_results",
    "set_aside",
    "table_schema",
]

LOCK = "_lock"
PREVIOUS = "_previous"
MIN_FREE_BYTES = 16 << 20


class Store:
    """The results of one suite, open for writing by one run at a time.

    Each appended record is on disk (one JSON line in a journal, synchronized) before `append` returns, at a
    cost that does not grow with the store. The journal is merged into results.parquet when the store is
    opened and closed; whatever the moment at which a process dies, no row that was appended is lost.

        with Store(Path("results/kodak")) as store:
            store.append([record])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        """Remarks for the user on what was found when opening."""
        self._lock = ExitStack()
        self._lock_descriptor = -1
        self._lock_path, self._journal_path = str(folder / LOCK), str(folder / JOURNAL)
        self._journal: IO[bytes] | None = None
        self._can_check = True
        """Whether a path and a descriptor can be told to be one file; not so on some network file systems."""

    def __enter__(self) -> Store:
        """Lock the folder and merge what an earlier run left. Raises StoreError if it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock_descriptor = self._lock.enter_context(_locked(self.folder))
            _check_space(self.folder)
            self._open_journal()
        except OSError as error:
            self._release()
            raise StoreError(
                f"{self.folder}: cannot be written ({error.strerror}); give another folder with --out"
            ) from error
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Merge the journal into the table and let go of the folder."""
        try:
            self.compact()
        except OSError as failure:
            # The journal still holds every row: the next run, or a reader, merges it.
            if error is None:
                raise DiskError(
                    f"{self.folder / TABLE}: cannot be written ({failure.strerror}); the journal has its rows"
                ) from failure
        finally:
            self._release()

    def _open_journal(self) -> None:
        table, unreadable = _merged(self.folder)
        if unreadable:
            self.notes.append(_dropped(unreadable))
        journal = self.folder / JOURNAL
        if not (self.folder / TABLE).exists() or (journal.exists() and journal.stat().st_size):
            write_table(table, self.folder / TABLE)
        self._journal = begin_journal(self.folder)
        self._can_check = self._is_in_place(self._journal)
        if not self._can_check:
            self.notes.append(
                "the file system numbers files anew: a folder moved under the run goes unnoticed"
            )

    def append(self, records: Iterable[Record]) -> None:
        """Put records on disk, to stay.

        Raises DiskError if they cannot be written, StoreError if the folder is no longer what this run has
        open: the message then says where its rows are.
        """
        if self._journal is None:
            raise StoreError(f"{self.folder}: the store is not open")
        lines = b"".join(json.dumps(record.row(), allow_nan=False).encode() + b"\n" for record in records)
        try:
            while lines:
                lines = lines[self._journal.write(lines) :]
            os.fsync(self._journal.fileno())
            self._check_place()
        except OSError as error:
            raise DiskError(
                f"{self.folder / JOURNAL}: cannot be written: {error.strerror}; rows before are on disk"
            ) from error

    def compact(self) -> None:
        """Merge the journal into results.parquet. Raises OSError, and StoreError as `append` does."""
        if self._journal is not None and self._journal.tell() > 0:
            self._check_place()
            self._replace_table(_merged(self.folder)[0])

    def put(self, table: pa.Table) -> None:
        """Make the rows of `table` (see `read_rows`), one a slot, those of the store. Raises as `append`."""
        try:
            self._replace_table(table)
        except OSError as error:
            raise StoreError(f"{self.folder / TABLE}: cannot be written: {error.strerror}") from error

    def update_images_at_hand(self, dataset: str, images: int, size: int) -> None:
        """Let the rows of a dataset that was partial say how many of its images are at hand now."""
        import pyarrow.compute as pc  # slow to load, and seldom needed

        table, _ = _merged(self.folder)
        stale = pc.and_(pc.equal(table["dataset"], dataset), pc.less(table["dataset_images"], images))
        if pc.any(stale).as_py():
            for name, value in (("dataset_images", images), ("dataset_size", size)):
                column = pc.if_else(stale, pa.scalar(value, pa.int64()), table[name])
                table = table.set_column(table.schema.get_field_index(name), SCHEMA.field(name), column)
            self._replace_table(table)

    def _replace_table(self, table: pa.Table) -> None:
        write_table(table, self.folder / TABLE, self._check_place)
        if self._journal is not None:
            emptied, self._journal = self._journal, begin_journal(self.folder)
            emptied.close()

    def _check_place(self) -> None:
        """Raise StoreError unless the lock and the journal that others find are those that are open here.

        Somebody may have moved or deleted the folder, and another run may be writing in its place: nothing
        is to be merged into that, and nothing emptied.
        """
        if self._journal is None or not self._can_check or self._is_in_place(self._journal):
            return
        ours = is_at(self._lock_path, self._lock_descriptor)
        place = rescue(self.folder, self._journal.fileno(), ours=ours)
        self._journal.close()
        self._journal = None
        what = JOURNAL if ours else LOCK
        raise StoreError(
            f"{self.folder}: was moved, replaced or deleted under this run, which stops ({what} is another "
            f"file now, or none); its finished rows are in {place}, a results folder: put it back if it was "
            "moved, and rerun to resume"
        )

    def _is_in_place(self, journal: IO[bytes]) -> bool:
        return is_at(self._lock_path, self._lock_descriptor) and is_at(self._journal_path, journal.fileno())

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield these columns of every row."""
        table, _ = _merged(self.folder)
        return zip(*(table[name].to_pylist() for name in columns), strict=True)

    def _release(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = None
        self._lock.close()


def set_aside(folder: Path) -> Path | None:
    """Move the results in `folder`, kept files included, into a folder of their own; return it, if any.

    The new folder is `_previous/N` inside, with the next free number. Raises StoreError if a run is writing
    there, or if it cannot be done.
    """
    names = [name for name in (TABLE, JOURNAL, KEPT) if (folder / name).exists()]
    if not names:
        return None
    try:
        with _locked(folder):
            target = folder / PREVIOUS / str(1 + len(list((folder / PREVIOUS).glob("*"))))
            target.mkdir(parents=True)
            for name in names:
                (folder / name).rename(target / name)
    except OSError as error:
        raise StoreError(
            f"{folder}: the old results cannot be moved to _previous/: {error.strerror}"
        ) from error
    return target


def read_results(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    words_as_categories: bool = False,
    remark: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Return the rows of a results folder (what a run has not merged yet included), or of one parquet file.

    The columns are SCHEMA's and those of the metrics that were measured, or those that `columns` names: a
    report over a million rows reads what it needs. A metric that was not measured is a column of nulls. With
    `words_as_categories`, text columns are pandas categoricals, a code a row instead of a string; but not the
    free text `error`, nor `started_at`, whose order counts. A row that was measured again appears once, with
    what was measured last; a failure to measure it again leaves a good row of the same identity. `remark` is
    told of lines of a journal that cannot be read and are left out.
    Raises StoreError if there are none, or if they have a schema version that is not in READABLE.
    """
    table = read_rows(path, columns, words_as_categories=words_as_categories, remark=remark)
    frame: pd.DataFrame = (table if columns is None else table.select(list(columns))).to_pandas()
    return frame


def read_rows(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    words_as_categories: bool = False,
    remark: Callable[[str], None] | None = None,
) -> pa.Table:
    """Return the rows as a table with SCHEMA's types, perhaps with more columns; see `read_results`."""
    if path.is_dir() and not any((path / name).exists() for name in (TABLE, JOURNAL)):
        raise StoreError(f"{path}: holds no results; `bench run suite NAME` makes them")
    if not path.exists():
        raise StoreError(f"{path}: no such results; `bench run suite NAME` makes them")
    if path.is_dir():
        # Which rows count is told by these columns, which are read along where a journal is left.
        telling = (*SLOT, *_STANDING) if (path / JOURNAL).exists() and (path / JOURNAL).stat().st_size else ()
        read = None if columns is None else list(dict.fromkeys([*columns, *telling]))
        table, unreadable = _merged(path, read, words_as_categories)
        if unreadable and remark is not None:
            remark(f"{path}: {_dropped(unreadable)} by the next run")
        return table
    return read_table(path, columns, words_as_categories)


def _dropped(lines: int) -> str:
    return f"{lines} unreadable journal lines were dropped; they are measured again"


def _merged(
    folder: Path, columns: Sequence[str] | None = None, words_as_categories: bool = False
) -> tuple[pa.Table, int]:
    """Return table and journal as one table, one row a slot, and how many journal lines were unreadable."""
    # The journal is read first: a row that is merged and dropped from it meanwhile is then in the table too.
    rows, unreadable = read_journal(folder)
    if (folder / TABLE).exists():
        table = read_table(folder / TABLE, columns, words_as_categories)
    else:
        table = table_schema(columns).empty_table()
    if not rows:
        return table, unreadable
    if columns is None:
        names = dict.fromkeys([*table.schema.names, *(name for row in rows for name in row)])
        table = shaped(table, table_schema(names, WORDS if words_as_categories else ()))
    added = pa.Table.from_pylist(rows, schema=table_schema(table.schema.names)).cast(table.schema)
    table = pa.concat_tables([table, added]).unify_dictionaries()
    return table.take(_counting(table, len(table) - len(added))), unreadable


_STANDING = ("status", *IDENTITY)
"""The columns that tell whether a row stands against one that was written later."""


def _counting(table: pa.Table, merged: int) -> list[int]:
    """Return the indices of the rows that count, one a slot, where the first `merged` rows are one a slot."""
    slots = list(zip(*(table[name].to_pylist() for name in SLOT), strict=True))
    counting = dict(zip(slots[:merged], range(merged), strict=True))
    for later in range(merged, len(slots)):
        before = counting.get(slots[later])
        if before is None or not _stands(table, before, later):
            counting[slots[later]] = later
    return sorted(counting.values())


def _stands(table: pa.Table, before: int, later: int) -> bool:
    """Whether the row `before` is good, and the `later` one a failure to measure the same again."""
    (status, *one), (failure, *other) = (
        [table[name][index].as_py() for name in _STANDING] for index in (before, later)
    )
    return status == "ok" and failure != "ok" and same_identity(one, other)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Keep other writers out of `folder`; yield the lock. Raises StoreError, naming the one that is in it."""
    try:
        with locked(folder / LOCK, wait=False) as descriptor:
            yield descriptor
    except LockedError as error:
        raise StoreError(
            f"{folder}: {error.owner} is writing here; wait for it, or give another --out"
        ) from error


def _check_space(folder: Path) -> None:
    """Find a read-only or full disk before work starts. Raises OSError or StoreError."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < MIN_FREE_BYTES:
        raise StoreError(f"{folder}: the disk is full ({free_bytes >> 20} MiB free); give another --out")
    probe = folder / "_probe"
    probe.write_bytes(bytes(4096))
    probe.unlink()
