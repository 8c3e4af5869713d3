"""The gate's report on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.gate.check import GateReport

_STYLES = {"pass": "green", "improvement": "bold green", "regression": "bold red", "inconclusive": "yellow"}
_SEVERITY_STYLES = {"fail": "bold red", "doubt": "yellow", "note": "dim"}


def print_report(report: GateReport, out: Path | None = None) -> None:
    """Print verdicts, findings and the outcome; to the file `out` if it is given."""
    if out is None:
        _print(report, Console())
        return
    with out.open("w", encoding="utf-8") as file:
        _print(report, Console(file=file, width=140))


def _print(report: GateReport, console: Console) -> None:
    table = Table(title=Text(f"{report.suite} against {report.against}"), title_justify="left")
    for heading in ("codec", "metric", "verdict", "BD-rate, paired", "images", "why"):
        table.add_column(heading, overflow="fold")
    for v in report.verdicts:
        verdict = Text(v.verdict, style=_STYLES[v.verdict])
        cells = [Text(text) for text in (v.bd_rate.in_words("%"), str(v.images), v.reason)]
        table.add_row(Text(v.codec), Text(v.metric), verdict, *cells)
    console.print(table)
    for f in report.findings:
        subject = f"{f.codec}: {f.kind}" if f.codec else f.kind
        console.print(Text.assemble((f.severity, _SEVERITY_STYLES[f.severity]), f"  {subject}: {f.message}"))
    console.print(
        Text.assemble(
            (report.verdict, _STYLES[report.verdict]),
            f": {report.rows} rows against {report.reference_rows}, limit "
            f"{report.limits.max_regression_percent:g} % (exit code {report.exit_code})",
        )
    )
