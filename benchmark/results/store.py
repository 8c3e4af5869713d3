"""The store of per-image results: records, their parquet schema, appending, resuming, reading."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.errors import LockedError, StoreError
from benchmark.files import locked, replacing
from benchmark.results.records import COLUMNS, KEPT, READABLE, SCHEMA_VERSION, SLOT, Record, record_of

if TYPE_CHECKING:
    from types import TracebackType

    import pandas as pd

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Record", "Store", "read_results", "set_aside", "table_schema"]

_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "Status": pa.string()}

SCHEMA = pa.schema(
    [
        pa.field(f.name, _ARROW[str(f.type).removesuffix(" | None")], nullable="None" in str(f.type))
        for f in fields(Record)
        if f.name in COLUMNS
    ],
    metadata={"bench_schema_version": SCHEMA_VERSION},
)
"""The columns of every results.parquet, as Record documents them; each metric that occurs is one more."""

_WORDS = frozenset(field.name for field in SCHEMA if field.type == pa.string()) - {"error", "started_at"}

TABLE = "results.parquet"
JOURNAL = "_journal.jsonl"
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
        self._journal: IO[bytes] | None = None

    def __enter__(self) -> Store:
        """Lock the folder and merge what an earlier run left. Raises StoreError if it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(_locked(self.folder))
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
                raise StoreError(
                    f"{self.folder / TABLE}: cannot be written ({failure.strerror})"
                ) from failure
        finally:
            self._release()

    def _open_journal(self) -> None:
        table, unreadable = _merged(self.folder)
        if unreadable:
            self.notes.append(f"{unreadable} unreadable journal lines were dropped; they are measured again")
        journal = self.folder / JOURNAL
        if not (self.folder / TABLE).exists() or (journal.exists() and journal.stat().st_size):
            _write_table(table, self.folder / TABLE)
        self._journal = journal.open("wb", buffering=0)

    def append(self, records: Iterable[Record]) -> None:
        """Put records on disk, to stay. Raises StoreError if they cannot be written."""
        if self._journal is None:
            raise StoreError(f"{self.folder}: the store is not open")
        lines = b"".join(json.dumps(record.row()).encode() + b"\n" for record in records)
        try:
            while lines:
                lines = lines[self._journal.write(lines) :]
            os.fsync(self._journal.fileno())
        except OSError as error:
            raise StoreError(f"{self.folder / JOURNAL}: cannot be written: {error.strerror}") from error

    def compact(self) -> None:
        """Merge the journal into results.parquet. Raises OSError."""
        if self._journal is not None and self._journal.tell() > 0:
            self._replace_table(_merged(self.folder)[0])

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
        _write_table(table, self.folder / TABLE)
        if self._journal is not None:
            self._journal.seek(0)
            self._journal.truncate()

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
    path: Path, columns: Sequence[str] | None = None, *, words_as_categories: bool = False
) -> pd.DataFrame:
    """Return the rows of a results folder (what a run has not merged yet included), or of one parquet file.

    The columns are SCHEMA's and those of the metrics that were measured, or those that `columns` names: a
    report over a million rows reads what it needs. A metric that was not measured is a column of nulls. With
    `words_as_categories`, text columns are pandas categoricals, a code a row instead of a string; but not the
    free text `error`, nor `started_at`, whose order counts. A row that was measured again appears once, with
    what was measured last.
    Raises StoreError if there are none, or if they have a schema version that is not in READABLE.
    """
    if path.is_dir() and not any((path / name).exists() for name in (TABLE, JOURNAL)):
        raise StoreError(f"{path}: holds no results; `bench run suite NAME` makes them")
    if not path.exists():
        raise StoreError(f"{path}: no such results; `bench run suite NAME` makes them")
    if path.is_dir():
        # Which rows were measured again is told by SLOT: its columns are read along where a journal is left.
        slots = SLOT if (path / JOURNAL).exists() and (path / JOURNAL).stat().st_size else ()
        read = None if columns is None else list(dict.fromkeys([*columns, *slots]))
        table = _merged(path, read, words_as_categories)[0]
    else:
        table = _read_table(path, columns, words_as_categories)
    frame: pd.DataFrame = (table if columns is None else table.select(list(columns))).to_pandas()
    return frame


