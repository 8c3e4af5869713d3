"""The BD table as text: one row a codec, and the notes that say how it was made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from benchmark.analysis import Comparison, Estimate, Status
from benchmark.analysis.intervals import DASH, number
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
    shared: str
    moved: str
    encode: str
    decode: str
    macs: str
    statuses: str


HEADINGS = Row(
    "Codec", "BD-rate (%)", "95 % interval", "Figure", "Of mean curves (%)", "Mean of images (%)",
    "Median (%)", "Better on", "BD-quality", "Over", "Without a point (±)", "Encode (s/MP)",
    "Decode (s/MP)", "Decode (kMAC/pixel)", "Status",
)  # fmt: skip
"""The headings that do not hang on the metric (see `headings`)."""
LEFT = ("codec", "figure", "statuses")
"""The columns of words, aligned to the left; the others are numbers."""


def headings(metric: str) -> Row:
    """Return what stands above the columns of one metric's table."""
    unit = captions.in_unit(metric)
    return replace(HEADINGS, quality=HEADINGS.quality + unit, shared=HEADINGS.shared + unit)


def rows(summary: Summary, metric: str, anchor: str | None = None) -> list[Row]:
    """Return the table of one metric, best codec first."""
    found = summary.against(metric, anchor)
    once = captions.said_once(found)
    return [_row(summary, comparison, once) for comparison in found]


def _row(summary: Summary, c: Comparison, once: Collection[Status]) -> Row:
    own, speed, cost = c.per_image, summary.speeds.get(c.codec), summary.costs.get(c.codec)
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
        shared=captions.shared_range(c),
        moved=number(c.mean_curve.interpolation_error_percent),
        encode=f"{speed.encode.median:.3g}" if speed else DASH,
        decode=f"{speed.decode.median:.3g}" if speed else DASH,
        macs=f"{cost.decode.median:.3g}" if cost else DASH,
        statuses=captions.status_text(c, once),
    )


def _both(rate: Estimate) -> str:
    return f"{rate.figure()} {rate.interval()}"


def methods(c: Comparison) -> str:
    """Return the BD-rate by each interpolation."""
    figures = [f"{name} {Estimate(f.rate_percent).figure()}" for name, f in c.mean_curve.by_method.items()]
    return f"{c.codec}: {', '.join(figures)} %"


def notes(summary: Summary, metric: str, anchor: str | None = None) -> list[str]:
    """Return how the table was made, to stand wherever it is shown, and what is said of nearly all rows."""
    found = summary.against(metric, anchor)
    compared = [
        "BD-rate: PCHIP, negative is fewer bits at equal quality. BD-quality is of the mean curves.",
        intervals_note(found),
    ]
    return [
        f"{captions.title(summary)}{f'; anchor {anchor or summary.anchor}' if found else ''}.",
        f"Curves: {captions.averaging(summary, metric)}.",
        *(compared if found else ()),
        f"Times: {time_note(summary)}",
        f"Protocol: {protocol(summary)}.",
        *([_MOVED_NOTE] if found else ()),
        *captions.said_once(found).values(),
        *_not_to_quote(found),
        *(f"By method (of mean curves): {methods(c)}." for c in found if "methods_disagree" in c.statuses),
    ]


_MOVED_NOTE = (
    "Over: the qualities at which rates are compared. Without a point: the most by which leaving out one "
    "point of either mean curve moves their BD-rate, an upper estimate of the error of interpolation."
)


def intervals_note(found: Sequence[Comparison]) -> str:
    """Say how the intervals of these comparisons with one anchor were made, or why there are none."""
    if all(c.per_image is None for c in found):
        return "No intervals: a published curve has no images to resample."
    resamples = max(c.resamples for c in found)
    return f"Intervals: 95 %, paired bootstrap over images, {resamples:,} resamples."


def _not_to_quote(found: Sequence[Comparison]) -> list[str]:
    codecs = [c.codec for c in found if c.headline_rate.value is not None and not c.quotable]
    return [f"Not to be quoted: {', '.join(codecs)}."] if codecs else []


def alone(summary: Summary, metric: str) -> str:
    """Say so where a table would be empty: a report of one codec, or a metric that only one has; else ""."""
    if summary.against(metric):
        return ""
    codecs = ", ".join(summary.curves[metric])
    return f"{captions.short_label(metric)}: one codec ({codecs}), nothing to compare with."
