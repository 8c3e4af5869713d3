"""Tables for people at a terminal and for programs behind a pipe: a name is never folded or cut to fit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console
from rich.table import Table

UNLIMITED = 10_000
"""Columns, where no terminal's width bounds a table: what is read by grep needs each row on one line."""


def console(file: IO[str] | None = None) -> Console:
    """Return a console for the standard output, or a file: as wide as its tables are, but on a terminal."""
    is_terminal = file is None and sys.stdout.isatty()
    return Console(
        file=file, highlight=False, soft_wrap=not is_terminal, width=None if is_terminal else UNLIMITED
    )


def fitting(tables: Iterable[Table], width: int) -> Table:
    """Return the first of these tables, widest first, that fits into `width` columns without cutting a word.

    Columns marked `no_wrap` are kept whole, others may be wrapped between words. Where no table fits, it is
    the last one, whose cells are folded. Raises ValueError for no table.
    """
    table = None
    for table in tables:
        if _least_width(table) <= width:
            return table
    if table is None:
        raise ValueError("no table to choose from")
    for column in table.columns:
        column.no_wrap, column.overflow, column.min_width = False, "fold", None
    return table


def _least_width(table: Table) -> int:
    """Return the width in which no word is cut, and see to it that columns of names have theirs."""
    wide = Console(width=UNLIMITED)
    for column in table.columns:
        if column.no_wrap:
            cells = [*column.cells, column.header]
            column.min_width = max(wide.measure(cell).maximum for cell in cells)
    return wide.measure(table).minimum
