"""The BD table as text: one row a codec, and the notes that say how it was made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmark.analysis import Comparison, Estimate
from benchmark.analysis.intervals import DASH
from benchmark.report import captions
from benchmark.report.page.payload import protocol, time_note
from benchmark.report.summary import Summary


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
    "Median (%)", "Better on", "BD-quality", "Encode (s/MP)", "Decode (s/MP)", "Status",
)  # fmt: skip
"""The headings that do not hang on the metric (see `headings`)."""
LEFT = ("codec", "figure", "statuses")
"""The columns of words, aligned to the left; the others are numbers."""


def headings(metric: str) -> Row:
    """Return what stands above the columns of one metric's table."""
    return replace(HEADINGS, quality=HEADINGS.quality + captions.in_unit(metric))


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
        rate=c.headline_rate.figure(),
        interval=c.headline_rate.interval(),
        figure=c.headline,
        mean_curve=_both(c.mean_curve.rate),
        mean_of_images=_both(own.rate) if own else DASH,
        median=Estimate(own.median_rate_percent).figure() if own else DASH,
        better=better,
        quality=c.mean_curve.quality.figure(digits=3),
        encode=f"{speed.encode.median:.3g}" if speed else DASH,
        decode=f"{speed.decode.median:.3g}" if speed else DASH,
        statuses=captions.status_text(c),
    )


def _both(rate: Estimate) -> str:
    return f"{rate.figure()} {rate.interval()}"


def methods(c: Comparison) -> str:
    """Return the BD-rate by each interpolation."""
    figures = [f"{name} {Estimate(f.rate_percent).figure()}" for name, f in c.mean_curve.by_method.items()]
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


def alone(summary: Summary, metric: str) -> str:
    """Say so where a table would be empty: a report of one codec, or a metric that only one has; else ""."""
    if summary.against(metric):
        return ""
    codecs = ", ".join(summary.curves[metric])
    return f"{captions.short_label(metric)}: one codec ({codecs}), nothing to compare with."
