"""One picture of a figure, drawn without TeX: its panels, titles and the legend below them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from benchmark.report import captions
from benchmark.report.figures import FIGURES
from benchmark.report.figures.plan import FORMATS, Plot
from benchmark.report.style import DOUBLE_COLUMN_INCHES, PAPER, SINGLE_COLUMN_INCHES
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save(summary: Summary, plot: Plot, folder: Path, formats: Sequence[str]) -> None:
    """Draw one picture and save it in each format. Raises OSError."""
    with mpl.rc_context(PAPER):  # type: ignore[arg-type]
        canvas = picture(summary, plot)
        for suffix in formats:
            canvas.savefig(folder / f"{plot.stem}.{suffix}", format=suffix, metadata=dict(FORMATS[suffix]))


def picture(summary: Summary, plot: Plot) -> Canvas:
    """Draw the panels side by side (wide) or stacked, with one legend below: there it hides no data."""
    panels = FIGURES.find(plot.figure).panels(summary, plot.metrics)
    width = DOUBLE_COLUMN_INCHES if plot.wide else SINGLE_COLUMN_INCHES
    canvas = Canvas(figsize=(width, plot.height_inches), layout="constrained")
    FigureCanvasAgg(canvas)
    shape = (1, len(panels)) if plot.wide else (len(panels), 1)
    axes: list[Axes] = list(canvas.subplots(*shape, squeeze=False).ravel())
    title = captions.title(summary)
    for letter, ax, panel in zip(ascii_lowercase, axes, panels, strict=False):
        panel(ax)
        ax.set_title(f"({letter}) {title}" if len(panels) > 1 else title)
    _legend_below(canvas, axes, 4 if plot.wide else 2)
    _lay_out(canvas)
    return canvas


def _lay_out(canvas: Canvas) -> None:
    """Give the axes their place and size once, not again for each format."""
    engine = canvas.get_layout_engine()
    assert engine is not None
    engine.execute(canvas)
    canvas.set_layout_engine("none")


def _legend_below(canvas: Canvas, axes: Sequence[Axes], columns: int) -> None:
    entries = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    if entries:
        rows = -(-len(entries) // columns)
        canvas.set_figheight(canvas.get_figheight() + 0.13 * rows)
        canvas.legend(
            entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False
        )
