"""What a comparison holds: the two BD figures with intervals, their doubts, and one tidy row of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.analysis.curves import Curve
from benchmark.analysis.grid import Coverage
from benchmark.analysis.interpolation import Method, MethodFigures
from benchmark.analysis.intervals import Estimate
from benchmark.analysis.shared import Shared
from benchmark.analysis.status import MIXED, NOT_TO_QUOTE, OF_CURVES, Status, joined
from benchmark.metrics.base import Metric

Headline = Literal["mean of images", "mean curve"]
MEAN_CURVES = "mean curves"


@dataclass(frozen=True)
class MeanCurveFigure:
    """BD of the mean curves: `rate` in percent, `quality` in the unit of Metric.quality.

    `shared` are the ends of the range of qualities over which rates are compared, None if there is none;
    `overlap` is the part of the shorter curve that it makes, 0 to 1. `interpolation_error_percent` is the
    most by which leaving out one point moves the BD-rate, in points (see `interpolation`).
    """

    rate: Estimate
    quality: Estimate
    by_method: Mapping[Method, MethodFigures]
    overlap: float
    shared: tuple[float, float] | None
    interpolation_error_percent: float | None
    statuses: tuple[Status, ...]


@dataclass(frozen=True, eq=False)
class PerImageFigure:
    """Mean of the images' own BD figures, as in MeanCurveFigure, with the spread over images.

    `table` has a row an image: image, bd_rate_percent, bd_quality_db, overlap, statuses (NaN: no figure).
    `n_images` entered the mean. Quartiles and standard deviation are of bd_rate_percent; None without
    figures. `doubts` counts the images of which each status is said.
    """

    rate: Estimate
    quality: Estimate
    median_rate_percent: float | None
    quartiles_rate_percent: tuple[float, float] | None
    std_rate_percent: float | None
    median_quality_db: float | None
    n_images: int
    doubts: Mapping[Status, int]
    table: pd.DataFrame


@dataclass(frozen=True)
class PointDelta:
    """The difference at one shared operating point: mean rate in percent, quality of the mean."""

    point: float
    rate: Estimate
    quality: Estimate


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that is known of `codec` against `anchor` on one metric; BD-rates below 0: `codec` needs fewer
    bits.

    `per_image` is None against a published curve, which has no per-image results. `point_deltas` is empty
    unless the two share operating points. `statuses` are those of the mean curves and of the comparison as a
    whole; ("ok",) if there is no doubt. Those of single images are in `per_image`, and all in `doubts`.
    """

    codec: str
    anchor: str
    dataset: str
    metric: str
    rate: str
    averaging: str
    codec_curve: Curve
    anchor_curve: Curve
    mean_curve: MeanCurveFigure
    per_image: PerImageFigure | None
    shares_points: bool
    point_deltas: tuple[PointDelta, ...]
    images: tuple[str, ...]
    coverage: Coverage
    resamples: int
    seed: int
    statuses: tuple[Status, ...]

    @property
    def headline(self) -> Headline:
        """Which figure to quote: the paired one where the two share operating points."""
        return "mean of images" if self.shares_points and self.per_image is not None else "mean curve"

    @property
    def headline_rate(self) -> Estimate:
        """The BD-rate to quote, in percent."""
        if self.per_image is not None and self.headline == "mean of images":
            return self.per_image.rate
        return self.mean_curve.rate

    @property
    def quotable(self) -> bool:
        """Whether there is a figure, of comparable curves with enough in common for BD-rate to be used."""
        return self.headline_rate.value is not None and not (NOT_TO_QUOTE | MIXED).intersection(self.statuses)

    @property
    def headline_statuses(self) -> tuple[Status, ...]:
        """The statuses of the figure to quote."""
        return self.statuses if self.headline == "mean curve" else self.image_statuses

    @property
    def image_statuses(self) -> tuple[Status, ...]:
        """The statuses of the mean of images: of any image's curves, and of the comparison as a whole."""
        whole = [status for status in self.statuses if status not in OF_CURVES]
        return joined(whole, self.per_image.doubts if self.per_image is not None else ())

    @property
    def doubts(self) -> dict[Status, tuple[str, ...]]:
        """Each doubt, and of which curves it is said: "mean curves", "9 of 24 images"; () for a whole."""
        found: dict[Status, tuple[str, ...]] = {}
        counts = {} if self.per_image is None else self.per_image.doubts
        for status in joined(self.statuses, counts):
            if status not in OF_CURVES or self.per_image is None:
                found[status] = ()
                continue
            images = f"{counts.get(status)} of {len(self.per_image.table)} images"
            said = ((MEAN_CURVES, status in self.statuses), (images, status in counts))
            found[status] = tuple(place for place, held in said if held)
        found.pop("ok", None)
        return found


