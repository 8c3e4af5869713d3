"""Bjontegaard deltas of two curves: BD-rate and BD-quality by three interpolations, with their doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.analysis.curves import Curve
from benchmark.analysis.interpolation import (
    MIN_POINTS,
    Method,
    MethodFigures,
    OneCurve,
    by_each_method,
    leave_one_out_percent,
    spread_percent,
)
from benchmark.analysis.pchip import BatchBd, Fronts, bd_batch, fronts
from benchmark.analysis.status import Status, joined
from benchmark.arrays import F64, Bools

MIN_OVERLAP = 0.75
MIN_SHARED_DB = 2.0
"""Shorter than one step of the four QPs of JVET's common test conditions, 22 to 37: hardly a curve."""
MIN_DISAGREEMENT_PERCENT, DISAGREEMENT_SHARE = 0.5, 0.05
"""Methods disagree from so many points on, if that is also this share of the figure, and as wide as its
interval is on either side."""
MIN_MOVED_PERCENT, MOVED_SHARE = 2.0, 0.25
"""A figure hangs on single points if leaving one out moves it by so many points, and this share of it."""


@dataclass(frozen=True)
class Bd:
    """Deltas of one curve against another.

    `rate_percent`: mean difference in rate at equal quality (PCHIP), negative is better. `quality_db`: mean
    difference in quality at equal rate. `shared` are the ends of the range of qualities that both have, over
    which rates are compared, and `overlap` is the part of the shorter curve that it makes, 0 to 1.
    `interpolation_error_percent`: see `leave_one_out_percent`.
    None where the curves share no range or have fewer than two usable points; `statuses` says why.
    """

    rate_percent: float | None
    quality_db: float | None
    by_method: Mapping[Method, MethodFigures]
    overlap: float
    shared: tuple[float, float] | None
    interpolation_error_percent: float | None
    statuses: tuple[Status, ...]


def bd_of_curves(
    anchor: Curve, test: Curve, *, decibels: bool = True, cut: tuple[CutCurve, CutCurve] | None = None
) -> Bd:
    """Return the deltas of `test` against `anchor`, by Bjontegaard (VCEG-M33, 2001) with the FAU package.

    The curves are cut to their rising part first (see `pchip.fronts`), which is said in `statuses`, as are
    whatever doubts the curves themselves carry. `decibels` tells whether qualities are in dB; `cut` are the
    two curves where they have been cut already.
    """
    theirs, ours = cut or (CutCurve.of(anchor), CutCurve.of(test))
    batch = bd_batch(theirs.one.front, ours.one.front)
    by_method = by_each_method(theirs.one, ours.one)
    rate = by_method["pchip"].rate_percent
    moved = leave_one_out_percent(theirs.one, ours.one, batch)
    named = pair_statuses(theirs.doubts, ours.doubts, batch, decibels=decibels)[0]
    enough = "too_few_points" not in named
    return Bd(
        rate_percent=rate,
        quality_db=by_method["pchip"].quality_db,
        by_method=by_method,
        overlap=float(batch.overlap[0]),
        shared=(float(batch.low[0]), float(batch.high[0])) if batch.overlap[0] else None,
        interpolation_error_percent=moved,
        statuses=joined(
            anchor.statuses, test.statuses, named, of_interpolation(by_method, moved, enough_points=enough)
        ),
    )


def of_interpolation(
    by_method: Mapping[Method, MethodFigures],
    moved: float | None,
    half_interval: float = 0.0,
    *,
    enough_points: bool = True,
) -> tuple[Status, ...]:
    """Return the doubts that the interpolation leaves, beside an interval of the figure, if there is one.

    `moved`: see `leave_one_out_percent`; `half_interval`: half the width of the interval. All in percentage
    points. `enough_points`: whether there is a cubic.
    """
    rate = by_method["pchip"].rate_percent if by_method else None
    if rate is None:
        return ()
    supported = {name: f for name, f in by_method.items() if name != "cubic" or enough_points}
    tolerated = max(MIN_DISAGREEMENT_PERCENT, DISAGREEMENT_SHARE * abs(rate), half_interval)
    flags: dict[Status, bool] = {
        "methods_disagree": spread_percent(supported) > tolerated,
        "uncertain_interpolation": moved is not None
        and moved > max(MIN_MOVED_PERCENT, MOVED_SHARE * abs(rate)),
    }
    return tuple(name for name, held in flags.items() if held)


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


