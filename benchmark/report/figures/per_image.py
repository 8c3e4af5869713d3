"""The per-image BD-rate plot: a strip of dots for each codec, with its mean and the mean's interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.arrays import F64
from benchmark.report import captions
from benchmark.report.style import COLOURS
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_DOTS = 200
"""Beyond this many images a strip shows quantiles, one dot for each half percent, instead of images."""


def draw_strips(ax: Axes, summary: Summary, metric: str, width_inches: float) -> None:
    """Draw the strips of all codecs against the anchor, that with the best mean of images on top."""
    rows = [c for c in summary.against(metric) if c.per_image is not None and c.per_image.n_images]
    rows.sort(key=lambda c: (c.per_image and c.per_image.rate.value) or 0.0)
    for y, comparison in enumerate(rows):
        assert comparison.per_image is not None
        values = comparison.per_image.table["bd_rate_percent"].to_numpy(np.float64)
        shown = thinned(values[np.isfinite(values)])
        colour = COLOURS[summary.styles[comparison.codec].colour]
        ax.scatter(
            shown,
            y - 0.12 + swarm(shown, width_inches),
            s=5,
            color=colour,
            alpha=0.6,
            linewidth=0,
        )
        rate = comparison.per_image.rate
        if rate.value is None:
            continue
        below = y + 0.33  # beside the dots, not over them
        if rate.low is not None and rate.high is not None:
            ax.plot(
                [rate.low, rate.high], [below] * 2, color="black", linewidth=0.9, marker="|", markersize=3.5
            )
        ax.plot(rate.value, below, color="black", marker="D", markersize=2.6)
    ax.axvline(0, color="0.3", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(rows)), [c.codec for c in rows])
    ax.set(
        ylim=(len(rows) - 0.4, -0.65),
        xlabel=f"{captions.short_label(metric)} BD-rate against {summary.anchor} (%)",
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    ax.set_title(captions.title(summary))


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
