"""The table of a results folder: its schema, reading and writing it as parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.errors import StoreError
from benchmark.files import replacing
from benchmark.results.records import (
    COLUMNS,
    JSON_COLUMNS,
    READABLE,
    SCHEMA_VERSION,
    Record,
    json_fault,
)

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
    """Return the table with all its columns and SCHEMA's, or these; text coded if `words_as_categories`.

    A table that pandas wrote again (`pd.concat([...]).to_parquet(path)`) is read too: its rows say their
    version, its index is dropped, and columns have the types of SCHEMA. Raises StoreError.
    """
    words = WORDS if words_as_categories else frozenset()
    try:
        data = _read_sealed(path)
        schema = pq.read_schema(pa.BufferReader(data))
        held = [name for name in schema.names if not name.startswith(_INDEX)]
        _check_version(path, schema, data)
        _check_schema(path, pa.schema([schema.field(name) for name in held]))
        names = list(dict.fromkeys([*held, *COLUMNS])) if columns is None else list(columns)
        file = pq.ParquetFile(
            pa.BufferReader(data),
            read_dictionary=sorted(words.intersection(held)),
            page_checksum_verification=True,
        )
        table = file.read(columns=[name for name in names if name in held])
        table.validate(full=True)  # texts that are no UTF-8
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path}: is no readable parquet file: {error}") from error
    _check_values(path, table)
    return _fitted(path, table, table_schema(names, words))


_REMEDY = "measure anew (`bench run suite NAME --fresh` moves the old results aside)"


_INDEX = "__index_level_"
"""How the columns are called in which pandas keeps a frame's index."""


def _check_version(path: Path, schema: pa.Schema, data: pa.Buffer) -> None:
    """Raise StoreError for a version that is not read here: the table's, or where it says none, its rows'."""
    said = (schema.metadata or {}).get(b"bench_schema_version")
    versions = {said.decode()} if said is not None else _versions_of_rows(schema, data)
    for version in sorted(versions - set(READABLE)):
        raise StoreError(
            f"{path}: has schema version {version}, this bench reads {' and '.join(READABLE)} and writes "
            f"{SCHEMA_VERSION}; use the bench that wrote it, or {_REMEDY}"
        )


def _versions_of_rows(schema: pa.Schema, data: pa.Buffer) -> set[str]:
    column = "schema_version"
    if column not in schema.names:
        return {"?"}
    table = pq.read_table(pa.BufferReader(data), columns=[column])
    return {str(version) for version in table[column].unique()}


def _check_schema(path: Path, schema: pa.Schema) -> None:
    """Raise StoreError for a table that is not of its version."""
    lacking = [f.name for f in SCHEMA if not f.nullable and f.name not in schema.names]
    foreign = [f.name for f in schema if f.name not in COLUMNS and not _is_like(f.type, pa.float64())]
    if lacking or foreign:
        raise StoreError(f"{path}: lacks columns ({lacking}) or has foreign ones ({foreign}); {_REMEDY}")
    if len(set(schema.names)) < len(schema.names):
        raise StoreError(f"{path}: has columns twice; {_REMEDY}")
    for f in SCHEMA:
        if f.name in schema.names and not _is_like(schema.field(f.name).type, f.type):
            held = schema.field(f.name).type
            raise StoreError(f"{path}: column {f.name} holds {held}, not {f.type}; {_REMEDY}")


def _is_like(held: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column of type `held` can stand for one of `wanted`: the same but for size and coding."""
    if pa.types.is_dictionary(held):
        held = held.value_type
    if pa.types.is_null(held) or held == wanted:
        return True
    if wanted == pa.string():
        return bool(pa.types.is_large_string(held))
    # Whole numbers among which some are missing are floating in pandas: `_fitted` looks at them.
    return bool(pa.types.is_integer(held) or pa.types.is_floating(held))


def _check_values(path: Path, table: pa.Table) -> None:
    """Raise StoreError, naming the column, for nulls where none may be, and for JSON that is none."""
    for name in table.schema.names:
        if name in SCHEMA.names and not SCHEMA.field(name).nullable and table[name].null_count:
            raise StoreError(f"{path}: column {name} has {table[name].null_count} nulls; {_REMEDY}")
    for name in JSON_COLUMNS.keys() & set(table.schema.names):
        for text in table[name].unique().to_pylist():
            if fault := json_fault(name, text):
                raise StoreError(f"{path}: {fault}; {_REMEDY}")


def _fitted(path: Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table shaped. Raises StoreError, naming the column, for values that its type cannot hold."""
    try:
        return shaped(table, schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise StoreError(
            f"{path}: {_unfit(table, schema)} holds what none of its type is ({error}); {_REMEDY}"
        ) from error


def _unfit(table: pa.Table, schema: pa.Schema) -> str:
    for field in schema:
        try:
            shaped(table, pa.schema([field]))
        except pa.ArrowException:
            return f"column {field.name}"
    return "a column"


def shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns of `schema`; those that it lacks are null."""
    arrays = [
        table[f.name].cast(f.type) if f.name in table.schema.names else pa.nulls(len(table), f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def write_table(
    table: pa.Table, path: Path, check: Callable[[], None] = lambda: None, *, level: int | None = None
) -> None:
    """Replace the parquet file in one step, unless `check`, called just before, raises. Raises OSError.

    Each page has a checksum, for whatever reads parquet, and the file the sha256 of its own bytes, in its
    metadata (see `_digest`). `level` is that of zstd.
    """
    data = _sealed(table, level)
    # Durable: the new name too must be on disk before the journal is emptied.
    with replacing(path, durable=True) as file:
        file.write(data)
        check()


_KEY = "bench_sha256"
_SEAL = _KEY.encode() + b"\x18\x40"
"""How the metadata of parquet (Thrift's compact protocol) has the key and the length of its value, 64."""


def _sealed(table: pa.Table, level: int | None) -> bytes:
    """Return the parquet file of a table, with its digest in the place that was left for it."""
    out = pa.BufferOutputStream()
    options = {"compression": "zstd", "compression_level": level, "write_page_checksum": True}
    with pq.ParquetWriter(out, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_KEY: _BLANK.decode()})
    data = out.getvalue().to_pybytes()
    at = data.rindex(_SEAL) + len(_SEAL)
    return b"".join((data[:at], _digest(data, at), data[at + len(_BLANK) :]))


_BLANK = b"0" * 64


def _digest(data: bytes | memoryview, at: int) -> bytes:
    """Return the sha256, in hexadecimal, of a file with zeros where, at `at`, it has the digest itself."""
    digest = hashlib.sha256(data[:at])
    digest.update(_BLANK)
    digest.update(data[at + len(_BLANK) :])
    return digest.hexdigest().encode()


def _read_sealed(path: Path) -> pa.Buffer:
    """Return the bytes of a parquet file. Raises OSError, and StoreError if they are not what was written.

    Files without a digest, of an older or another program, are taken as they are.
    """
    data = path.read_bytes()
    at = data.rfind(_SEAL) + len(_SEAL)
    if at >= len(_SEAL) and data[at : at + len(_BLANK)] != _digest(memoryview(data), at):
        raise StoreError(
            f"{path}: is damaged: its bytes are not those that were written (sha256); copy it from a backup, "
            f"or {_REMEDY}"
        )
    return pa.py_buffer(data)
