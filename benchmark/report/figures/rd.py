"""The rate-distortion panel: mean curves, and an inset where they lie too close to be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.analysis import Curve
from benchmark.analysis.curves import METRIC_LABELS
from benchmark.arrays import F64
from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.figures.layout import Box, Window
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

_INSET_LEFT, _INSET_BELOW = 0.1, 0.08
"""Room for the inset's tick labels, in axes fractions."""
_INSET_SIZES = (0.56, 0.5, 0.44, 0.39, 0.34, 0.3, 0.26)
_ROOMY = 0.16
"""An inset of this area (axes fractions) is as good as it need be."""
_EXTENSIONS = (0.0, 0.12, 0.25, 0.38)
"""How far the quality axis may be stretched downwards, as a share of its range, to make room for an inset."""
_STRETCH_COST = 0.2
"""The inset's area that must be won for each unit of stretching."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """What a panel shows: curves, the window, and the region to magnify, if any."""

    drawn: Mapping[str, Curve]
    window: Window
    region: Window | None

    def samples(self) -> F64:
        """Return the curves as dense axes fractions [n, 2]."""
        return np.concatenate([self.window.fractions(*layout.dense(c)) for c in self.drawn.values()])


def draw_rd(ax: Axes, summary: Summary, metric: str, max_bpp: float | None) -> Callable[[Axes, bool], bool]:
    """Draw one panel; the answer places legend and inset once the axes have their final size."""
    plan = _plan(summary, metric, max_bpp)
    _plot_curves(ax, plan.drawn, summary)
    ax.set(
        xlim=plan.window.rate,
        ylim=plan.window.quality,
        xlabel="Rate (bpp)",
        ylabel=METRIC_LABELS[metric].replace(" (dB of the mean)", " (dB)"),
    )
    ax.set_title(captions.title(summary))
    ax.grid(True)
    return lambda ax, inside: _legend_and_inset(ax, plan, summary, inside)


def _plan(summary: Summary, metric: str, max_bpp: float | None) -> _Plan:
    drawn = {label: c for label, c in summary.drawn(metric).items() if len(layout.finite(c)[0])}
    curves = list(drawn.values())
    window = layout.rd_window(curves, max_bpp)
    region = layout.close_region(curves, window)
    if region is None:
        return _Plan(drawn, window, None)
    low, high = window.quality
    plans = [
        _Plan(drawn, Window(window.rate, (low - share * (high - low), high)), region) for share in _EXTENSIONS
    ]
    places = [_inset_place(plan.samples()) for plan in plans]
    areas = [0.0 if place is None else min(place.width * place.height, _ROOMY) for place in places]
    gains = [area - _STRETCH_COST * share for area, share in zip(areas, _EXTENSIONS, strict=True)]
    return plans[int(np.argmax(gains))]


def _plot_curves(ax: Axes, drawn: Mapping[str, Curve], summary: Summary, **thinner: float) -> None:
    for label, curve in drawn.items():
        ax.plot(*layout.finite(curve), label=label, **summary.styles[label].line | thinner)


def _legend_and_inset(ax: Axes, plan: _Plan, summary: Summary, inside: bool) -> bool:
    obstacles = plan.samples()
    if inside:
        taken = place_legend(ax, obstacles)
        if taken is None:
            return False
        obstacles = np.concatenate([obstacles, taken.outline()])
    if plan.region is not None:
        _inset(ax, plan.drawn, plan.region, _inset_place(obstacles), summary)
    return True


def _inset_place(obstacles: F64) -> Box | None:
    """Return where the largest inset fits without its tick labels, which stand left of and below it."""
    sizes = sorted(((w, h) for w in _INSET_SIZES for h in _INSET_SIZES), key=lambda s: (-s[0] * s[1], -s[0]))
    for width, height in sizes:
        if not 0.6 <= width / height <= 1.8:
            continue
        room = layout.free_box(
            obstacles,
            width + _INSET_LEFT,
            height + _INSET_BELOW,
            [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)],
        )
        if room is not None:
            return Box(room.x + _INSET_LEFT, room.y + _INSET_BELOW, width, height)
    return None


def _inset(ax: Axes, drawn: Mapping[str, Curve], region: Window, place: Box | None, summary: Summary) -> None:
    """Magnify a region in its place; none where nothing is free."""
    if place is None:
        return
    inset = ax.inset_axes((place.x, place.y, place.width, place.height))
    _plot_curves(inset, drawn, summary, linewidth=0.8)
    inset.set(xlim=region.rate, ylim=region.quality)
    inset.tick_params(labelsize=6, length=1.5, pad=1.2)
    inset.locator_params(nbins=4)
    inset.grid(True)
    mark = ax.indicate_inset_zoom(inset, edgecolor="0.35", linewidth=0.5, alpha=0.9)
    for connector in mark.connectors or ():
        connector.set(linewidth=0.4, color="0.6", zorder=1)


def place_legend(ax: Axes, samples: F64) -> Box | None:
    """Put a legend where it hides none of `samples` (axes fractions [n, 2]) and return its box, or None."""
    legend = ax.legend(loc="lower left", borderaxespad=0)
    extent = legend.get_window_extent().transformed(ax.transAxes.inverted())
    box = layout.free_box(
        samples, extent.width, extent.height, [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
    )
    legend.remove()
    if box is not None:
        ax.legend(loc="lower left", bbox_to_anchor=(box.x, box.y), borderaxespad=0)
    return box
