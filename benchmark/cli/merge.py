"""The command that makes one result set of several: merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(merge)


def merge(
    sets: Annotated[list[str], typer.Argument(help="Suites' names, results folders or parquet files.")],
    *,
    out: Annotated[Path, typer.Option(help="The results folder to make.")],
    results: Annotated[Path, typer.Option(help="The folder of results, one subfolder per suite.")] = Path(
        "results"
    ),
    last_wins: Annotated[
        bool, typer.Option("--last-wins", help="Where sets disagree, keep the later set's rows.")
    ] = False,
) -> None:
    """Merge result sets into a new one.

    Rows that several sets have are kept once. Where they disagree, nothing is written and the rows are named.
    """
    from benchmark.cli import display
    from benchmark.report import read as request
    from benchmark.results.merge import SHOWN
    from benchmark.results.merge import merge as merge_sets

    done = merge_sets([request.find(name, results).path for name in sets], out, last_wins=last_wins)
    for remark in done.remarks:
        display.warn(remark)
    for conflict in done.conflicts[:SHOWN]:
        display.warn(f"the later set's row is kept: {conflict}")
    if len(done.conflicts) > SHOWN:
        display.warn(f"and {len(done.conflicts) - SHOWN} more")
    display.say(f"{done.rows:,} rows in {done.folder}; {done.repeated:,} rows of several sets were kept once")
