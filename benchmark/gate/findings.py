"""What BD-rate cannot see: vanished points, failed images, single images, drifting decoders, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.arrays import F64
from benchmark.metrics.base import Metric

Kind = Literal[
    "codec vanished",
    "point vanished",
    "image vanished",
    "evaluation failed",
    "image worse",
    "decoder drift",
    "metric drift",
    "slower encoding",
    "slower decoding",
    "times not compared",
    "new codec",
    "new point",
]
Severity = Literal["fail", "doubt", "note"]

_KEY = ["codec", "point", "image", "image_sha256"]
_SIDES = ("", "_reference")
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Limits:
    """What is let through. Slowdowns are noted, and fail only where `slowdown_fails`.

    A codec fails when its BD-rate is above `max_regression_percent` and its interval above 0, or a point lost
    more than `max_point_loss_db` without the curve getting better, or one image at one point lost more
    than `max_image_loss_db` at no fewer bits, or costs `max_image_rate_percent` more at no better quality.
    Limits in dB hold for the qualities of other metrics too, whatever their unit.
    """

    max_regression_percent: float = 0.5
    max_slowdown_percent: float = 25.0
    slowdown_fails: bool = False
    """Off by default: on a machine that others use too, times alone would raise false alarms."""
    max_point_loss_db: float = 0.05
    max_image_loss_db: float = 0.5
    max_image_rate_percent: float = 5.0
    max_rounding_db: float = 0.002
    """Equal bits may decode to pixels that differ by less: a network's sums depend on threads and machine."""
    min_seconds: float = 0.01
    """Rows quicker than this say nothing of speed."""
    min_timed_rows: int = 10
    """A codec with fewer rows that say something of speed is not judged by it."""


@dataclass(frozen=True)
class Finding:
    """One thing found beside the BD-rates. `fail` fails the gate, `doubt` makes it inconclusive."""

    kind: Kind
    severity: Severity
    codec: str
    message: str


