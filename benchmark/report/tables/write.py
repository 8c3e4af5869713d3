"""The report's tables: BD-rates for terminal, Markdown, LaTeX and CSV, and every number in one tidy frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.analysis import Comparison, Estimate, comparison_table
from benchmark.report import captions
from benchmark.report.page.payload import protocol, time_note
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from rich.table import Table

MINUS = "\u2212"
DASH = "\u2013"
TIDY_COLUMNS = [
    "kind", "suite", "dataset", "metric", "anchor", "codec", "source", "point", "figure", "value",
    "low", "high", "unit", "images", "dataset_size", "averaging", "resamples", "statuses",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a BD table, as text; `codec` and `statuses` are the data's own words, not yet escaped."""

    codec: str
    rate: str
    interval: str
    figure: str
    mean_curve: str
    mean_of_images: str
    median: str
    better: str
    quality: str
    encode: str
    decode: str
    statuses: str


HEADINGS = Row(
    "Codec", "BD-rate (%)", "95 % interval", "Figure", "Of mean curves (%)", "Mean of images (%)",
    "Median (%)", "Better on", "BD-quality (dB)", "Encode (s/MP)", "Decode (s/MP)", "Status",
)  # fmt: skip


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def interval(estimate: Estimate, digits: int = 2) -> str:
    """Return an estimate's interval; a dash where there is none."""
    if estimate.low is None or estimate.high is None:
        return DASH
    return f"[{number(estimate.low, digits, signed=True)}, {number(estimate.high, digits, signed=True)}]"


def rows(summary: Summary, metric: str, anchor: str | None = None) -> list[Row]:
    """Return the table of one metric, best codec first."""
    return [_row(summary, comparison) for comparison in summary.against(metric, anchor)]


def _row(summary: Summary, c: Comparison) -> Row:
    own, speed = c.per_image, summary.speeds.get(c.codec)
    better = DASH
    if own is not None and own.n_images:
        better = f"{int((own.table['bd_rate_percent'] < 0).sum())} of {own.n_images}"
    return Row(
        codec=c.codec,
        rate=number(c.headline_rate.value, signed=True),
        interval=interval(c.headline_rate),
        figure=c.headline,
        mean_curve=f"{number(c.mean_curve.rate.value, signed=True)} {interval(c.mean_curve.rate)}",
        mean_of_images=f"{number(own.rate.value, signed=True)} {interval(own.rate)}" if own else DASH,
        median=number(own.median_rate_percent, signed=True) if own else DASH,
        better=better,
        quality=number(c.mean_curve.quality.value, 3, signed=True),
        encode=f"{speed.encode.median:.3g}" if speed else DASH,
        decode=f"{speed.decode.median:.3g}" if speed else DASH,
        statuses=captions.status_text(c),
    )


def methods(c: Comparison) -> str:
    """Return the BD-rate by each interpolation."""
    figures = [f"{name} {number(f.rate_percent, signed=True)}" for name, f in c.mean_curve.by_method.items()]
    return f"{c.codec}: {', '.join(figures)} %"


def notes(summary: Summary, metric: str, anchor: str | None = None) -> list[str]:
    """Return how the table was made, to stand wherever it is shown."""
    found = summary.against(metric, anchor)
    resamples = max((c.resamples for c in found), default=0)
    compared = [
        "BD-rate: PCHIP, negative is fewer bits at equal quality. BD-quality is of the mean curves.",
        f"Intervals: 95 %, paired bootstrap over images, {resamples:,} resamples.",
    ]
    return [
        f"{captions.title(summary)}{f'; anchor {anchor or summary.anchor}' if found else ''}.",
        f"Curves: {captions.averaging(summary, metric)}.",
        *(compared if found else ()),
        f"Times: {time_note(summary)}",
        f"Protocol: {protocol(summary)}.",
        *(f"By method (of mean curves): {methods(c)}." for c in found if "methods_disagree" in c.statuses),
    ]


def _alone(summary: Summary, metric: str) -> str:
    """Say so where a table would be empty: a report of one codec, or a metric that only one has."""
    if summary.against(metric):
        return ""
    codecs = ", ".join(summary.curves[metric])
    return f"{captions.short_label(metric)}: one codec ({codecs}), nothing to compare with."


