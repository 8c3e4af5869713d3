"""The BD table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.report import captions
from benchmark.report.summary import Summary
from benchmark.report.tables.rows import LEFT, alone, headings, rows

if TYPE_CHECKING:
    from rich.table import Table

_NARROW = ("codec", "rate", "interval", "figure", "better", "statuses")
_WIDE = (
    "codec", "rate", "interval", "figure", "mean_curve", "mean_of_images", "better", "quality", "shared",
    "moved", "encode", "decode", "statuses",
)  # fmt: skip


def terminal(summary: Summary, metric: str, *, wide: bool) -> Table | str:
    """Return the table for a terminal; `wide` adds the second figure, BD-quality and times.

    A sentence instead where there is nothing to compare.
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    if said := alone(summary, metric):
        return escape(said)
    title = f"BD-rate on {captions.short_label(metric)} against {summary.anchor}, {captions.title(summary)}"
    table = Table(title=escape(title), box=SIMPLE_HEAD, collapse_padding=True)
    heads = headings(metric)
    names = _WIDE if wide else _NARROW
    for name in names:
        table.add_column(
            getattr(heads, name),
            justify="left" if name in LEFT else "right",
            no_wrap=name not in ("codec", "statuses"),
            overflow="fold",  # a codec's name is never cut short
        )
    for row in rows(summary, metric):
        table.add_row(*(escape(getattr(row, name)) for name in names))
    return table
