"""A BD-rate in one call, with its doubts: of two lists of points, or of published curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmark.analysis import MEANING, Curve, Estimate, Status, bd_of_curves
from benchmark.analysis import published_files as files
from benchmark.analysis.grid import Coverage, resolve
from benchmark.analysis.status import NOT_TO_QUOTE
from benchmark.errors import AnalysisError
from benchmark.metrics import DEFAULT
from benchmark.metrics.base import Metric

Points = Sequence[tuple[float, float]] | Curve
"""(bpp, value of the metric) of each operating point, or a published curve."""


@dataclass(frozen=True)
class BdRate:
    """A BD-rate in percent, below 0 where `test` needs fewer bits than `anchor`; None where there is none.

    `low` and `high` are the ends of the 95 % interval, where there are images to resample. `doubts` are
    sentences by name; `quotable` tells whether they leave a figure to quote. `detail` is a Comparison or Bd.
    """

    test: str
    anchor: str
    metric: str
    percent: float | None
    low: float | None = None
    high: float | None = None
    doubts: Mapping[Status, str] = field(default_factory=dict)
    quotable: bool = True
    detail: object = None

    def __float__(self) -> float:
        """Return the percentage, NaN where there is none."""
        return float("nan") if self.percent is None else self.percent

    def __repr__(self) -> str:
        """Return a line: the figure, its interval, and doubts by name."""
        figure = Estimate(self.percent, self.low, self.high).in_words("%")
        doubts = f"; {', '.join(self.doubts)}" if self.doubts else ""
        return f"BdRate({self.test} against {self.anchor}, {self.metric}: {figure}{doubts})"


def bd_rate(test: Points, anchor: Points, metric: str = DEFAULT) -> BdRate:
    """Return the BD-rate of `test` against `anchor` (PCHIP), each a list of (bpp, value) or a curve.

    Values are the metric's own: MS-SSIM from 0 to 1, not in dB. Two lists give no interval.
    Raises AnalysisError, naming the point, for what is no list of such pairs.
    """
    found = resolve(metric)
    sides = [curve_of(points, found, name) for points, name in ((test, "test"), (anchor, "anchor"))]
    bd = bd_of_curves(sides[1], sides[0], decibels=found.in_decibels)
    return BdRate(
        test=sides[0].label,
        anchor=sides[1].label,
        metric=metric,
        percent=bd.rate_percent,
        doubts=doubts_of(bd.statuses),
        quotable=bd.rate_percent is not None and not NOT_TO_QUOTE.intersection(bd.statuses),
        detail=bd,
    )


def curve_of(points: Points, metric: Metric, label: str) -> Curve:
    """Return the curve of (bpp, value) points. Raises AnalysisError, naming the point, for what is none."""
    if isinstance(points, Curve):
        if points.metric != metric.name:
            raise AnalysisError(f"{points.label} is of {points.metric}, not of {metric.name}")
        return points
    for number, pair in enumerate(points, 1):
        if not _is_point(pair):
            raise AnalysisError(f"{label}, point {number}: {pair!r} is no (bpp above 0, {metric.name})")
    if len(points) < 2:
        raise AnalysisError(f"{label}: has {len(points)} points; give at least four (bpp, {metric.name})")
    rates, values = np.array(sorted(points), dtype=np.float64).T
    files.check_values(label, metric.name, values)
    return Curve(
        label=label,
        dataset="",
        metric=metric.name,
        rate="bpp",
        averaging="per_image",
        points=np.full(len(rates), np.nan),
        rates=rates,
        qualities=metric.quality(values),
        values=values,
        coverage=Coverage(images_used=0, dataset_size=0),
        statuses=("ok",),
    )


def _is_point(pair: object) -> bool:
    try:
        numbers = np.asarray(pair, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return numbers.shape == (2,) and bool(np.isfinite(numbers).all()) and bool(numbers[0] > 0)


def doubts_of(statuses: Sequence[Status]) -> dict[Status, str]:
    """Return what the statuses mean that say of something to doubt."""
    return {status: MEANING[status] for status in statuses if status not in ("ok", "published")}


def published(named: str | Path, metric: str = DEFAULT) -> Curve:
    """Return the published curve of this name (`bench list curves`), or that of a file with one.

    Raises AnalysisError for a name that does not exist, a bad file, or one with several curves.
    """
    found = files.find(str(named))
    if len(found) > 1:
        raise AnalysisError(f"{named}: has {len(found)} curves; give a file with one")
    return found[0].curve(metric)
