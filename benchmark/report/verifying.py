"""`bench verify`: what was measured here beside the published figure of the same codec, point by point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis import MEANING, mean_curves
from benchmark.analysis.intervals import DASH, number
from benchmark.analysis.published import Publication, list_curves, load, verify, yardsticks
from benchmark.errors import AnalysisError
from benchmark.metrics import DEFAULT, METRICS, in_figures
from benchmark.report import captions

if TYPE_CHECKING:
    from rich.table import Table


def verify_text(frame: pd.DataFrame) -> Iterator[Table | str]:
    """Yield a table for each measured codec and published curve of it that share operating points.

    Codecs without a published figure are named, and so are those whose points differ.
    Raises AnalysisError if no measured codec has a published figure.
    """
    without, compared = [], 0
    for codec, rows in frame.groupby("codec", sort=True, observed=True):
        codec_id = str(rows["codec_id"].iloc[0])
        for metric in in_figures():
            if metric not in rows or not rows[metric].notna().any():
                continue
            curve = mean_curves(rows, metric)[str(codec)]
            known = yardsticks(codec_id, curve.dataset, metric)
            if not known and metric == DEFAULT:
                without.append(str(codec))
            for publication in known:
                try:
                    deviations = verify(curve, load(publication.name, metric))
                except AnalysisError as reason:
                    yield f"{codec}: {reason}"
                    continue
                compared += 1
                images = f"{curve.coverage.images_used} of {curve.coverage.dataset_size} images"
                yield deviation_table(str(codec), metric, publication, deviations, images)
                yield f"  published under: {publication.protocol}"
                yield from (f"  note: {MEANING[status]}" for status in curve.statuses if status != "ok")
    if without:
        yield f"no published figure ships for: {', '.join(without)}"
    if not compared:
        raise AnalysisError(
            "none of these codecs shares operating points with a published figure; see `bench verify --list`"
        )


def deviation_table(
    codec: str, metric: str, publication: Publication, deviations: pd.DataFrame, images: str
) -> Table:
    """Return measured and published figures and their differences, a row for each shared point."""
    from rich.markup import escape
    from rich.table import Table

    unit = METRICS.find(metric).quality_unit
    title = f"{codec}, {captions.short_label(metric)}, {images}: here and published by {publication.label}"
    table = Table(title=escape(title), caption=escape(f"{publication.source} at {publication.commit[:12]}"))
    for name in (
        publication.point_name,
        "bpp here",
        "published",
        "difference (%)",
        f"{unit} here",
        "published",
        f"difference ({unit})",
    ):
        table.add_column(escape(name), justify="right")
    for row in deviations.to_dict("records"):
        table.add_row(
            f"{row['point']:g}",
            f"{row['measured_bpp']:.4f}",
            f"{row['published_bpp']:.4f}",
            number(row["bpp_deviation_percent"], signed=True),
            f"{row['measured_quality_db']:.3f}",
            f"{row['published_quality_db']:.3f}",
            number(row["quality_deviation_db"], 3, signed=True),
        )
    return table


def published_table() -> Table:
    """Return the published curves that ship with the package."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Published curves: anchors and yardsticks, not measured here")
    for name in ("Name", "What", "Codec here", "Metrics", "Date"):
        table.add_column(name, no_wrap=name == "Name")
    for p in list_curves():
        table.add_row(
            *(escape(text) for text in (p.name, p.label, p.codec or DASH, ", ".join(p.metrics), p.date))
        )
    return table