def _merged(
    folder: Path, columns: Sequence[str] | None = None, words_as_categories: bool = False
) -> tuple[pa.Table, int]:
    """Return table and journal as one table, one row a slot, and how many journal lines were unreadable."""
    # The journal is read first: a row that is merged and dropped from it meanwhile is then in the table too.
    rows, unreadable = _read_journal(folder / JOURNAL)
    if (folder / TABLE).exists():
        table = _read_table(folder / TABLE, columns, words_as_categories)
    else:
        table = table_schema(columns).empty_table()
    if not rows:
        return table, unreadable
    if columns is None:
        names = dict.fromkeys([*table.schema.names, *(name for row in rows for name in row)])
        table = _shaped(table, table_schema(names, _WORDS if words_as_categories else ()))
    added = pa.Table.from_pylist(rows, schema=table_schema(table.schema.names)).cast(table.schema)
    table = pa.concat_tables([table, added]).unify_dictionaries()
    last = {key: i for i, key in enumerate(zip(*(table[name].to_pylist() for name in SLOT), strict=True))}
    return table.take(sorted(last.values())), unreadable


def _read_journal(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the journal's rows, and how many lines but for a torn last one were unreadable."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], 0
    rows, unreadable = [], 0
    for line in lines[:-1]:  # what follows the last newline was torn off in the middle of writing
        try:
            rows.append(record_of(json.loads(line)).row())
        except (ValueError, TypeError):
            unreadable += 1
    return rows, unreadable


def table_schema(columns: Iterable[str] | None = None, words: Collection[str] = ()) -> pa.Schema:
    """Return the schema of a table with these columns (SCHEMA's without any), `words` as dictionaries.

    What is no column of SCHEMA is a metric.
    """
    coded = pa.dictionary(pa.int32(), pa.string())
    known = {field.name: field for field in SCHEMA}
    names = SCHEMA.names if columns is None else columns
    shape = [known.get(name) or pa.field(name, pa.float64()) for name in names]
    return pa.schema([f.with_type(coded) if f.name in words else f for f in shape], SCHEMA.metadata)


def _read_table(
    path: Path, columns: Sequence[str] | None = None, words_as_categories: bool = False
) -> pa.Table:
    """Return the table with all its columns and SCHEMA's, or these; text coded if `words_as_categories`."""
    words = _WORDS if words_as_categories else frozenset()
    try:
        schema = pq.read_schema(path)
        _check_schema(path, schema)
        held = schema.names
        names = list(dict.fromkeys([*held, *COLUMNS])) if columns is None else list(columns)
        file = pq.ParquetFile(path, read_dictionary=sorted(words.intersection(held)))
        table = file.read(columns=[name for name in names if name in held])
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: is no readable parquet file: {error}") from error
    return _shaped(table, table_schema(names, words))


def _check_schema(path: Path, schema: pa.Schema) -> None:
    """Raise StoreError for a version that is not read here, or a table that is not of its version."""
    remedy = "measure anew (`bench run suite NAME --fresh` moves the old results aside)"
    version = (schema.metadata or {}).get(b"bench_schema_version", b"?").decode()
    if version not in READABLE:
        raise StoreError(
            f"{path}: has schema version {version}, this bench reads {' and '.join(READABLE)} and writes "
            f"{SCHEMA_VERSION}; use the bench that wrote it, or {remedy}"
        )
    lacking = [f.name for f in SCHEMA if not f.nullable and f.name not in schema.names]
    foreign = [f.name for f in schema if f.name not in COLUMNS and f.type != pa.float64()]
    if lacking or foreign:
        raise StoreError(f"{path}: lacks columns ({lacking}) or has foreign ones ({foreign}); {remedy}")


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns of `schema`; those that it lacks are null."""
    arrays = [
        table[f.name].cast(f.type) if f.name in table.schema.names else pa.nulls(len(table), f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def _write_table(table: pa.Table, path: Path) -> None:
    """Replace the parquet file in one step. Raises OSError."""
    # Durable: the new name too must be on disk before the journal is emptied.
    with replacing(path, durable=True) as file:
        pq.write_table(table, file, compression="zstd")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out of `folder`. Raises StoreError, naming the one that is in it."""
    try:
        with locked(folder / LOCK, wait=False):
            yield
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