def terminal(summary: Summary, metric: str, *, wide: bool) -> Table | str:
    """Return the table for a terminal; `wide` adds the second figure, BD-quality and times.

    A sentence instead where there is nothing to compare.
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    if alone := _alone(summary, metric):
        return escape(alone)
    names = ["codec", "rate", "interval", "figure", "better", "statuses"]
    if wide:
        names = [
            "codec",
            "rate",
            "interval",
            "figure",
            "mean_curve",
            "mean_of_images",
            "better",
            "quality",
            "encode",
            "decode",
            "statuses",
        ]
    table = Table(
        title=escape(
            f"BD-rate on {captions.short_label(metric)} against {summary.anchor}, {captions.title(summary)}"
        ),
        box=SIMPLE_HEAD,
        collapse_padding=True,
    )
    for name in names:
        table.add_column(
            getattr(HEADINGS, name),
            justify="left" if name in ("codec", "figure", "statuses") else "right",
            no_wrap=name not in ("codec", "statuses"),
            overflow="fold",  # a codec's name is never cut short
        )
    for row in rows(summary, metric):
        table.add_row(*(escape(getattr(row, name)) for name in names))
    return table


_MARKDOWN_SPECIAL = "\\`*_{}[]<>()#+!|~"


def markdown(summary: Summary) -> str:
    """Return a Markdown document with a table for each metric."""
    compared = any(summary.against(metric) for metric in summary.metrics)
    anchor = f": BD-rate against {_markdown_text(summary.anchor)}" if compared else ""
    parts = [f"# {_markdown_text(summary.suite)}{anchor}"]
    headings = _cells(HEADINGS)
    for metric in summary.metrics:
        parts.append(f"## {captions.short_label(metric)}")
        lines = [
            f"| {' | '.join(headings)} |",
            f"| {' | '.join('---' if h in ('Codec', 'Figure', 'Status') else '---:' for h in headings)} |",
        ]
        lines += [
            f"| {' | '.join(_markdown_text(cell) for cell in _cells(row))} |" for row in rows(summary, metric)
        ]
        if alone := _alone(summary, metric):
            lines = [_markdown_text(alone)]
        parts += ["\n".join(lines), "\n".join(f"- {_markdown_text(note)}" for note in notes(summary, metric))]
    if len(summary.failures):
        lines = [
            f"- {r.codec}, {r.status}: {r.rows} evaluations: {r.error}" for r in summary.failures.itertuples()
        ]
        parts += ["## Failed evaluations", "\n".join("- " + _markdown_text(line[2:]) for line in lines)]
    return "\n\n".join(parts) + "\n"


def _cells(row: Row) -> list[str]:
    return list(vars(row).values())


def _markdown_text(text: str) -> str:
    return "".join(f"\\{ch}" if ch in _MARKDOWN_SPECIAL else ch for ch in text).replace("\n", " ")


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\n": " ", MINUS: "$-$", DASH: "--",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(ch, ch) for ch in text)


def latex(summary: Summary, metric: str) -> str:
    r"""Return a booktabs table of one metric, to be \input; its caption says how it was made.

    A comment instead where there is nothing to compare.
    """
    if alone := _alone(summary, metric):
        return f"% {latex_text(alone)}\n"
    names = ["codec", "rate", "interval", "mean_of_images", "quality", "encode", "decode"]
    doubts = " ".join(captions.doubts(summary, [metric]))
    made = " ".join(notes(summary, metric)[:5])
    caption = f"{captions.short_label(metric)} BD-rate against {summary.anchor}. {made} {doubts}".strip()
    body = [
        " & ".join(latex_text(getattr(row, name)) for name in names) + r" \\" for row in rows(summary, metric)
    ]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
            r"\toprule",
            " & ".join(latex_text(getattr(HEADINGS, name)) for name in names) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def bd_frame(summary: Summary) -> pd.DataFrame:
    """Return the BD table of every metric against the report's anchor (see `comparison_table`)."""
    frame = comparison_table([c for metric in summary.metrics for c in summary.against(metric)])
    for side in ("encode", "decode"):
        medians = {codec: getattr(speed, side).median for codec, speed in summary.speeds.items()}
        frame[f"{side}_seconds_per_megapixel"] = frame["codec"].map(medians).astype(float)
    return frame


def tidy(summary: Summary) -> pd.DataFrame:
    """Return every number of the report, one a row (TIDY_COLUMNS).

    `kind` is curve (figures bpp, quality_db and value at a point), bd (against `anchor`) or time.
    `value`, `low` and `high` are in `unit`.
    """
    shared = {"suite": summary.suite, "dataset": summary.dataset}
    found = [{**shared, **row} for row in (*_curve_rows(summary), *_bd_rows(summary), *_time_rows(summary))]
    frame = pd.DataFrame(found, columns=TIDY_COLUMNS)
    numbers = dict.fromkeys(("point", "value", "low", "high"), "float64")
    counts = dict.fromkeys(("images", "dataset_size", "resamples"), "Int64")
    return frame.astype(numbers | counts)


