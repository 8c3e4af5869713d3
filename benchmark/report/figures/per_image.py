"""Image by image: a strip of dots for each codec, with their mean and the mean's interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.analysis import Comparison, Estimate
from benchmark.arrays import F64
from benchmark.report import captions
from benchmark.report.figures.base import MetricFigure
from benchmark.report.figures.texts import wrapped
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_DOTS = 200
"""Beyond this many images a strip shows quantiles, one dot for each half percent, instead of images."""


class PerImage(MetricFigure):
    """Each image's own BD-rate against the anchor: where the mean of images comes from."""

    title = "Image by image"
    interactive = True

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether any codec has per-image figures against the anchor."""
        return bool(_rows(summary, metric))

    def said(self, summary: Summary, metrics: Sequence[str]) -> list[str]:
        """Say what dots, diamonds and bars are."""
        resamples = max(c.resamples for metric in metrics for c in summary.against(metric))
        return [
            f"BD-rate image by image against {summary.text(summary.anchor)}, on {captions.title(summary)} "
            "(PCHIP; below 0: fewer bits).",
            f"Diamond: mean of the dots; bar: its 95 % interval, paired bootstrap, {resamples:,} resamples.",
            *captions.doubts(summary, metrics, of="images"),
            f"Dots: images (quantiles where there are more than {MAX_DOTS}).",
        ]

    def draw(self, ax: Axes, summary: Summary, metric: str) -> None:
        """Draw the strips of all codecs, that with the best mean of images on top."""
        rows = _rows(summary, metric)
        for y, (codec, values, mean) in enumerate(rows):
            shown = thinned(values[np.isfinite(values)])
            heights = y - 0.12 + swarm(shown, ax.bbox.width / ax.figure.dpi)
            scale = summary.presentation.medium.scale
            colour = summary.styles[codec].colour
            ax.scatter(shown, heights, s=5 * scale**2, color=colour, alpha=0.6, linewidth=0)
            _draw_mean(ax, mean, y + 0.33, scale)  # beside the dots, not over them
        ax.axvline(0, color="0.3", linewidth=0.8, zorder=0)
        ax.set_yticks(range(len(rows)), [wrapped(summary.text(codec), 26) for codec, _, _ in rows])
        ax.set(ylim=(len(rows) - 0.4, -0.65))
        ax.set(xlabel=f"{captions.short_label(metric)} BD-rate against {summary.text(summary.anchor)} (%)")
        ax.tick_params(axis="y", length=0)
        ax.grid(True, axis="x")

    def height_inches(self, summary: Summary, *, wide: bool) -> float:
        """Return the height of a strip for each codec."""
        del wide
        return 0.75 + 0.27 * max(2, len(summary.against(summary.metrics[0])))


def _rows(summary: Summary, metric: str) -> list[tuple[str, F64, Estimate]]:
    """Return codec, BD-rates of the images (percent) and their mean, the best mean first."""
    found = [_row(c) for c in summary.against(metric) if c.per_image is not None and c.per_image.n_images]
    return sorted(found, key=lambda row: row[2].value or 0.0)


def _row(c: Comparison) -> tuple[str, F64, Estimate]:
    assert c.per_image is not None
    return c.codec, c.per_image.table["bd_rate_percent"].to_numpy(np.float64), c.per_image.rate


def _draw_mean(ax: Axes, rate: Estimate, y: float, scale: float) -> None:
    if rate.low is not None and rate.high is not None:
        bar: Any = {"color": "black", "linewidth": 0.9 * scale, "marker": "|", "markersize": 3.5 * scale}
        ax.plot([rate.low, rate.high], [y] * 2, **bar)
    if rate.value is not None:
        ax.plot(rate.value, y, color="black", marker="D", markersize=2.6 * scale)


def thinned(values: F64) -> F64:
    """Return the values, or evenly spaced quantiles of them where there are too many for single dots."""
    if len(values) <= MAX_DOTS:
        return np.sort(values)
    return np.quantile(values, (np.arange(MAX_DOTS) + 0.5) / MAX_DOTS)


def swarm(values: F64, width_inches: float) -> F64:
    """Return for each of the sorted values a height around 0 at which dots do not cover one another."""
    span = float(np.ptp(values)) if len(values) else 0.0
    reach = max(span, 1e-9) * 0.1 / width_inches
    heights = np.zeros(len(values))
    levels = [0.0, 0.13, -0.13, 0.24, -0.24, 0.34, -0.34]
    last = dict.fromkeys(levels, -np.inf)
    for i, value in enumerate(values):
        free = [level for level in levels if value - last[level] >= reach]
        heights[i] = free[0] if free else min(levels, key=lambda level: last[level])
        last[heights[i]] = value
    return heights


PER_IMAGE = PerImage()
