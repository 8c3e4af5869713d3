"""Commands that guard results: check against the results of record, and update these."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.gate.check import GateReport

reference_app = typer.Typer(help="Manage the results of record.", no_args_is_help=True)


class Format(StrEnum):
    """How `bench check` reports."""

    terminal = "terminal"
    github = "github"
    junit = "junit"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(check)
    app.add_typer(reference_app, name="reference")


def check(
    suite: Annotated[str, typer.Argument(help="The suite to check.")],
    *,
    against: Annotated[
        str, typer.Option(help="The reference: a results folder, a parquet file, or git:REVISION.")
    ],
    results: Annotated[Path, typer.Option(help="The folder of results, one subfolder per suite.")] = Path(
        "results"
    ),
    max_regression: Annotated[
        float, typer.Option(min=0, help="Highest BD-rate in percent that still passes.")
    ] = 0.5,
    metric: Annotated[list[str] | None, typer.Option(help="Judge by this metric; repeatable.")] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="Check only this codec, as a run of it alone; repeatable.")
    ] = None,
    max_slowdown: Annotated[
        float | None,
        typer.Option(min=0, help="Fail codecs slower by more percent; without, above 25 is noted."),
    ] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option(help="Treat inconclusive as pass: exit code 0, not 3.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.terminal,
    out: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
) -> None:
    """Compare results with a reference; fail on a regression.

    Exit codes: 0 pass or improvement, 1 regression, 2 bad input, 3 inconclusive.
    """
    from benchmark.gate.check import check as compare_results
    from benchmark.gate.findings import Limits
    from benchmark.gate.reference import load_reference
    from benchmark.results.plan import read_planned

    report = compare_results(
        read_planned(results / suite),
        load_reference(against, suite),
        suite=suite,
        against=against,
        metrics=metric or [],
        codecs=codec or [],
        limits=Limits(
            max_regression, 25.0 if max_slowdown is None else max_slowdown, max_slowdown is not None
        ),
        allow_inconclusive=allow_inconclusive,
    )
    _write(report, format_, out)
    raise typer.Exit(report.exit_code)


def _write(report: GateReport, format_: Format, out: Path | None) -> None:
    from benchmark.gate import formats as gate_formats

    if format_ is Format.terminal:
        from benchmark.gate.terminal import print_report

        print_report(report, out)
        return
    if format_ is Format.github:
        print(gate_formats.to_annotations(report))
        summary = out or (
            Path(os.environ["GITHUB_STEP_SUMMARY"]) if "GITHUB_STEP_SUMMARY" in os.environ else None
        )
        text = gate_formats.to_markdown(report)
    else:
        summary = out
        text = gate_formats.to_junit(report) if format_ is Format.junit else gate_formats.to_json(report)
    if summary is None:
        sys.stdout.write(text + "\n")
    else:
        with summary.open("a" if format_ is Format.github else "w", encoding="utf-8") as file:
            file.write(text)


@reference_app.command()
def update(
    suite: Annotated[str, typer.Argument(help="The suite whose results become the results of record.")],
    *,
    message: Annotated[
        str, typer.Option("--message", "-m", help="Why the results of record change; kept with them.")
    ],
    results: Annotated[Path, typer.Option(help="The folder of results, one subfolder per suite.")] = Path(
        "results"
    ),
    to: Annotated[Path, typer.Option(help="The folder of results of record.")] = Path("results/reference"),
    allow_removed: Annotated[
        bool, typer.Option(help="Remove codecs, points and images that the new results lack.")
    ] = False,
) -> None:
    """Make complete results the results of record.

    Results that are partial or hold failed evaluations are refused.
    """
    from benchmark.gate.reference import promote

    done = promote(suite, results / suite, message, to, allow_removed=allow_removed)
    typer.echo(
        f"{done.folder}: {done.rows} rows, {done.bytes:,} bytes; commit it with the change that made it"
    )
