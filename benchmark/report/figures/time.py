"""Rate against time: BD-rate over encoding and decoding seconds per megapixel, a mark a codec."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.analysis import Estimate
from benchmark.report import captions
from benchmark.report.figures.base import Figure, Panel, Variant, plotted
from benchmark.report.figures.texts import name_marks
from benchmark.report.speed import Spread
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_NAMES = 8
"""With more marks than this their names would cover one another: a legend has them."""
_TOO_CLOSE = 3.0
"""Marks within this factor stand on an axis from 0."""
SIDES = {"encode": "Encoding", "decode": "Decoding"}


class RateTime(Figure):
    """BD-rate of the first metric over coding time, a panel for each direction."""

    title = "Rate against time"
    interactive = True

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether two codecs have both a BD-rate (the anchor's is 0) and times."""
        return len(time_points(summary, metric)) > 1

    def said(self, summary: Summary, metrics: Sequence[str]) -> list[str]:
        """Say under what conditions times were taken, and which codecs or rows are left out."""
        (metric,) = metrics
        condition = next(iter(summary.speeds.values())).condition
        anchor = summary.text(summary.anchor)
        how = [
            f"{captions.short_label(metric)} BD-rate against {anchor} over median coding time, on "
            f"{captions.title(summary)}; {condition}.",
            "Horizontal bars: quartiles over images and points; vertical: 95 % interval of the BD-rate.",
        ]
        left_out = [f"{codec}: {s.rows_left_out}" for codec, s in summary.speeds.items() if s.rows_left_out]
        without_time = [codec for codec in summary.codecs if codec not in summary.speeds]
        shown = time_points(summary, metric)
        without_rate = [c.codec for c in summary.against(metric) if c.codec not in {*shown, *without_time}]
        said = [
            *_listed("Rows timed under other conditions, excluded", left_out),
            *_listed("No comparable times", without_time),
            *_listed("No BD-rate, not shown", without_rate),
        ]
        timed = "Encoding and decoding are timed apart, after a warm-up."
        return [*how, *said, *captions.doubts(summary, [metric]), timed]

    def variants(self, summary: Summary) -> list[Variant]:
        """Return one picture in each width, of the first metric alone."""
        first = tuple(plotted(summary)[:1])
        if not first or not self.applies(summary, *first):
            return []
        return [Variant("", first, wide=False), Variant("-wide", first, wide=True)]

    def panels(self, summary: Summary, metrics: Sequence[str]) -> list[Panel]:
        """Return the panels of encoding and decoding."""
        return [
            Panel(SIDES[side], partial(_draw, summary=summary, metric=metric, side=side))
            for metric in metrics
            for side in SIDES
        ]

    def height_inches(self, summary: Summary, *, wide: bool) -> float:
        """Return the height of two panels, side by side or stacked."""
        del summary
        return 2.8 if wide else 4.8


def time_points(summary: Summary, metric: str) -> Mapping[str, Estimate]:
    """Return the BD-rate (percent) of the codecs that have times; the anchor's is 0."""
    return rates_among(summary, metric, summary.speeds)


def rates_among(summary: Summary, metric: str, known: Container[str]) -> Mapping[str, Estimate]:
    """Return the BD-rate (percent) of the codecs of which a cost is `known`; the anchor's is 0."""
    found = {summary.anchor: Estimate(0.0)} | {c.codec: c.headline_rate for c in summary.against(metric)}
    return {c: rate for c, rate in found.items() if rate.value is not None and c in known}


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(names)}."] if names else []


def _draw(ax: Axes, summary: Summary, metric: str, side: str) -> None:
    """Draw one panel, each mark with its name. Bars: quartiles of the time, interval of the rate."""
    spreads = {codec: getattr(summary.speeds[codec], side) for codec in time_points(summary, metric)}
    draw_marks(ax, summary, metric, time_points(summary, metric), spreads)
    ax.set(xlabel=f"{SIDES[side]} time (s per megapixel)")


def draw_marks(
    ax: Axes, summary: Summary, metric: str, rates: Mapping[str, Estimate], spreads: Mapping[str, Spread]
) -> None:
    """Draw the BD-rate of each codec over a cost, both with bars, and its name where there is room."""
    scale = summary.presentation.medium.scale
    in_legend = len(rates) > MAX_NAMES
    for codec, rate in rates.items():
        assert rate.value is not None
        spread, style = spreads[codec], summary.styles[codec]
        bar: dict[str, Any] = {"color": style.colour, "linewidth": 0.8 * scale, "alpha": 0.7}
        ax.plot([spread.low, spread.high], [rate.value] * 2, **bar)
        if rate.low is not None and rate.high is not None:
            ax.plot([spread.median] * 2, [rate.low, rate.high], **bar)
        ax.plot(spread.median, rate.value, label=codec if in_legend else None, **style.mark(1.2 * scale))
    _logarithmic(ax)
    ax.set(ylabel=f"{captions.short_label(metric)} BD-rate (%)")
    ax.grid(True)
    if not in_legend:
        name_marks(ax, {c: (spreads[c].median, float(rate.value or 0)) for c, rate in rates.items()}, summary)


def _logarithmic(ax: Axes) -> None:
    """Make the horizontal axis logarithmic, unless its marks are so close that it would have no ticks."""
    ax.margins(x=0.2, y=0.12)  # room for the names
    low, high = ax.dataLim.intervalx
    if high < _TOO_CLOSE * low:
        ax.set_xlim(0, 1.25 * high)
        return
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: _two_or_five(ax, value))
    ax.tick_params(axis="x", which="minor", labelsize=7)


def _two_or_five(ax: Axes, value: float) -> str:
    """Return the text of a minor tick: only 2 and 5, and only where the axis spans less than two decades."""
    low, high = ax.get_xlim()
    leading = f"{value:e}"[0]
    return f"{value:g}" if high < 100 * low and leading in "25" else ""


TIME = RateTime()