def _curve_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for metric in summary.metrics:
        for codec, curve in summary.drawn(metric).items():
            about = {
                "kind": "curve", "metric": metric, "codec": codec, "source": curve.source,
                "images": curve.coverage.images_used, "dataset_size": curve.coverage.dataset_size,
                "averaging": curve.averaging, "statuses": " ".join(curve.statuses),
            }  # fmt: skip
            for point, *values in zip(curve.points, curve.rates, curve.qualities, curve.values, strict=True):
                for figure, unit, value in zip(
                    ("bpp", "quality_db", "value"), ("bpp", "dB", ""), values, strict=True
                ):
                    yield {**about, "point": point, "figure": figure, "value": value, "unit": unit}


def _bd_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for metric in summary.metrics:
        for anchor in summary.comparisons[metric]:
            for c in summary.against(metric, anchor):
                yield from _figures(c)


def _figures(c: Comparison) -> Iterator[dict[str, Any]]:
    about = {
        "kind": "bd", "metric": c.metric, "anchor": c.anchor, "codec": c.codec, "source": "measured",
        "images": len(c.images), "dataset_size": c.coverage.dataset_size, "averaging": c.averaging,
        "resamples": c.resamples,
    }  # fmt: skip
    of_curves: list[tuple[str, str, Estimate]] = [
        ("bd_rate_of_mean_curves", "%", c.mean_curve.rate),
        ("bd_quality_of_mean_curves", "dB", c.mean_curve.quality),
        *(
            (f"bd_rate_of_mean_curves_{m}", "%", Estimate(f.rate_percent))
            for m, f in c.mean_curve.by_method.items()
        ),
    ]
    of_images: list[tuple[str, str, Estimate]] = []
    if c.per_image is not None:
        of_images = [
            ("bd_rate_mean_of_images", "%", c.per_image.rate),
            ("bd_rate_median_of_images", "%", Estimate(c.per_image.median_rate_percent)),
            ("bd_rate_spread_of_images", "%", Estimate(c.per_image.std_rate_percent)),
            ("bd_quality_mean_of_images", "dB", c.per_image.quality),
        ]
    for figures, held in (
        ([("bd_rate_headline", "%", c.headline_rate)], c.headline_statuses),
        (of_curves, c.statuses),
        (of_images, c.image_statuses),
    ):
        for figure, unit, e in figures:
            numbers = {"value": e.value, "low": e.low, "high": e.high}
            yield {**about, "figure": figure, **numbers, "unit": unit, "statuses": " ".join(held)}


def image_frame(summary: Summary) -> pd.DataFrame:
    """Return per-image BD figures against the report's anchor, a row for each metric, codec and image."""
    parts = [
        c.per_image.table.assign(metric=metric, anchor=c.anchor, codec=c.codec)
        for metric in summary.metrics
        for c in summary.against(metric)
        if c.per_image is not None
    ]
    columns = [
        "metric",
        "anchor",
        "codec",
        "image",
        "bd_rate_percent",
        "bd_quality_db",
        "overlap",
        "statuses",
    ]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _time_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    for codec, speed in summary.speeds.items():
        for side in ("encode", "decode"):
            spread = getattr(speed, side)
            about = {"kind": "time", "codec": codec, "source": "measured", "statuses": speed.condition}
            yield {
                **about,
                "figure": f"{side}_seconds_per_megapixel",
                "value": spread.median,
                "low": spread.low,
                "high": spread.high,
                "unit": "s/MP",
            }


def curve_frame(summary: Summary, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the mean curves, a row for each point, to be drawn again by other means."""
    return pd.DataFrame(
        [
            (
                metric,
                codec,
                c.source,
                point,
                bpp,
                db,
                value,
                c.coverage.images_used,
                c.averaging,
                " ".join(c.statuses),
            )
            for metric in metrics
            for codec, c in summary.drawn(metric).items()
            for point, bpp, db, value in zip(c.points, c.rates, c.qualities, c.values, strict=True)
        ],
        columns=[
            "metric",
            "codec",
            "source",
            "point",
            "bpp",
            "quality_db",
            "value",
            "images",
            "averaging",
            "statuses",
        ],
    )
