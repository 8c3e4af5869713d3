"""Rate against time: BD-rate over encoding or decoding seconds per megapixel, one labelled mark a codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.style import COLOURS
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation


TimePoints = Mapping[str, tuple[float, float | None, float | None]]
MAX_NAMED = 6
"""More marks than this leave no room for names beside them: a legend says what they are."""


def time_points(summary: Summary, metric: str) -> TimePoints:
    """Return BD-rate (percent) with its bounds, of the codecs that have times; the anchor's is 0."""
    found: dict[str, tuple[float, float | None, float | None]] = {}
    if summary.anchor in summary.speeds:
        found[summary.anchor] = (0.0, None, None)
    for comparison in summary.against(metric):
        rate = comparison.headline_rate
        if rate.value is not None and comparison.codec in summary.speeds:
            found[comparison.codec] = (rate.value, rate.low, rate.high)
    return found


def draw_times(ax: Axes, summary: Summary, metric: str, side: str) -> Callable[[Axes, bool], bool]:
    """Draw one panel; `side` is "encode" or "decode". Bars: quartiles of the time, interval of the rate."""
    points = time_points(summary, metric)
    for codec, (rate, low, high) in points.items():
        spread = getattr(summary.speeds[codec], side)
        style = summary.styles[codec]
        colour = COLOURS[style.colour]
        ax.plot([spread.low, spread.high], [rate, rate], color=colour, linewidth=0.8, alpha=0.7)
        if low is not None and high is not None:
            ax.plot([spread.median] * 2, [low, high], color=colour, linewidth=0.8, alpha=0.7)
        label = codec if len(points) > MAX_NAMED else None
        ax.plot(spread.median, rate, label=label, **style.mark(1.2))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: _two_or_five(ax, value))
    ax.tick_params(axis="x", which="minor", labelsize=7)
    ax.margins(x=0.12, y=0.12)
    word = {"encode": "Encoding", "decode": "Decoding"}[side]
    ax.set(xlabel=f"{word} time (s per megapixel)", ylabel=f"{captions.short_label(metric)} BD-rate (%)")
    ax.set_title(captions.title(summary))
    ax.grid(True)

    def finish(ax: Axes, _inside: bool) -> bool:
        if len(points) <= MAX_NAMED:
            _name_marks(ax, summary, points, side)
        return True

    return finish


def _two_or_five(ax: Axes, value: float) -> str:
    """Return the text of a minor tick: only 2 and 5, and only where the axis spans less than two decades."""
    low, high = ax.get_xlim()
    leading = f"{value:e}"[0]
    return f"{value:g}" if high < 100 * low and leading in "25" else ""


_OFFSETS = ((5, 3), (5, -8), (-5, 3), (-5, -8), (0, 6), (0, -11))
"""Where a name may stand, in points from its mark."""


def _name_marks(ax: Axes, summary: Summary, points: TimePoints, side: str) -> None:
    """Write each codec's name beside its mark, where it hides neither a mark nor another name."""
    to_axes = ax.transAxes.inverted()
    marks = np.array([[getattr(summary.speeds[c], side).median, rate] for c, (rate, _, _) in points.items()])
    taken = to_axes.transform(ax.transData.transform(marks))
    for codec, at in zip(points, marks.tolist(), strict=True):
        for dx, dy in _OFFSETS:
            text = _named(ax, codec, at, (dx, dy))
            extent = text.get_window_extent().transformed(to_axes)
            box = layout.Box(extent.x0, extent.y0, extent.width, extent.height)
            inside = extent.x0 > 0 and extent.x1 < 1 and extent.y0 > 0 and extent.y1 < 1
            if inside and not box.holds(taken, 0.004):
                taken = np.concatenate([taken, box.outline()])
                break
            text.remove()
        else:
            _named(ax, codec, at, _OFFSETS[0])


def _named(ax: Axes, codec: str, at: tuple[float, float], offset: tuple[int, int]) -> Annotation:
    align = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
    return ax.annotate(codec, at, offset, textcoords="offset points", ha=align, fontsize=6.5)
