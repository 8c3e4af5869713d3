"""The BD tables as one Markdown document."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.report import captions
from benchmark.report.headline import sentences
from benchmark.report.summary import Summary
from benchmark.report.tables.rows import LEFT, alone, headings, notes, rows

_SPECIAL = {ord(ch): f"\\{ch}" for ch in "\\`*_{}[]<>()#+!|~"} | {ord("\n"): " "}


def markdown(summary: Summary) -> str:
    """Return a Markdown document with a table for each metric."""
    compared = any(summary.against(metric) for metric in summary.metrics)
    anchor = f": BD-rate against {escaped(summary.anchor)}" if compared else ""
    parts = [f"# {escaped(summary.suite)}{anchor}"]
    for metric in summary.metrics:
        heading = f"## {captions.short_label(metric)}"
        parts += [heading, _table(summary, metric), _list(notes(summary, metric))]
    if mean := sentences(summary):
        parts += ["## Mean of the metrics", _list(mean)]
    if len(summary.failures):
        failures = summary.failures.itertuples()
        said = _list(f"{r.codec}, {r.status}: {r.rows} evaluations: {r.error}" for r in failures)
        parts += ["## Failed evaluations", said]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, in a table's cell too."""
    return text.translate(_SPECIAL)


def _table(summary: Summary, metric: str) -> str:
    if said := alone(summary, metric):
        return escaped(said)
    heads = vars(headings(metric))
    rules = ["---" if name in LEFT else "---:" for name in heads]
    cells = [[escaped(cell) for cell in vars(row).values()] for row in rows(summary, metric)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [[*heads.values()], rules, *cells])


def _list(said: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in said)