def pair_statuses(
    anchor: Doubts, test: Doubts, batch: BatchBd, *, decibels: bool
) -> list[tuple[Status, ...]]:
    """Name what is doubtful in each pair of a batch: one tuple of statuses a pair."""
    usable = ~(anchor.unusable | test.unusable)
    short = decibels & (batch.high - batch.low < MIN_SHARED_DB)
    flags: dict[Status, Bools] = {
        "no_overlap": usable & ~np.isfinite(batch.rate_percent),
        "no_rate_overlap": usable & ~np.isfinite(batch.quality_db),
        "little_overlap": (batch.overlap > 0) & ((batch.overlap < MIN_OVERLAP) | short),
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
class CutCurve:
    """One curve cut to its rising part, and what is doubtful in it."""

    one: OneCurve
    doubts: Doubts

    @classmethod
    def of(cls, curve: Curve) -> CutCurve:
        """Cut a curve."""
        cut = ImageCurves.of(curve.rates[:, None], curve.qualities[:, None])
        return cls(OneCurve(cut.fronts), cut.doubts)


@dataclass(frozen=True, eq=False)
class PerImageBd:
    """Deltas image by image, [images] each; NaN where an image has no figure, `statuses` says why."""

    rate_percent: F64
    quality_db: F64
    overlap: F64
    statuses: list[tuple[Status, ...]]


def bd_per_image(
    anchor_rates: F64,
    anchor_qualities: F64,
    test_rates: F64,
    test_qualities: F64,
    *,
    decibels: bool = True,
) -> PerImageBd:
    """Return the deltas of each image's own pair of curves (PCHIP). All arrays are [points, images].

    `decibels` tells whether qualities are in dB.
    """
    anchor, test = ImageCurves.of(anchor_rates, anchor_qualities), ImageCurves.of(test_rates, test_qualities)
    return bd_of_images(anchor, test, decibels=decibels)


@dataclass(frozen=True, eq=False)
class ImageCurves:
    """The curves of single images of one codec, and what is doubtful in each."""

    fronts: Fronts
    doubts: Doubts

    @classmethod
    def of(cls, rates: F64, qualities: F64) -> ImageCurves:
        """Cut curves, [points, images] each, to their rising parts."""
        kept = fronts(rates.T, qualities.T)
        return cls(kept, _doubts(rates.T, qualities.T, kept))


def bd_of_images(
    anchor: ImageCurves, test: ImageCurves, *, decibels: bool = True, deltas: BatchBd | None = None
) -> PerImageBd:
    """Return the deltas of each image's own pair of curves (see `bd_per_image`), or `deltas` with doubts."""
    batch = deltas or bd_batch(anchor.fronts, test.fronts)
    statuses = pair_statuses(anchor.doubts, test.doubts, batch, decibels=decibels)
    return PerImageBd(batch.rate_percent, batch.quality_db, batch.overlap, statuses)


def rate_savings(anchor: Curve, test: Curve, samples: int = 200) -> tuple[F64, F64]:
    """Return qualities (dB, [samples]) over the shared range and the rate of `test` there against `anchor`,
    in percent.

    Negative is a saving. Both arrays are empty where the two share no range. BD-rate is the mean, in the
    logarithm, of this function.
    """
    sides = [CutCurve.of(curve).one for curve in (anchor, test)]
    if min(len(side.qualities) for side in sides) < 2:
        return np.empty(0), np.empty(0)
    low, high = max(s.qualities[0] for s in sides), min(s.qualities[-1] for s in sides)
    if low >= high:
        return np.empty(0), np.empty(0)
    qualities = np.linspace(low, high, samples)
    anchor_log, test_log = (side.front.over_quality.values(qualities)[0] for side in sides)
    return qualities, (10 ** (test_log - anchor_log) - 1) * 100
