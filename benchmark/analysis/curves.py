"""Rate-distortion curves from records: the only place where per-image results are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from benchmark.analysis.grid import CodecGrid, Coverage, codec_grids, complete, resolve
from benchmark.analysis.status import Status, joined
from benchmark.arrays import F64
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.metrics import DEFAULT
from benchmark.metrics.base import Metric

Averaging = Literal["per_image", "mean_mse", "pixel_weighted"]
AVERAGINGS: dict[str, str] = {
    "per_image": "arithmetic mean over images of bpp and of the metric",
    "mean_mse": "PSNR of the mean squared error over images; arithmetic mean of bpp",
    "pixel_weighted": "means over images of bpp and of the metric, weighted by pixels",
}


@dataclass(frozen=True, eq=False)
class Curve:
    """A rate-distortion curve, averaged over images: arrays of one length, sorted by rising rate.

    `rates` in bits per pixel. `qualities` are Metric.quality of the means, more is better: dB for PSNR and
    MS-SSIM. The plain means are in `values`. `points` are the operating points' own values (QP, quality,
    lambda).
    """

    label: str
    dataset: str
    metric: str
    rate: str
    averaging: str
    points: F64
    rates: F64
    qualities: F64
    values: F64
    coverage: Coverage
    statuses: tuple[Status, ...]
    source: Literal["measured", "published"] = "measured"
    provenance: str = ""

    @property
    def n_points(self) -> int:
        """How many operating points the curve has."""
        return len(self.rates)


@dataclass(frozen=True, eq=False)
class PerImageCurves:
    """One codec's curves image by image. `rates` and `qualities` (of Metric.quality) are [points, images].

    All images have all points: what could not take part is in `coverage`.
    """

    label: str
    dataset: str
    metric: str
    rate: str
    points: F64
    images: tuple[str, ...]
    rates: F64
    qualities: F64
    coverage: Coverage
    statuses: tuple[Status, ...]


def check_averaging(averaging: str, metric: Metric) -> None:
    """Raise AnalysisError unless this averaging exists and makes sense for the metric."""
    if averaging not in get_args(Averaging):
        raise AnalysisError(f"unknown averaging {averaging!r}; {did_you_mean(averaging, AVERAGINGS)}")
    if averaging == "mean_mse" and not metric.has_mse:
        raise AnalysisError(f"averaging 'mean_mse' is for PSNR, not for {metric.name!r}; use 'per_image'")


def weighted_means(grid: CodecGrid, weights: F64, averaging: str) -> tuple[F64, F64]:
    """Return mean rates and mean metric values, each [sets, points], under image weights [sets, images].

    One row of weights (all one) gives the plain curve; the bootstrap passes one row per resample.
    """
    if averaging == "pixel_weighted":
        weights = weights * grid.pixels
    total = weights.sum(axis=1, keepdims=True)
    rates = (weights @ grid.rates.T) / total
    if averaging == "mean_mse":
        return rates, -10 * np.log10(weights @ (10 ** (-grid.values.T / 10)) / total)
    return rates, (weights @ grid.values.T) / total


def mean_curve(grid: CodecGrid, coverage: Coverage, statuses: Sequence[Status], averaging: str) -> Curve:
    """Return the mean curve of a complete grid (see `grid.complete`)."""
    if grid.images and len(grid.points):
        rates, values = (
            found[0] for found in weighted_means(grid, np.ones((1, len(grid.images))), averaging)
        )
    else:
        rates = values = np.full(len(grid.points), np.nan)
    order = np.argsort(rates, kind="stable")
    return Curve(
        label=grid.codec,
        dataset=grid.dataset,
        metric=grid.metric.name,
        rate=grid.rate,
        averaging=averaging,
        points=grid.points[order],
        rates=rates[order],
        qualities=grid.metric.quality(values)[order],
        values=values[order],
        coverage=coverage,
        statuses=joined(statuses),
    )


def mean_curves(
    frame: pd.DataFrame,
    metric: Metric | str = DEFAULT,
    rate: str = "bpp",
    *,
    averaging: str = "per_image",
    codecs: Sequence[str] | None = None,
    dataset: str | None = None,
) -> dict[str, Curve]:
    """Return each codec's mean curve over the images that have every one of its points.

    Raises AnalysisError for unknown names, missing columns, or several datasets where none is named.
    """
    metric = resolve(metric)
    check_averaging(averaging, metric)
    found: dict[str, Curve] = {}
    for codec, grid in codec_grids(frame, metric, rate, codecs=codecs, dataset=dataset).items():
        (whole,), coverage, statuses = complete(grid)
        found[codec] = mean_curve(whole, coverage, statuses, averaging)
    return found


def per_image_curves(
    frame: pd.DataFrame,
    metric: Metric | str = DEFAULT,
    rate: str = "bpp",
    *,
    codecs: Sequence[str] | None = None,
    dataset: str | None = None,
) -> Mapping[str, PerImageCurves]:
    """Return each codec's curves image by image. Raises as `mean_curves` does."""
    metric = resolve(metric)
    found: dict[str, PerImageCurves] = {}
    for codec, grid in codec_grids(frame, metric, rate, codecs=codecs, dataset=dataset).items():
        (whole,), coverage, statuses = complete(grid)
        found[codec] = PerImageCurves(
            label=codec,
            dataset=whole.dataset,
            metric=metric.name,
            rate=rate,
            points=whole.points,
            images=whole.images,
            rates=whole.rates,
            qualities=metric.quality(whole.values),
            coverage=coverage,
            statuses=statuses,
        )
    return found
