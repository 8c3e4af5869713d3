"""What the gate prints: GitHub annotations and job summary, JUnit XML, JSON."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from xml.etree import ElementTree  # nosec B405  # it writes, and parses nothing

import numpy as np

from benchmark.analysis.curves import Curve
from benchmark.analysis.intervals import Estimate
from benchmark.gate.check import GateReport, MetricVerdict
from benchmark.metrics import DEFAULT, METRICS

JSON_VERSION = 1
_SIGNS = {"pass": "✅ pass", "improvement": "🎉 improvement", "regression": "❌ regression"}
_PLOT_SAMPLES = 25
_XML_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(report: GateReport) -> str:
    """Return the report as JSON; check.schema.json beside this module describes it."""
    return json.dumps(
        {
            "version": JSON_VERSION,
            "suite": report.suite,
            "against": report.against,
            "verdict": report.verdict,
            "exit_code": report.exit_code,
            "rows": report.rows,
            "reference_rows": report.reference_rows,
            "limits": vars(report.limits),
            "verdicts": [_verdict_json(v) for v in report.verdicts],
            "findings": [vars(f) for f in report.findings],
        },
        indent=1,
        allow_nan=False,
    )


def _verdict_json(v: MetricVerdict) -> dict[str, Any]:
    return {
        "codec": v.codec,
        "metric": v.metric,
        "verdict": v.verdict,
        "reason": v.reason,
        "bd_rate_percent": _estimate_json(v.bd_rate),
        "mean_curve_bd_rate_percent": _estimate_json(v.mean_curve_bd_rate),
        "images": v.images,
        "identical": v.identical,
        "statuses": list(v.statuses),
    }


def _estimate_json(figure: Estimate) -> dict[str, float | None]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def to_junit(report: GateReport) -> str:
    """Return the report as JUnit XML: a test case for each verdict and finding, inconclusive ones skipped."""
    cases = [
        _case(v.codec, f"BD-rate {v.metric}", _outcome(v.verdict, report.allow_inconclusive), in_words(v))
        for v in report.verdicts
    ]
    cases += [
        _case(f.codec or "suite", f.kind, {"fail": "failure", "doubt": "skipped"}.get(f.severity), f.message)
        for f in report.findings
    ]
    suite = ElementTree.Element(
        "testsuite", name=_clean(f"bench check {report.suite}"), tests=str(len(cases))
    )
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _outcome(verdict: str, allow_inconclusive: bool) -> str | None:
    if verdict == "regression":
        return "failure"
    # JUnit has no third outcome: what is neither shown to be good nor bad must not read as passed
    return ("skipped" if allow_inconclusive else "failure") if verdict == "inconclusive" else None


def _case(codec: str, name: str, outcome: str | None, message: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_clean(codec), name=_clean(name))
    if outcome:
        ElementTree.SubElement(case, outcome, message=_clean(message))
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(message)
    return case


def _clean(text: str) -> str:
    return _XML_FORBIDDEN.sub("\ufffd", text)


def to_annotations(report: GateReport) -> str:
    """Return GitHub workflow commands: an error for what fails the gate, a warning for doubts."""
    lines = []
    for v in report.verdicts:
        level = {"regression": "error", "inconclusive": "warning"}.get(v.verdict)
        if level:
            lines.append(_command(level, f"{v.codec}: {v.metric} {v.verdict}", in_words(v)))
    for f in report.findings:
        level = {"fail": "error", "doubt": "warning", "note": "notice"}[f.severity]
        lines.append(_command(level, f"{f.codec}: {f.kind}" if f.codec else f.kind, f.message))
    return "\n".join(lines)


def _command(level: str, title: str, message: str) -> str:
    """Escape as the workflow command syntax demands, so that data cannot end the command."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    name = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} title={name.replace(':', '%3A').replace(',', '%2C')}::{escaped}"


def to_markdown(report: GateReport) -> str:
    """Return the job summary: the verdict, tables, and RD plots (Mermaid, which GitHub and GitLab draw)."""
    parts = [
        f"## {_SIGNS.get(report.verdict, '❔ inconclusive')}: `{_cell(report.suite)}` against "
        f"`{_cell(report.against)}`",
        "BD-rate in percent: mean over images, paired with the reference, and its 95 % interval; "
        f"limit {report.limits.max_regression_percent:g} %. Positive is worse.",
        _verdict_table(report),
    ]
    if report.findings:
        rows = [
            f"| {_cell(f.severity)} | {_cell(f.codec)} | {_cell(f.kind)} | {_cell(f.message)} |"
            for f in report.findings
        ]
        parts.append("\n".join(["| | codec | finding | |", "|---|---|---|---|", *rows]))
    parts += [_plot(v) for v in report.verdicts if v.comparison is not None and v.metric == DEFAULT]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict_table(report: GateReport) -> str:
    rows = [
        f"| {_cell(v.codec)} | {_cell(v.metric)} | {_SIGNS.get(v.verdict, '❔ inconclusive')} | "
        f"{v.bd_rate.in_words('%')} | {_cell(v.reason)} |"
        for v in report.verdicts
    ]
    return "\n".join(["| codec | metric | verdict | BD-rate | why |", "|---|---|---|---|---|", *rows])


def in_words(v: MetricVerdict) -> str:
    """Return figure and reason in one line."""
    return f"BD-rate {v.bd_rate.in_words('%')}: {v.reason}"


def _cell(text: str) -> str:
    """Make text from data harmless in a Markdown table."""
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "<", ">"):
        text = text.replace(mark, f"&#{ord(mark)};")
    return " ".join(text.split())


def _plot(verdict: MetricVerdict) -> str:
    """Draw both mean curves over their shared rates, evenly sampled as Mermaid's xychart wants them."""
    found = verdict.comparison
    if found is None:
        return ""
    low = max(curve.rates[0] for curve in (found.anchor_curve, found.codec_curve) if curve.n_points)
    high = min(curve.rates[-1] for curve in (found.anchor_curve, found.codec_curve) if curve.n_points)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return ""
    rates = np.geomspace(low, high, _PLOT_SAMPLES)
    lines = [_sampled(curve, rates) for curve in (found.anchor_curve, found.codec_curve)]
    bottom, top = min(map(min, lines)), max(map(max, lines))
    axis = METRICS.find(verdict.metric).axis
    title = re.sub(r'["\n]', " ", f"{verdict.codec}: the reference (blue), and now (orange)")
    return "\n".join(
        [
            f"<details><summary>RD curves of {_cell(verdict.codec)}: {_cell(axis)} over log2 bpp</summary>\n",
            "```mermaid",
            '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#0072B2, #D55E00"}}}}%%',
            "xychart-beta",
            f'  title "{title}"',
            f'  x-axis "log2 bpp" {math.log2(low):.3f} --> {math.log2(high):.3f}',
            f'  y-axis "{axis}" {bottom - 0.5:.2f} --> {top + 0.5:.2f}',
            *(f"  line [{', '.join(f'{value:.3f}' for value in line)}]" for line in lines),
            "```\n\n</details>",
        ]
    )


def _sampled(curve: Curve, rates: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    return [float(value) for value in np.interp(np.log2(rates), np.log2(curve.rates), curve.qualities)]
