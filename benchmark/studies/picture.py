"""The figure of a study: panels side by side across a page, one legend below them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from benchmark.report.figures.picture import lay_out, legend_below
from benchmark.report.figures.plan import FORMATS
from benchmark.report.style import DOUBLE_COLUMN_INCHES, PAPER
from benchmark.studies.base import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist

_HEIGHT_INCHES = 2.3


def save(study: Study, rows: pd.DataFrame, stem: Path, formats: Sequence[str]) -> None:
    """Draw a study's panels, 7.16 inches wide, and save them in each format. Raises OSError."""
    with mpl.rc_context(dict(PAPER)):  # type: ignore[arg-type]
        canvas = _drawn(study, rows)
        for suffix in formats:
            path = stem.with_name(f"{stem.name}.{suffix}")
            canvas.savefig(path, format=suffix, metadata=dict(FORMATS[suffix]))


def _drawn(study: Study, rows: pd.DataFrame) -> Canvas:
    panels = study.panels(rows)
    canvas = Canvas(figsize=(DOUBLE_COLUMN_INCHES, _HEIGHT_INCHES), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(1, len(panels), squeeze=False)[0]
    entries: dict[str, Artist] = {}
    for letter, ax, panel in zip(ascii_lowercase, axes, panels, strict=False):
        panel.draw(ax)
        ax.grid(True)
        ax.set_title(f"({letter}) {panel.title}" if len(panels) > 1 else panel.title)
        handles, labels = ax.get_legend_handles_labels()
        entries = dict(zip(labels, handles, strict=True)) | entries
    legend_below(canvas, entries, PAPER)
    lay_out(canvas, PAPER)
    return canvas
