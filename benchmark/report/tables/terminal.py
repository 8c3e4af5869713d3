"""The BD table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from benchmark.report import captions
from benchmark.report.summary import Summary
from benchmark.report.tables.rows import LEFT, alone, headings, rows

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = (
    "codec", "rate", "interval", "figure", "mean_curve", "mean_of_images", "better", "quality", "shared",
    "moved", "encode", "decode", "macs", "statuses",
)  # fmt: skip
_DROPPED = (
    ("mean_curve", "mean_of_images"), ("shared",), ("macs",), ("encode", "decode"), ("moved",), ("quality",),
    ("figure",), ("better",), ("interval",),
)  # fmt: skip
"""What is left out, step by step, where a terminal is too narrow: the files have it."""


def terminal(summary: Summary, metric: str, *, width: int) -> Table | str:
    """Return the table for a terminal of so many columns, which has fewer columns before it cuts names.

    A sentence instead where there is nothing to compare.
    """
    from rich.markup import escape

    from benchmark.terminal import fitting

    if said := alone(summary, metric):
        return escape(said)
    return fitting((_table(summary, metric, names) for names in _choices()), width)


def _choices() -> Iterator[tuple[str, ...]]:
    dropped: set[str] = set()
    yield _COLUMNS
    for more in _DROPPED:
        dropped.update(more)
        yield tuple(name for name in _COLUMNS if name not in dropped)


def _table(summary: Summary, metric: str, names: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    title = f"BD-rate on {captions.short_label(metric)} against {summary.anchor}, {captions.title(summary)}"
    table = Table(title=escape(title), box=SIMPLE_HEAD, collapse_padding=True)
    heads = headings(metric)
    for name in names:
        justify: Literal["left", "right"] = "left" if name in LEFT else "right"
        table.add_column(getattr(heads, name), justify=justify, no_wrap=name != "statuses")
    for row in rows(summary, metric):
        table.add_row(*(escape(getattr(row, name)) for name in names))
    return table