@dataclass(frozen=True)
class Options:
    """How comparisons are made."""

    metric: Metric
    rate: str
    averaging: str
    dataset: str | None
    allow_mixed: bool
    resamples: int
    seed: int
    shared: Shared


def no_mean_figure(statuses: tuple[Status, ...]) -> MeanCurveFigure:
    """Return the answer where no figure can be given; `statuses` says why."""
    return MeanCurveFigure(Estimate(None), Estimate(None), {}, 0.0, None, None, statuses)


def no_per_image_figure() -> PerImageFigure:
    """Return the answer where no figure can be given."""
    columns = ["image", "bd_rate_percent", "bd_quality_db", "overlap", "statuses"]
    none = Estimate(None)
    return PerImageFigure(none, none, None, None, None, None, 0, {}, pd.DataFrame(columns=columns))


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return one tidy row a comparison, for tables and files: BD figures, intervals, methods, statuses.

    Rates in percent; `_db` are differences of Metric.quality, dB for PSNR and MS-SSIM. NaN where there is no
    figure.
    """
    return pd.DataFrame([_row(comparison) for comparison in comparisons], columns=TABLE_COLUMNS)


TABLE_COLUMNS = [
    "codec", "anchor", "dataset", "metric", "rate", "averaging", "headline", "headline_bd_rate_percent",
    "mean_curve_bd_rate_percent", "mean_curve_bd_rate_low", "mean_curve_bd_rate_high",
    "mean_curve_bd_quality_db", "mean_curve_bd_quality_low", "mean_curve_bd_quality_high",
    "akima_bd_rate_percent", "cubic_bd_rate_percent", "interpolation_error_percent",
    "overlap", "quality_low", "quality_high",
    "per_image_bd_rate_percent", "per_image_bd_rate_low", "per_image_bd_rate_high",
    "per_image_bd_quality_db", "per_image_bd_quality_low", "per_image_bd_quality_high",
    "per_image_median_bd_rate_percent", "per_image_std_bd_rate_percent",
    "images", "dataset_size", "statuses", "image_statuses",
]  # fmt: skip


def _row(c: Comparison) -> dict[str, object]:
    mean, images = c.mean_curve, c.per_image or no_per_image_figure()
    none = MethodFigures(None, None)
    low, high = mean.shared or (None, None)
    row: dict[str, object] = {
        "codec": c.codec,
        "anchor": c.anchor,
        "dataset": c.dataset,
        "metric": c.metric,
        "rate": c.rate,
        "averaging": c.averaging,
        "headline": c.headline,
        "headline_bd_rate_percent": _number(c.headline_rate.value),
        "akima_bd_rate_percent": _number(mean.by_method.get("akima", none).rate_percent),
        "cubic_bd_rate_percent": _number(mean.by_method.get("cubic", none).rate_percent),
        "interpolation_error_percent": _number(mean.interpolation_error_percent),
        "overlap": mean.overlap,
        "quality_low": _number(low),
        "quality_high": _number(high),
        "per_image_median_bd_rate_percent": _number(images.median_rate_percent),
        "per_image_std_bd_rate_percent": _number(images.std_rate_percent),
        "images": len(c.images),
        "dataset_size": c.coverage.dataset_size,
        "statuses": " ".join(c.statuses),
        "image_statuses": " ".join(f"{status}:{n}" for status, n in images.doubts.items()) or "ok",
    }
    for prefix, figure in (("mean_curve", mean), ("per_image", images)):
        for kind, unit, found in (("rate", "percent", figure.rate), ("quality", "db", figure.quality)):
            row[f"{prefix}_bd_{kind}_{unit}"] = _number(found.value)
            row[f"{prefix}_bd_{kind}_low"] = _number(found.low)
            row[f"{prefix}_bd_{kind}_high"] = _number(found.high)
    return row


def _number(value: float | None) -> float:
    return np.nan if value is None else value
