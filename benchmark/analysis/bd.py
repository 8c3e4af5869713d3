"""Bjontegaard deltas of two curves: BD-rate and BD-quality by three interpolations, with their doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from benchmark.analysis.curves import Curve
from benchmark.analysis.pchip import BatchBd, Fronts, bd_batch, fronts
from benchmark.analysis.status import Status, joined
from benchmark.arrays import F64, Bools

Method = Literal["pchip", "akima", "cubic"]
METHODS: tuple[Method, ...] = get_args(Method)
MIN_OVERLAP = 0.75
MIN_POINTS = 4
"""A cubic has four coefficients: with fewer points the fit is not determined."""
MAX_DISAGREEMENT_PERCENT = 0.5


@dataclass(frozen=True)
class MethodFigures:
    """Deltas by one interpolation; None where the method cannot give one."""

    rate_percent: float | None
    quality_db: float | None


@dataclass(frozen=True)
class Bd:
    """Deltas of one curve against another.

    `rate_percent`: mean difference in rate at equal quality (PCHIP), negative is better. `quality_db`: mean
    difference in quality at equal rate. `overlap`: the shared part of the joint quality range, 0 to 1.
    None where the curves share no range or have fewer than two usable points; `statuses` says why.
    """

    rate_percent: float | None
    quality_db: float | None
    by_method: Mapping[Method, MethodFigures]
    overlap: float
    statuses: tuple[Status, ...]


def bd_of_curves(anchor: Curve, test: Curve) -> Bd:
    """Return the deltas of `test` against `anchor`, by Bjontegaard (VCEG-M33, 2001) with the FAU package.

    The curves are cut to their rising part first (see `pchip.fronts`), which is said in `statuses`, as are
    whatever doubts the curves themselves carry.
    """
    sides = [fronts(curve.rates[None, :], curve.qualities[None, :]) for curve in (anchor, test)]
    batch = bd_batch(sides[0], sides[1])
    by_method = {method: _by_package(sides[0], sides[1], method) for method in METHODS}
    doubts = [
        _doubts(np.array([curve.rates]), np.array([curve.qualities]), side)
        for curve, side in zip((anchor, test), sides, strict=True)
    ]
    named = pair_statuses(doubts[0], doubts[1], batch)[0]
    disagree: tuple[Status, ...] = ("methods_disagree",) if _disagree(by_method) else ()
    return Bd(
        rate_percent=by_method["pchip"].rate_percent,
        quality_db=by_method["pchip"].quality_db,
        by_method=by_method,
        overlap=float(batch.overlap[0]),
        statuses=joined(anchor.statuses, test.statuses, named, disagree),
    )


def _by_package(anchor: Fronts, test: Fronts, method: Method) -> MethodFigures:
    from bjontegaard import bd_psnr, bd_rate  # imports matplotlib: only where it is used

    sides = [
        (side.rates[0, : side.counts[0]], side.qualities[0, : side.counts[0]]) for side in (anchor, test)
    ]
    if min(len(rates) for rates, _ in sides) < (MIN_POINTS if method == "cubic" else 2):
        return MethodFigures(None, None)
    (anchor_rates, anchor_db), (test_rates, test_db) = sides
    options = {"method": method, "require_matching_points": False, "min_overlap": 0}
    share_quality = min(anchor_db[-1], test_db[-1]) > max(anchor_db[0], test_db[0])
    share_rate = min(anchor_rates[-1], test_rates[-1]) > max(anchor_rates[0], test_rates[0])
    return MethodFigures(
        float(bd_rate(anchor_rates, anchor_db, test_rates, test_db, **options)) if share_quality else None,
        float(bd_psnr(anchor_rates, anchor_db, test_rates, test_db, **options)) if share_rate else None,
    )


def _disagree(by_method: Mapping[Method, MethodFigures]) -> bool:
    found = [figures.rate_percent for figures in by_method.values() if figures.rate_percent is not None]
    return bool(found) and max(found) - min(found) > MAX_DISAGREEMENT_PERCENT


@dataclass(frozen=True, eq=False)
class Doubts:
    """What is wrong with each curve of a batch, [curves] each."""

    too_few: Bools
    unusable: Bools
    duplicates: Bools
    falling: Bools


def _doubts(rates: F64, qualities: F64, kept: Fronts) -> Doubts:
    usable = np.isfinite(rates) & np.isfinite(qualities) & (rates > 0)
    order = np.lexsort((qualities, rates), axis=1)
    r, q = (np.take_along_axis(np.where(usable, a, np.nan), order, axis=1) for a in (rates, qualities))
    duplicates = ((np.diff(r, axis=1) == 0) & (np.diff(q, axis=1) == 0)).sum(axis=1)
    return Doubts(
        too_few=kept.counts < MIN_POINTS,
        unusable=kept.counts < 2,
        duplicates=duplicates > 0,
        falling=kept.counts < usable.sum(axis=1) - duplicates,
    )


def pair_statuses(anchor: Doubts, test: Doubts, batch: BatchBd) -> list[tuple[Status, ...]]:
    """Name what is doubtful in each pair of a batch: one tuple of statuses a pair."""
    usable = ~(anchor.unusable | test.unusable)
    flags: dict[Status, Bools] = {
        "no_overlap": usable & ~np.isfinite(batch.rate_percent),
        "no_rate_overlap": usable & ~np.isfinite(batch.quality_db),
        "overlap_below_75": (batch.overlap > 0) & (batch.overlap < MIN_OVERLAP),
        "non_monotonic": anchor.falling | test.falling,
        "duplicate_points": anchor.duplicates | test.duplicates,
        "too_few_points": anchor.too_few | test.too_few,
    }
    doubtful = np.logical_or.reduce(list(flags.values()))
    return [
        joined([name for name, held in flags.items() if held[i]]) if doubtful[i] else ("ok",)
        for i in range(len(usable))
    ]


@dataclass(frozen=True, eq=False)
class PerImageBd:
    """Deltas image by image, [images] each; NaN where an image has no figure, `statuses` says why."""

    rate_percent: F64
    quality_db: F64
    overlap: F64
    statuses: list[tuple[Status, ...]]


def bd_per_image(
    anchor_rates: F64, anchor_qualities: F64, test_rates: F64, test_qualities: F64
) -> PerImageBd:
    """Return the deltas of each image's own pair of curves (PCHIP). All arrays are [points, images], dB."""
    pairs = [(anchor_rates.T, anchor_qualities.T), (test_rates.T, test_qualities.T)]
    sides = [fronts(*pair) for pair in pairs]
    batch = bd_batch(sides[0], sides[1])
    doubts = [_doubts(*pair, side) for pair, side in zip(pairs, sides, strict=True)]
    statuses = pair_statuses(doubts[0], doubts[1], batch)
    return PerImageBd(batch.rate_percent, batch.quality_db, batch.overlap, statuses)


def rate_savings(anchor: Curve, test: Curve, samples: int = 200) -> tuple[F64, F64]:
    """Return qualities (dB, [samples]) over the shared range and the rate of `test` there against `anchor`,
    in percent.

    Negative is a saving. Both arrays are empty where the two share no range. BD-rate is the mean, in the
    logarithm, of this function.
    """
    from scipy.interpolate import PchipInterpolator

    sides = [fronts(curve.rates[None, :], curve.qualities[None, :]) for curve in (anchor, test)]
    if min(side.counts[0] for side in sides) < 2:
        return np.empty(0), np.empty(0)
    knots = [
        (side.qualities[0, : side.counts[0]], np.log10(side.rates[0, : side.counts[0]])) for side in sides
    ]
    low, high = max(q[0] for q, _ in knots), min(q[-1] for q, _ in knots)
    if low >= high:
        return np.empty(0), np.empty(0)
    qualities = np.linspace(low, high, samples)
    anchor_log, test_log = (PchipInterpolator(*knot)(qualities) for knot in knots)
    return qualities, (10 ** (test_log - anchor_log) - 1) * 100
