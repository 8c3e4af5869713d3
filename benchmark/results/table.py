"""The table of a results folder: its schema, reading and writing it as parquet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.errors import StoreError
from benchmark.files import replacing
from benchmark.results.records import COLUMNS, READABLE, SCHEMA_VERSION, Record

TABLE = "results.parquet"

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

WORDS = frozenset(field.name for field in SCHEMA if field.type == pa.string()) - {"error", "started_at"}


def table_schema(columns: Iterable[str] | None = None, words: Collection[str] = ()) -> pa.Schema:
    """Return the schema of a table with these columns (SCHEMA's without any), `words` as dictionaries.

    What is no column of SCHEMA is a metric.
    """
    coded = pa.dictionary(pa.int32(), pa.string())
    known = {field.name: field for field in SCHEMA}
    names = SCHEMA.names if columns is None else columns
    shape = [known.get(name) or pa.field(name, pa.float64()) for name in names]
    return pa.schema([f.with_type(coded) if f.name in words else f for f in shape], SCHEMA.metadata)


def read_table(
    path: Path, columns: Sequence[str] | None = None, words_as_categories: bool = False
) -> pa.Table:
    """Return the table with all its columns and SCHEMA's, or these; text coded if `words_as_categories`."""
    words = WORDS if words_as_categories else frozenset()
    try:
        schema = pq.read_schema(path)
        _check_schema(path, schema)
        held = schema.names
        names = list(dict.fromkeys([*held, *COLUMNS])) if columns is None else list(columns)
        file = pq.ParquetFile(path, read_dictionary=sorted(words.intersection(held)))
        table = file.read(columns=[name for name in names if name in held])
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: is no readable parquet file: {error}") from error
    return shaped(table, table_schema(names, words))


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


def shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns of `schema`; those that it lacks are null."""
    arrays = [
        table[f.name].cast(f.type) if f.name in table.schema.names else pa.nulls(len(table), f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def write_table(table: pa.Table, path: Path, check: Callable[[], None] = lambda: None) -> None:
    """Replace the parquet file in one step, unless `check`, called just before, raises. Raises OSError."""
    # Durable: the new name too must be on disk before the journal is emptied.
    with replacing(path, durable=True) as file:
        pq.write_table(table, file, compression="zstd")
        check()
