"""Operations for rows that were measured before rows had them: of the codecs that are the same here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from benchmark.codecs import make_codec
from benchmark.codecs.base import Codec
from benchmark.errors import BenchError, StoreError
from benchmark.operations import FACT, kept_fact
from benchmark.results.plan import read_plan, write_plan
from benchmark.results.store import JOURNAL, TABLE, Store, read_rows
from benchmark.versions import covers

_KEY = ("codec_id", "codec_options", "codec_version", "point")


def add_operations(source: Path, out: Path, remark: Callable[[str], None]) -> int:
    """Write the rows of a results folder or file into the new results folder `out`, with operations.

    Nothing else of a row changes: operations hang on the networks alone, which its version names. `remark` is
    told which codecs are others here, or cannot be made. Returns how many rows have operations now that had
    none. Raises StoreError for results that cannot be read, and where `out` has some.
    """
    if any((out / name).exists() for name in (TABLE, JOURNAL)):
        raise StoreError(f"{out}: has results already; give another --out")
    table = read_rows(source)
    known: dict[tuple[str, str, str, float], dict[str, object] | None] = {}
    extras, added = [], 0
    for status, extra, *rest in zip(*(table[n].to_pylist() for n in ("status", "extra", *_KEY)), strict=True):
        key = (rest[0], rest[1], rest[2], rest[3])
        if status == "ok" and kept_fact(extra) is None:
            if key not in known:
                known[key] = _fact(*key, remark)
            if fact := known[key]:
                extra = json.dumps({**json.loads(extra or "{}"), FACT: fact}, sort_keys=True)  # noqa: PLW2901
                added += 1
        extras.append(extra)
    at = table.schema.get_field_index("extra")
    with Store(out) as store:
        store.put(table.set_column(at, table.schema.field(at), pa.array(extras, pa.string())))
    if (plan := read_plan(source)) is not None:
        write_plan(out, plan)
    return added


def _fact(
    codec_id: str, options: str, version: str, point: float, remark: Callable[[str], None]
) -> dict[str, object] | None:
    """Return what rows of a codec keep; None for one without networks, or that is another one here."""
    try:
        codec = make_codec(codec_id, json.loads(options))
        if type(codec).operations is Codec.operations:  # has no networks
            return None
        if not covers(version, here := codec.version_at(point)):
            remark(f"{codec_id} at {point:g} is {here} here, its rows are of {version}: left as they are")
            return None
        counted = codec.operations(point)
    except BenchError as error:
        remark(f"{codec_id} at {point:g}: left as it is: {error}")
        return None
    return counted.fact() if counted else None
