"""One picture of a figure, drawn without TeX: its panels, titles and the legend below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from benchmark.report import captions
from benchmark.report.figures import FIGURES
from benchmark.report.figures.base import Panel
from benchmark.report.figures.plan import FORMATS, Plot
from benchmark.report.figures.texts import fit, legible, wrapped
from benchmark.report.style import SINGLE_COLUMN_INCHES
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

_LEGEND_CHARACTERS, _INSIDE_CHARACTERS = 42, 24
"""A longer name has several lines, in a legend below the panels and inside one."""
_INCHES_A_LETTER, _INCHES_A_KEY = 0.0063, 0.055
"""Of one point of type size: a letter's mean width; a key with what is left free beside it."""
_STEP, _MOST_STEPS = 0.05, 20
"""By how much a panel is lowered at once for a legend inside it, and how often."""


def save(summary: Summary, plot: Plot, folder: Path, formats: Sequence[str]) -> None:
    """Draw one picture and save it in each format. Raises OSError."""
    with mpl.rc_context(dict(summary.presentation.medium.settings)):  # type: ignore[arg-type]
        canvas = _picture(summary, plot)
        for suffix in formats:
            canvas.savefig(folder / f"{plot.stem}.{suffix}", format=suffix, metadata=dict(FORMATS[suffix]))


def picture(summary: Summary, plot: Plot) -> Canvas:
    """Draw the panels side by side (wide) or stacked, with one legend: below them, where it hides no data.

    A preset has it inside the first panel, if the figure says that there is room below its curves.
    """
    with mpl.rc_context(dict(summary.presentation.medium.settings)):  # type: ignore[arg-type]
        return _picture(summary, plot)


def _picture(summary: Summary, plot: Plot) -> Canvas:
    figure = FIGURES.find(plot.figure)
    panels = figure.panels(summary, plot.metrics)
    medium = summary.presentation.medium
    width = medium.page_inches if plot.wide else medium.column_inches
    height = plot.height_inches * medium.column_inches / SINGLE_COLUMN_INCHES
    canvas = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    shape = (1, len(panels)) if plot.wide else (len(panels), 1)
    axes: list[Axes] = list(canvas.subplots(*shape, squeeze=False).ravel())
    for letter, ax, panel in zip(ascii_lowercase, axes, panels, strict=False):
        panel.draw(ax)
        ax.set_title(_title(summary, panel, letter if len(panels) > 1 else ""))
    if summary.presentation.title and len(panels) > 1:
        canvas.suptitle(wrapped(summary.presentation.title, 100 if plot.wide else 50))
    if summary.presentation.preset is not None and figure.rising:
        _legend_inside(axes, summary)
    else:
        legend_below(canvas, _entries(axes, summary), summary.presentation.medium.settings)
    lay_out(canvas, summary.presentation.medium.settings)
    return canvas


def _title(summary: Summary, panel: Panel, letter: str) -> str:
    """Return a panel's title: what it shows, on which images; as papers have it with a preset: the former."""
    lettered = f"({letter}) {panel.title}" if letter else panel.title
    if summary.presentation.preset:
        return lettered if letter else ""
    if summary.presentation.title:
        return lettered if letter else summary.presentation.title
    return f"{lettered} on {captions.title(summary)}"


def lay_out(canvas: Canvas, settings: Mapping[str, Any]) -> None:
    """Give axes their place and texts their room, once and not again for each format."""
    legible(canvas, list(settings[f"font.{settings['font.family']}"]))
    engine = canvas.get_layout_engine()
    assert engine is not None
    engine.execute(canvas)
    for _ in range(2):  # a label on several lines leaves the others less room
        fit(canvas)
        engine.execute(canvas)
    canvas.set_layout_engine("none")


def legend_below(canvas: Canvas, entries: Mapping[str, Artist], settings: Mapping[str, Any]) -> None:
    """Put what each text stands for below the panels, and make the picture higher by as much."""
    if entries:
        size = settings["legend.fontsize"]
        columns = _columns(list(entries), canvas.get_figwidth(), size)
        lines = [label.count("\n") + 1 for label in entries]
        rows = -(-len(entries) // columns)
        tall = max(sum(lines[i : i + rows]) for i in range(0, len(entries), rows))
        canvas.set_figheight(canvas.get_figheight() + 0.02 * size * tall)
        canvas.legend(
            list(entries.values()), list(entries), loc="outside lower center", ncols=columns, frameon=False
        )


def _columns(labels: Sequence[str], inches: float, size: float) -> int:
    """Return how many columns of labels fit side by side, filled one after the other, at most four."""
    letters = [max(map(len, label.split("\n"))) for label in labels]
    for columns in range(min(4, len(labels)), 1, -1):
        rows = -(-len(labels) // columns)
        widest = [max(letters[i : i + rows]) for i in range(0, len(labels), rows)]
        if sum(_INCHES_A_LETTER * n + _INCHES_A_KEY for n in widest) * size <= inches:
            return columns
    return 1


def _legend_inside(axes: Sequence[Axes], summary: Summary) -> None:
    """Put the legend into the first panel, and lower the panel's range until it hides no curve."""
    ax = axes[0]
    entries = _entries(axes, summary, _INSIDE_CHARACTERS)
    size = 0.92 * summary.presentation.medium.settings["legend.fontsize"]
    legend = ax.legend(entries.values(), entries.keys(), loc="lower right", handlelength=1.8, fontsize=size)
    for text in legend.get_texts():
        text.set_linespacing(1.0)
    for _ in range(_MOST_STEPS):
        ax.figure.draw_without_rendering()  # type: ignore[union-attr]
        box = legend.get_window_extent().padded(4)
        if not any(_passes(box, line) for line in ax.get_lines()):
            return
        low, high = ax.get_ylim()
        ax.set_ylim(low - _STEP * (high - low), high)


def _passes(box: Bbox, line: Line2D) -> bool:
    path = line.get_transform().transform_path(line.get_path())
    return bool(path.intersects_bbox(box, filled=False)) or box.count_contains(path.vertices) > 0


def _entries(
    axes: Sequence[Axes], summary: Summary, characters: int = _LEGEND_CHARACTERS
) -> dict[str, Artist]:
    """Return what the legend has, by text: each codec once, in the order of the summary."""
    found = {
        name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    ordered = [name for name in summary.legend if name in found]
    names = [*ordered, *(name for name in found if name not in ordered)]
    return {wrapped(summary.text(name), characters): found[name] for name in names}
