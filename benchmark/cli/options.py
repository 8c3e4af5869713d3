"""Options of the command line itself, and those that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="The folder of datasets, which must exist; BENCH_DATA_DIR by default.",
    ),
]


def _show_version(wanted: bool) -> None:
    """Print the version and end, before a command is looked for."""
    if wanted:
        from benchmark.environment import bench_version

        typer.echo(f"bench {bench_version()}")
        raise typer.Exit


def bench(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and the commit, and exit.",
        ),
    ] = False,
) -> None:
    """Measure image codecs on real images and real bitstreams, and compare them."""
