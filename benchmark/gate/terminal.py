"""The gate's report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.gate.check import GateReport
from benchmark.terminal import console, fitting

_STYLES = {"pass": "green", "improvement": "bold green", "regression": "bold red", "inconclusive": "yellow"}
_HEADINGS = ("codec", "metric", "verdict", "BD-rate, paired", "images", "why")
_SEVERITY_STYLES = {"fail": "bold red", "doubt": "yellow", "note": "dim"}


def print_report(report: GateReport, out: Path | None = None) -> None:
    """Print verdicts, findings and the outcome; to the file `out` if it is given."""
    if out is None:
        _print(report, console())
        return
    with out.open("w", encoding="utf-8") as file:
        _print(report, console(file))


def _print(report: GateReport, to: Console) -> None:
    to.print(fitting((_table(report, dropped) for dropped in ((), ("images",))), to.width))
    for f in report.findings:
        subject = f"{f.codec}: {f.kind}" if f.codec else f.kind
        to.print(Text.assemble((f.severity, _SEVERITY_STYLES[f.severity]), f"  {subject}: {f.message}"))
    to.print(
        Text.assemble(
            (report.verdict, _STYLES[report.verdict]),
            f": {report.rows} rows against {report.reference_rows}, limit "
            f"{report.limits.max_regression_percent:g} % (exit code {report.exit_code})",
        )
    )


def _table(report: GateReport, dropped: Sequence[str]) -> Table:
    table = Table(title=Text(f"{report.suite} against {report.against}"), title_justify="left")
    headings = [h for h in _HEADINGS if h not in dropped]
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "why")
    for v in report.verdicts:
        verdict = Text(v.verdict, style=_STYLES[v.verdict])
        cells = (
            Text(v.codec),
            Text(v.metric),
            verdict,
            *map(Text, (v.bd_rate.in_words("%"), str(v.images), v.reason)),
        )
        table.add_row(*(cell for heading, cell in zip(_HEADINGS, cells, strict=True) if heading in headings))
    return table
