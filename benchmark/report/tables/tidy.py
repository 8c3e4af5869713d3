"""Every number of a report in one tidy frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from benchmark.analysis import Comparison, Estimate
from benchmark.metrics import METRICS
from benchmark.report.headline import mean_rates
from benchmark.report.speed import Spread
from benchmark.report.summary import Summary

TIDY_COLUMNS = [
    "kind", "suite", "dataset", "metric", "anchor", "codec", "source", "point", "figure", "value",
    "low", "high", "unit", "images", "dataset_size", "averaging", "resamples", "statuses",
]  # fmt: skip


def tidy(summary: Summary) -> pd.DataFrame:
    """Return every number of the report, one a row (TIDY_COLUMNS).

    `kind` is curve (figures bpp, quality_db and value at a point), bd (against `anchor`), time or operations.
    `value`, `low` and `high` are in `unit`.
    """
    shared = {"suite": summary.suite, "dataset": summary.dataset}
    found = [
        {**shared, **row}
        for row in (*_curve_rows(summary), *_bd_rows(summary), *_mean_rows(summary), *_cost_rows(summary))
    ]
    frame = pd.DataFrame(found, columns=TIDY_COLUMNS)
    numbers = dict.fromkeys(("point", "value", "low", "high"), "float64")
    counts = dict.fromkeys(("images", "dataset_size", "resamples"), "Int64")
    return frame.astype(numbers | counts)


def _curve_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for metric in summary.metrics:
        units = ("bpp", METRICS.find(metric).quality_unit, "")
        for codec, curve in summary.drawn(metric).items():
            about = {
                "kind": "curve", "metric": metric, "codec": codec, "source": curve.source,
                "images": curve.coverage.images_used, "dataset_size": curve.coverage.dataset_size,
                "averaging": curve.averaging, "statuses": " ".join(curve.statuses),
            }  # fmt: skip
            for point, *values in zip(curve.points, curve.rates, curve.qualities, curve.values, strict=True):
                for figure, unit, value in zip(("bpp", "quality_db", "value"), units, values, strict=True):
                    yield {**about, "point": point, "figure": figure, "value": value, "unit": unit}


def _bd_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for metric in summary.metrics:
        for anchor in summary.comparisons[metric]:
            for c in summary.against(metric, anchor):
                yield from _figures(c)


def _figures(c: Comparison) -> Iterator[dict[str, Any]]:
    about = {
        "kind": "bd", "metric": c.metric, "anchor": c.anchor, "codec": c.codec, "source": "measured",
        "images": len(c.images), "dataset_size": c.coverage.dataset_size, "averaging": c.averaging,
        "resamples": c.resamples,
    }  # fmt: skip
    unit = METRICS.find(c.metric).quality_unit
    of_curves: list[tuple[str, str, Estimate]] = [
        ("bd_rate_of_mean_curves", "%", c.mean_curve.rate),
        ("bd_quality_of_mean_curves", unit, c.mean_curve.quality),
        ("bd_rate_without_a_point", "%", Estimate(c.mean_curve.interpolation_error_percent)),
        *(
            (f"bd_rate_of_mean_curves_{m}", "%", Estimate(f.rate_percent))
            for m, f in c.mean_curve.by_method.items()
        ),
    ]
    of_images: list[tuple[str, str, Estimate]] = []
    if c.per_image is not None:
        of_images = [
            ("bd_rate_mean_of_images", "%", c.per_image.rate),
            ("bd_rate_median_of_images", "%", Estimate(c.per_image.median_rate_percent)),
            ("bd_rate_spread_of_images", "%", Estimate(c.per_image.std_rate_percent)),
            ("bd_quality_mean_of_images", unit, c.per_image.quality),
        ]
    for figures, held in (
        ([("bd_rate_headline", "%", c.headline_rate)], c.headline_statuses),
        (of_curves, c.statuses),
        (of_images, c.image_statuses),
    ):
        for figure, unit, e in figures:
            numbers = {"value": e.value, "low": e.low, "high": e.high}
            yield {**about, "figure": figure, **numbers, "unit": unit, "statuses": " ".join(held)}


def _mean_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for mean in mean_rates(summary):
        yield {
            "kind": "bd", "metric": " ".join(mean.metrics), "anchor": mean.anchor, "codec": mean.codec,
            "source": "measured", "figure": "bd_rate_mean_of_metrics", "value": mean.rate.value,
            "low": mean.rate.low, "high": mean.rate.high, "unit": "%", "images": mean.images,
            "dataset_size": summary.dataset_size, "resamples": mean.resamples,
        }  # fmt: skip


def _cost_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for codec, speed in summary.speeds.items():
        about = {"kind": "time", "codec": codec, "source": "measured", "statuses": speed.condition}
        for side in ("encode", "decode"):
            numbers = _spread(getattr(speed, side))
            yield {**about, "figure": f"{side}_seconds_per_megapixel", **numbers, "unit": "s/MP"}
    for codec, cost in summary.costs.items():
        about = {"kind": "operations", "codec": codec, "source": "measured"}
        for side in ("encode", "decode"):
            numbers = _spread(getattr(cost, side))
            yield {**about, "figure": f"{side}_kmac_per_pixel", **numbers, "unit": "kMAC/pixel"}


def _spread(found: Spread) -> dict[str, float]:
    return {"value": found.median, "low": found.low, "high": found.high}
