"""The page: one self-contained file that answers which codec, by how much, how sure, and on which images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from benchmark.metrics import METRICS
from benchmark.report import captions
from benchmark.report.figures import FIGURES
from benchmark.report.figures.plan import Plot
from benchmark.report.headline import sentences
from benchmark.report.page import payload
from benchmark.report.published import library_styles
from benchmark.report.summary import Summary

MAX_PAGE_BYTES = 8_000_000
_SCRIPTS = ("dom", "fit", "legend", "address", "matching", "chart", "strip", "tables", "viewer", "main")


def render_page(
    summary: Summary,
    *,
    library: payload.Library,
    kept: Mapping[str, Any] | None = None,
    inlined: bool = False,
    plots: Sequence[Plot] = (),
    plot_formats: Sequence[str] = (),
) -> str:
    """Return the page as HTML. `kept` is `kept.viewer_data`'s answer; `plots` are linked from the page, and
    shown on it where their figure has no chart.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tojson_text"] = lambda value: json.dumps(value, sort_keys=True)
    data = payload.page_data(summary, library, library_styles(summary, library))
    published = {
        label: c
        for by_label in (*summary.published.values(), *library.values())
        for label, c in by_label.items()
    }
    return environment.from_string(_text("templates", "page.html.j2")).render(
        s=summary,
        p=summary.provenance,
        dataset_title=captions.dataset_title(summary),
        formulas=[
            f"{m.short} in dB is {m.decibels.formula} of the mean"
            for m in map(METRICS.find, summary.metrics)
            if m.decibels is not None
        ],
        measured=[c for c in summary.codecs if any(c in curves for curves in summary.curves.values())],
        published=list(published.values()),
        headline=sentences(summary),
        kept=kept,
        inlined=inlined,
        titles={name: figure.title for name, figure in FIGURES.items()},
        plots=plots,
        pictures=_pictures(plots),
        plot_formats=plot_formats,
        shown_format=next((name for name in ("svg", "png") if name in plot_formats), None),
        css=Markup(_text("static", "page.css")),  # nosec B704  # ours
        js=Markup("\n".join(_text("static", f"{name}.js") for name in _SCRIPTS)),  # nosec B704  # ours
        data=Markup(embedded_json({**data, "kept": kept})),  # nosec B704  # escaped by embedded_json
    )


def _pictures(plots: Sequence[Plot]) -> list[Plot]:
    """Return a picture of each figure that has no chart on the page: the double-column one if there is."""
    static = [plot for plot in plots if not FIGURES.find(plot.figure).interactive]
    return list({plot.figure: plot for plot in sorted(static, key=lambda plot: plot.wide)}.values())


def embedded_json(data: Mapping[str, Any]) -> str:
    """Return JSON that is safe inside a script element: no markup, no line separators, no NaN."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(*parts: str) -> str:
    return files("benchmark.report.page").joinpath(*parts).read_text(encoding="utf-8")
