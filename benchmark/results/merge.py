"""Result sets become one: rows that several have are kept once, and where they disagree it is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmark.errors import StoreError
from benchmark.results.plan import Plan, read_plan, write_plan
from benchmark.results.records import COLUMNS, IDENTITY, KEPT, SLOT, Slot, same_identity
from benchmark.results.store import JOURNAL, TABLE, Store, read_rows
from benchmark.results.table import shaped, table_schema
from benchmark.versions import differ

SHOWN = 5
"""So many conflicts are named one by one."""

_COLUMNS = frozenset(COLUMNS)

_CODED = ("width", "height", "bitstream_sha256", "decoded_sha256", "bpp")
"""What two measurements of the same have in common; times, machine and run are each measurement's own."""


@dataclass(frozen=True)
class Conflict:
    """One image at one point that two sets have, and the columns in which they disagree."""

    slot: Slot
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """Return a line for messages."""
        dataset, codec, point, image = self.slot
        return f"{codec} at {point:g} on {image} ({dataset}): {', '.join(self.columns)}"


@dataclass(frozen=True)
class Merged:
    """What `merge` did: rows in the new set, those that were in several, and what these disagreed in."""

    folder: Path
    rows: int
    repeated: int
    conflicts: tuple[Conflict, ...]
    remarks: tuple[str, ...]


def merge(sets: Sequence[Path], out: Path, *, last_wins: bool = False) -> Merged:
    """Write the rows of several results folders or parquet files into the new results folder `out`.

    Rows of one slot and identity are kept once: the good one before the failed one, the one with more metrics
    before the other, else the first. Each keeps its versions and its protocol. Rows that a set's plan
    no longer asks for are left out. Where rows of a slot disagree (another version, image or options, other
    bytes or values) nothing is written, unless `last_wins`: then the later set's row is kept.
    Raises StoreError for conflicts, naming them, for sets that cannot be read, and where `out` has results.
    """
    if any((out / name).exists() for name in (TABLE, JOURNAL)):
        raise StoreError(f"{out}: has results already; give another --out")
    remarks: list[str] = []
    tables = [_planned(path, remarks.append) for path in sets]
    names = dict.fromkeys(name for table in tables for name in table.schema.names)
    table = pa.concat_tables([shaped(table, table_schema(names)) for table in tables])
    keep, conflicts = _settled(table)
    if conflicts and not last_wins:
        raise StoreError(_refusal(conflicts))
    remarks += [f"{path / KEPT}: kept files stay there" for path in sets if (path / KEPT).is_dir()]
    with Store(out) as store:
        store.put(table.take(keep))
    if (plan := _joined_plan(sets)) is not None:
        write_plan(out, plan)
    return Merged(out, len(keep), len(table) - len(keep), tuple(conflicts), tuple(remarks))


def _planned(path: Path, remark: Callable[[str], None]) -> pa.Table:
    """Return the rows of a set that its plan asks for; all where there is none."""
    table, plan = read_rows(path, remark=remark), read_plan(path)
    if plan is None:
        return table
    asked = plan.select(table.select(SLOT).to_pandas()).index
    if len(asked) < len(table):
        remark(f"{path}: {len(table) - len(asked)} rows that the suite no longer asks for are left out")
    return table.take(asked.to_numpy())


def _settled(table: pa.Table) -> tuple[list[int], list[Conflict]]:
    """Return the indices of the rows to keep, one a slot, and where rows of a slot disagree."""
    of_slot: dict[Slot, list[int]] = {}
    for index, slot in enumerate(zip(*(table[name].to_pylist() for name in SLOT), strict=True)):
        of_slot.setdefault(slot, []).append(index)
    rows = _rows(table, [index for indices in of_slot.values() if len(indices) > 1 for index in indices])
    keep, conflicts = [], []
    for slot, (kept, *others) in of_slot.items():
        for index in others:
            columns = _disagreement(rows[kept], rows[index])
            if columns:
                conflicts.append(Conflict(slot, columns))
            if columns or _better(rows[index], rows[kept]):
                kept = index  # noqa: PLW2901 (the row that stands so far)
        keep.append(kept)
    return sorted(keep), conflicts


def _rows(table: pa.Table, indices: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what is compared of some rows, by their index."""
    metrics = [name for name in table.schema.names if name not in _COLUMNS]
    names = [*IDENTITY, "status", *_CODED, "metric_versions", *metrics]
    some = table.select(names).take(pa.array(indices, pa.int64()))
    values = zip(*(some[name].to_pylist() for name in names), strict=True)
    return {index: dict(zip(names, row, strict=True)) for index, row in zip(indices, values, strict=True)}


def _disagreement(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that say that two rows of one slot are not of the same, or not measured the same."""
    if identity := tuple(_of_identity(one, other)):
        return identity
    if one["status"] != "ok" or other["status"] != "ok":
        return ()
    values = [name for name in (*_CODED, *_metrics(one)) if _clash(one[name], other[name])]
    return tuple(values or _of_measuring(one, other))


def _of_identity(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns of IDENTITY that differ; a version with the models of all points is the same."""
    if all(one[name] == other[name] for name in IDENTITY):
        return
    versions = (one["codec_version"], other["codec_version"])
    alike = dict(other) | ({} if differ(versions) else {"codec_version": one["codec_version"]})
    if not same_identity([one[name] for name in IDENTITY], [alike[name] for name in IDENTITY]):
        yield from (name for name in IDENTITY if one[name] != alike[name])


def _of_measuring(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is lost whichever row is kept: a metric of one and a metric of the other, or a version."""
    mine, theirs = ({name for name in _metrics(row) if row[name] is not None} for row in (one, other))
    yield from sorted(mine ^ theirs) if mine - theirs and theirs - mine else ()
    if one["metric_versions"] == other["metric_versions"]:
        return
    versions = [json.loads(row["metric_versions"] or "{}") for row in (one, other)]
    if any(versions[0][name] != versions[1][name] for name in versions[0].keys() & versions[1].keys()):
        yield "metric_versions"


def _metrics(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if name not in _COLUMNS]


def _clash(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other


def _better(row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether `row` is to stand instead of one that it agrees with."""

    def worth(r: Mapping[str, Any]) -> tuple[bool, int]:
        return r["status"] == "ok", sum(r[name] is not None for name in _metrics(r))

    return worth(row) > worth(before)


def _refusal(conflicts: Sequence[Conflict]) -> str:
    more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
    named = "; ".join(map(str, conflicts[:SHOWN]))
    return (
        f"the sets disagree in {len(conflicts)} rows: {named}{more}. Give the codecs other labels in their "
        "suites, or --last-wins to keep the later set's rows"
    )


def _joined_plan(sets: Sequence[Path]) -> Plan | None:
    """Return the plan of all the sets, if each has one and they are of one dataset."""
    plans = [plan for plan in map(read_plan, sets) if plan is not None]
    if len(plans) < len(sets) or len({plan.dataset for plan in plans}) > 1:
        return None
    points: dict[str, tuple[float, ...]] = {}
    for plan in plans:
        for codec, own in plan.points.items():
            points[codec] = tuple(sorted({*points.get(codec, ()), *own}))
    images = None if any(p.images is None for p in plans) else _union([p.images or () for p in plans])
    return replace(plans[0], points=points, images=images)


def _union(images: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in images for name in some))
