"""One figure of several metrics: the mean of their BD-rates, as JPEG AI quotes it, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis.figures import Comparison
from benchmark.analysis.intervals import Estimate, bootstrap, estimate
from benchmark.arrays import F64
from benchmark.errors import AnalysisError


@dataclass(frozen=True)
class MeanRate:
    """The mean over metrics and images of a codec's BD-rates against an anchor, in percent.

    `by_metric` are the means over the same `images`; `left_out` are images without a BD-rate in some metric.
    """

    codec: str
    anchor: str
    metrics: tuple[str, ...]
    rate: Estimate
    by_metric: dict[str, float]
    images: int
    left_out: int
    resamples: int


def mean_rate(comparisons: Sequence[Comparison]) -> MeanRate:
    """Return the mean of the BD-rates of one pair of codecs, a comparison for each metric.

    Each image has a BD-rate in each metric; the mean over metrics, then over images, is the figure ("JPEG AI
    Common Training and Test Conditions"). The interval is of a paired bootstrap over images: a resample has
    the same images in all metrics. Raises AnalysisError where there is nothing to average, or the comparisons
    are of several pairs of codecs, or with a published curve.
    """
    pairs = {(c.codec, c.anchor) for c in comparisons}
    if len(pairs) != 1:
        raise AnalysisError(f"a mean of BD-rates is of one pair of codecs, not of {len(pairs)}")
    tables = [c.per_image.table for c in comparisons if c.per_image is not None]
    if len(tables) < len(comparisons):
        raise AnalysisError("a published curve has no images, over which to average BD-rates")
    columns = [table.set_index("image")["bd_rate_percent"] for table in tables]
    images = sorted(set.union(*(set(column.index) for column in columns)))
    rates: F64 = np.array([column.reindex(images).to_numpy(np.float64) for column in columns])
    held = np.isfinite(rates).all(axis=0)
    rates = rates[:, held]
    of_images = rates.mean(axis=0)

    def figures(weights: F64) -> tuple[F64, ...]:
        return (np.asarray(np.einsum("ri,i->r", weights, of_images) / weights.sum(axis=1)),)

    resamples = min(c.resamples for c in comparisons)
    seed = comparisons[0].seed
    (interval,) = bootstrap(figures, len(of_images), resamples=resamples, seed=seed) or [None]
    value = float(of_images.mean()) if len(of_images) else np.nan
    means = rates.mean(axis=1) if len(of_images) else np.full(len(comparisons), np.nan)
    return MeanRate(
        *next(iter(pairs)),
        metrics=tuple(c.metric for c in comparisons),
        rate=estimate(value, interval),
        by_metric={c.metric: float(mean) for c, mean in zip(comparisons, means, strict=True)},
        images=len(of_images),
        left_out=len(images) - len(of_images),
        resamples=resamples,
    )
