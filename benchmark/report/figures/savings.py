"""The rate-savings panel: rate against the anchor at each quality, with bands of what resampling gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.analysis.curves import METRIC_LABELS
from benchmark.arrays import F64
from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.figures.rd import place_legend
from benchmark.report.style import COLOURS
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MARKERS_A_CURVE = 4


def draw_savings(
    ax: Axes, summary: Summary, metric: str, max_bpp: float | None
) -> Callable[[Axes, bool], bool]:
    """Draw one panel; the answer places the legend once the axes have their final size."""
    del max_bpp
    found = summary.savings[metric][summary.anchor]
    view = layout.savings_view(found, list(summary.drawn(metric).values()))
    inside = {n: s for n, s in found.items() if len(s.qualities) > 1 and n not in view.outside}
    for place, (name, saving) in enumerate(inside.items()):
        style = summary.styles[name]
        ax.fill_between(
            saving.qualities, saving.low, saving.high, color=COLOURS[style.colour], alpha=0.1, linewidth=0
        )
        line = style.line | {"markevery": _apart(saving.qualities, view, place / len(inside))}
        ax.plot(saving.qualities, saving.rate_percent, label=name, **line)
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set(
        xlim=view.quality,
        ylim=view.rate,
        xlabel=METRIC_LABELS[metric].replace(" (dB of the mean)", " (dB)"),
        ylabel=f"Rate against {summary.anchor} (%)",
    )
    ax.set_title(captions.title(summary))
    ax.grid(True)
    return lambda ax, inside: (
        inside
        and place_legend(ax, np.concatenate([_fractions(ax, line) for line in ax.get_lines()])) is not None
    )


def _fractions(ax: Axes, line: Line2D) -> F64:
    """Return a drawn line as dense axes fractions [n, 2]."""
    in_axes = ax.transAxes.inverted().transform(line.get_transform().transform(line.get_xydata()))
    steps = np.linspace(0, len(in_axes) - 1, 400)
    return np.column_stack([np.interp(steps, np.arange(len(in_axes)), in_axes[:, i]) for i in (0, 1)])


def _apart(qualities: F64, view: layout.SavingsView, phase: float) -> list[int]:
    """Put few markers on the visible part of a curve, shifted so that those of close curves keep apart."""
    seen = np.flatnonzero((qualities >= view.quality[0]) & (qualities <= view.quality[1]))
    at = (np.arange(_MARKERS_A_CURVE) + 0.1 + 0.8 * phase) / _MARKERS_A_CURVE * (len(seen) - 1)
    return sorted({int(seen[i]) for i in at.round().astype(int)})
