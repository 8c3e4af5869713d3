"""The headline of a suite that has one: mean BD-rates over several metrics, in words and rows."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.figures import Comparison
from benchmark.analysis.intervals import number
from benchmark.analysis.mean_rate import MeanRate, mean_rate
from benchmark.errors import AnalysisError
from benchmark.report import captions
from benchmark.report.summary import Summary


def mean_rates(summary: Summary) -> list[MeanRate]:
    """Return the mean BD-rate of each codec that has one in all metrics of the headline, best first."""
    wanted = summary.headline
    if not wanted or not set(wanted) <= set(summary.metrics):
        return []
    by_metric = [summary.comparisons[metric].get(summary.anchor, {}) for metric in wanted]
    found = [
        mean_rate([by[codec] for by in by_metric])
        for codec in summary.codecs
        if all(codec in by and by[codec].per_image is not None for by in by_metric)
    ]
    return sorted(found, key=lambda mean: (mean.rate.value is None, mean.rate.value or 0.0))


def sentences(summary: Summary) -> list[str]:
    """Return the headline in words, a codec a line; why there is none where the suite asks for one."""
    if missing := [name for name in summary.headline if name not in summary.metrics]:
        return [f"No mean BD-rate: no results of {', '.join(missing)}."]
    found = mean_rates(summary)
    return [*(f"{in_words(mean)}." for mean in found), *([how(found)] if found else [])]


def of_comparisons(found: Sequence[Comparison]) -> str:
    """Return the headline of one pair of codecs in words, or why there is none."""
    try:
        return in_words(mean_rate(found))
    except AnalysisError as error:
        return f"no mean BD-rate: {error}"


def in_words(mean: MeanRate) -> str:
    """Return codec, figure and interval, and the figure of each metric."""
    parts = [f"{captions.short_label(m)} {number(v, signed=True)}" for m, v in mean.by_metric.items()]
    return (
        f"{mean.codec} against {mean.anchor}, mean BD-rate of {len(mean.metrics)} metrics: "
        f"{mean.rate.in_words('%')} ({', '.join(parts)})"
    )


def how(found: Sequence[MeanRate]) -> str:
    """Say how these figures were made."""
    left_out = max(mean.left_out for mean in found)
    short = f" Images without a BD-rate in some metric, at most {left_out}, are left out." if left_out else ""
    return (
        "Mean over metrics, then over images, of each image's BD-rates; interval: 95 %, paired bootstrap "
        f"over images, {max(mean.resamples for mean in found):,} resamples.{short}"
    )
