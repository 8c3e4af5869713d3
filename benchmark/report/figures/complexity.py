"""Rate against complexity: BD-rate over what decoding takes, in operations and in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmark.report import captions
from benchmark.report.figures.base import Figure, Panel, Variant, plotted
from benchmark.report.figures.time import draw_marks, rates_among, time_points
from benchmark.report.speed import Spread
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RateComplexity(Figure):
    """BD-rate of the first metric over decoding kMAC per pixel, and over decoding seconds."""

    title = "Rate against decoding complexity"

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether the operations of two codecs with a BD-rate are known."""
        return len(rates_among(summary, metric, summary.costs)) > 1

    def said(self, summary: Summary, metrics: Sequence[str]) -> list[str]:
        """Say what is counted, and which codecs have no operations."""
        (metric,) = metrics
        how = [
            f"{captions.short_label(metric)} BD-rate against {summary.text(summary.anchor)} over what "
            f"decoding takes, on {captions.title(summary)}.",
            "Left: thousands of multiply-accumulates of the networks per pixel, median, least and most of a "
            "codec's points; a codec without networks has none.",
            "Vertical bars: 95 % interval of the BD-rate.",
        ]
        timed = list(summary.speeds.values())[:1]
        conditions = [f"Right: median time with quartiles; {s.condition}." for s in timed]
        return [*how, *conditions, *captions.doubts(summary, [metric])]

    def variants(self, summary: Summary) -> list[Variant]:
        """Return one picture in each width, of the first metric alone."""
        first = tuple(plotted(summary)[:1])
        if not first or not self.applies(summary, *first):
            return []
        return [Variant("", first, wide=False), Variant("-wide", first, wide=True)]

    def panels(self, summary: Summary, metrics: Sequence[str]) -> list[Panel]:
        """Return the panel of operations, and that of seconds where times are known."""
        (metric,) = metrics
        operations = Panel("Operations", partial(_draw_operations, summary=summary, metric=metric))
        seconds = Panel("Time", partial(_draw_seconds, summary=summary, metric=metric))
        return [operations, seconds] if time_points(summary, metric) else [operations]

    def height_inches(self, summary: Summary, *, wide: bool) -> float:
        """Return the height of two panels, side by side or stacked."""
        del summary
        return 2.8 if wide else 4.8


def _draw_operations(ax: Axes, summary: Summary, metric: str) -> None:
    spreads: dict[str, Spread] = {codec: summary.costs[codec].decode for codec in summary.costs}
    draw_marks(ax, summary, metric, rates_among(summary, metric, summary.costs), spreads)
    ax.set(xlabel="Decoding operations (kMAC per pixel)")


def _draw_seconds(ax: Axes, summary: Summary, metric: str) -> None:
    spreads = {codec: speed.decode for codec, speed in summary.speeds.items()}
    draw_marks(ax, summary, metric, time_points(summary, metric), spreads)
    ax.set(xlabel="Decoding time (s per megapixel)")


COMPLEXITY = RateComplexity()
