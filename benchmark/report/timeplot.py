"""Rate against time: BD-rate over encoding or decoding seconds per megapixel, one labelled mark a codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report import captions, layout
from benchmark.report.style import COLOURS, MARKERS
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation


def time_points(summary: Summary, metric: str) -> dict[str, tuple[float, float | None, float | None]]:
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
            ax.plot([spread.mean] * 2, [low, high], color=colour, linewidth=0.8, alpha=0.7)
        ax.plot(spread.mean, rate, marker=MARKERS[style.marker], color=colour, markersize=4.2, linestyle="")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda *_: "")
    ax.margins(x=0.12, y=0.12)
    word = {"encode": "Encoding", "decode": "Decoding"}[side]
    ax.set(xlabel=f"{word} time (s per megapixel)", ylabel=f"{captions.short_label(metric)} BD-rate (%)")
    ax.set_title(captions.title(summary))
    ax.grid(True)

    def finish(ax: Axes, _inside: bool) -> bool:
        _name_marks(ax, summary, points, side)
        return True

    return finish


_OFFSETS = (
    (5, 3, "left"),
    (5, -8, "left"),
    (-5, 3, "right"),
    (-5, -8, "right"),
    (0, 7, "center"),
    (0, -12, "center"),
)


def _name_marks(
    ax: Axes, summary: Summary, points: dict[str, tuple[float, float | None, float | None]], side: str
) -> None:
    """Write each codec's name beside its mark, where it hides neither a mark nor another name."""
    to_axes = ax.transAxes.inverted()
    marks = np.array([[getattr(summary.speeds[c], side).mean, rate] for c, (rate, _, _) in points.items()])
    taken = to_axes.transform(ax.transData.transform(marks))
    for codec, (rate, _, _) in points.items():
        at = (getattr(summary.speeds[codec], side).mean, rate)
        best: Annotation | None = None
        for dx, dy, align in _OFFSETS:
            text = ax.annotate(codec, at, (dx, dy), textcoords="offset points", ha=align, fontsize=6.5)
            extent = text.get_window_extent().transformed(to_axes)
            box = layout.Box(extent.x0, extent.y0, extent.width, extent.height)
            inside = extent.x0 > 0 and extent.x1 < 1 and extent.y0 > 0 and extent.y1 < 1
            if inside and not box.holds(taken, 0.004):
                best = text
                taken = np.concatenate([taken, box.outline()])
                break
            text.remove()
        if best is None:
            ax.annotate(codec, at, (5, 3), textcoords="offset points", fontsize=6.5, annotation_clip=False)