def pair_rows(current: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each evaluation on either side, the reference's columns suffixed `_reference`.

    Adds booleans: `in_current`, `in_reference`, `both_ok`, `same_bits`, `same_pixels`.
    """
    columns = list(dict.fromkeys([*current, *reference]))  # a metric may be on one side alone
    now, before = (frame.reindex(columns=columns) for frame in (current, reference))
    pairs = now.merge(before, how="outer", on=_KEY, suffixes=_SIDES, indicator="side")
    pairs["in_current"] = pairs["side"] != "right_only"
    pairs["in_reference"] = pairs["side"] != "left_only"
    pairs["both_ok"] = (pairs["status"] == "ok") & (pairs["status_reference"] == "ok")
    for flag, column in (("same_bits", "bitstream_sha256"), ("same_pixels", "decoded_sha256")):
        pairs[flag] = pairs["both_ok"] & (pairs[column] == pairs[f"{column}_reference"]).fillna(False)
    return pairs


def find_in_rows(
    pairs: pd.DataFrame, metrics: Sequence[Metric], limits: Limits, improved: Set[str] = frozenset()
) -> Iterator[Finding]:
    """Yield all findings, codec by codec. Single images of codecs in `improved` are noted, not failed."""
    yield from find_vanished(pairs)
    for codec, rows in pairs[pairs["in_current"]].groupby("codec", sort=False):
        name = str(codec)
        if not rows["in_reference"].any():
            yield Finding("new codec", "note", name, "not in the reference; `bench reference update` adds it")
        yield from _new_points(name, rows)
        yield from _failed(name, rows)
        yield from _drift(name, rows, metrics, limits)
        yield from _single_images(name, rows, metrics, limits, "note" if name in improved else "fail")
    yield from _slowdowns(pairs, limits)


def find_vanished(pairs: pd.DataFrame) -> Iterator[Finding]:
    """Yield every codec, point and image that the reference has and the current results lack."""
    for codec, rows in pairs.groupby("codec", sort=False):
        name = str(codec)
        if not rows["in_current"].any():
            yield Finding("codec vanished", "fail", name, f"{len(rows)} rows in the reference, none now")
            continue
        held = rows.groupby("point")["in_current"].transform("any")
        for point in rows.loc[~held, "point"].unique():
            yield Finding(
                "point vanished", "fail", name, f"point {point:g} is in the reference, and not measured now"
            )
        missing = rows[held & ~rows["in_current"]]
        if len(missing):
            yield Finding("image vanished", "fail", name, f"{len(missing)} rows missing: {_places(missing)}")


def _new_points(codec: str, rows: pd.DataFrame) -> Iterator[Finding]:
    known = rows.groupby("point")["in_reference"].any()
    new = known.index[~known]
    if len(new) and known.any():
        yield Finding("new point", "note", codec, f"not in the reference: {_some([f'{p:g}' for p in new])}")


def _failed(codec: str, rows: pd.DataFrame) -> Iterator[Finding]:
    failed = rows[rows["in_current"] & (rows["status"] != "ok")]
    before = failed["status_reference"].isin(["failed", "timeout"])
    for found, severity in ((failed[~before], "fail"), (failed[before], "note")):
        if len(found):
            reasons = found["error"].dropna().astype(str).unique()
            why = f" ({reasons[0].splitlines()[0]})" if len(reasons) and reasons[0] else ""
            yield Finding(
                "evaluation failed",
                "fail" if severity == "fail" else "note",
                codec,
                f"{len(found)} failed{', as in the reference' if severity == 'note' else ''}: "
                f"{_places(found)}{why}",
            )


def _drift(codec: str, rows: pd.DataFrame, metrics: Sequence[Metric], limits: Limits) -> Iterator[Finding]:
    drifted = rows[rows["same_bits"] & ~rows["same_pixels"]]
    moved = np.zeros(len(drifted), dtype=bool)
    for metric in metrics:
        now, before = (metric.quality(values) for values in _values(drifted, metric.name))
        with np.errstate(invalid="ignore"):
            moved |= (now != before) & ~(np.abs(now - before) <= limits.max_rounding_db)
    for found, severity, what in ((drifted[moved], "fail", "decode"), (drifted[~moved], "note", "round")):
        if len(found):
            message = f"{len(found)} equal bitstreams {what} to other pixels than before: {_places(found)}"
            yield Finding("decoder drift", "fail" if severity == "fail" else "note", codec, message)
    same = rows[rows["same_pixels"] & (rows["metric_versions"] == rows["metric_versions_reference"])]
    for metric in metrics:
        now, before = _values(same, metric.name)
        moved = np.abs(now - before) > 1e-6 * np.maximum(np.abs(before), 1)
        changed = same[moved | (np.isnan(now) != np.isnan(before))]
        if len(changed):
            where = f"{len(changed)} equal images, its version does not: {_places(changed)}"
            message = f"{metric.name} differs on {where}"
            yield Finding("metric drift", "fail", codec, message)


def _single_images(
    codec: str, rows: pd.DataFrame, metrics: Sequence[Metric], limits: Limits, severity: Severity
) -> Iterator[Finding]:
    rows = rows[rows["both_ok"]]
    rates, rates_before = _values(rows, "bpp")
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (rates / rates_before - 1) * 100
    for metric in metrics:
        if metric.name not in rows or rows[metric.name].isna().all():
            continue
        now, before = (metric.quality(values) for values in _values(rows, metric.name))
        with np.errstate(invalid="ignore"):
            loss = np.where(now == before, 0.0, before - now)
        hit = (loss > limits.max_image_loss_db) & (cost > -limits.max_image_rate_percent)
        hit |= (cost > limits.max_image_rate_percent) & (loss > -limits.max_image_loss_db)
        if hit.any():
            worst = int(np.argmax(np.where(hit, loss * 16 + cost, -np.inf)))
            moved = f"{cost[worst]:+.2f} % bits, {-loss[worst]:+.3f} {metric.quality_unit}".rstrip()
            message = f"{metric.name}: {int(hit.sum())} of {len(rows)} rows much worse"
            yield Finding(
                "image worse", severity, codec, f"{message}, most {_place(rows.iloc[worst])}: {moved}"
            )


def _slowdowns(pairs: pd.DataFrame, limits: Limits) -> Iterator[Finding]:
    """Compare times where machine and load are the same; what slows all codecs alike is the machine."""
    rows = pairs[pairs["both_ok"]]
    alike = np.ones(len(rows), dtype=bool)
    for column in ("machine", "jobs", "threads"):
        alike &= (rows[column] == rows[f"{column}_reference"]).to_numpy(bool)
    if not alike.all():
        how = "none" if not alike.any() else f"{int(alike.sum())} of {len(rows)} rows"
        message = f"times: {how} compared; the others are of another machine, or of other jobs or threads"
        yield Finding("times not compared", "note", "", message)
    rows = rows[alike]
    yield from _slower("slower encoding", "encode_seconds", rows, limits)
    yield from _slower("slower decoding", "decode_seconds", rows, limits)


def _slower(kind: Kind, column: str, rows: pd.DataFrame, limits: Limits) -> Iterator[Finding]:
    """Judge by the tenth of rows that got slower least: load comes and goes, slower code slows all."""
    now, before = _values(rows, column)
    usable = (before > limits.min_seconds) & (now > 0)
    codecs = rows["codec"].to_numpy()
    least: dict[str, float] = {}
    for codec in pd.unique(codecs):
        mine = usable & (codecs == codec)
        if mine.sum() >= limits.min_timed_rows:
            least[str(codec)] = float(np.quantile(now[mine] / before[mine], 0.1))
    allowed = limits.max_slowdown_percent
    severity: Severity = "fail" if limits.slowdown_fails else "note"
    for codec, ratio in least.items():
        others = [other for name, other in least.items() if name != codec]
        common = max(1.0, float(np.median(others))) if others else 1.0
        slow = f"nine rows in ten take {(ratio - 1) * 100:+.0f} % time or more"
        if (ratio / common - 1) * 100 > allowed:
            yield Finding(kind, severity, codec, f"{slow}; the limit is {allowed:g} %")
        elif (ratio - 1) * 100 > allowed:
            yield Finding(kind, "note", codec, f"{slow}, as the other codecs: the machine was busy")


def _values(rows: pd.DataFrame, column: str) -> tuple[F64, F64]:
    sides = (rows.get(f"{column}{side}", pd.Series(np.nan, rows.index)) for side in _SIDES)
    now, before = (values.to_numpy(dtype=np.float64, na_value=np.nan) for values in sides)
    return now, before


def _place(row: pd.Series) -> str:
    return f"{row['image']} at {row['point']:g}"


def _places(rows: pd.DataFrame) -> str:
    return _some([_place(row) for _, row in rows.head(_NAMED_AT_MOST).iterrows()], len(rows))


def _some(names: Sequence[str], total: int | None = None) -> str:
    more = (total or len(names)) - min(len(names), _NAMED_AT_MOST)
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
