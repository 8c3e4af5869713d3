"""Rate-distortion curves: the mean over images of rate and quality at each operating point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.figures.base import MetricFigure, plotted
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RateDistortion(MetricFigure):
    """Rate against quality, a curve a codec; published curves too."""

    title = "Rate against quality"
    interactive = True
    rising = True

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether any curve has a point."""
        return any(c.n_points for c in summary.drawn(metric).values())

    def said(self, summary: Summary, metrics: Sequence[str]) -> list[str]:
        """Say how the curves were made, what the range leaves out, and where published ones are from."""
        published = any(summary.published.get(metric) for metric in metrics)
        return [
            f"Rate-distortion curves on {captions.title(summary)}; real bitstreams, headers counted.",
            *(["Grey and dashed: published, not measured here."] if published else []),
            *[f"{captions.short_label(m)}: {captions.averaging(summary, m)}." for m in metrics],
            *captions.doubts(summary, metrics, of="curves"),
            *[said for metric in metrics for said in _beyond(summary, metric)],
            *_sources(summary, metrics),
        ]

    def draw(self, ax: Axes, summary: Summary, metric: str) -> None:
        """Draw the curves of one metric."""
        window = rd_window(summary, metric)
        scale = summary.presentation.medium.scale
        for name, curve in summary.drawn(metric).items():
            rates, qualities = layout.finite(curve)
            if len(rates):
                ax.plot(rates, qualities, label=name, **summary.styles[name].line(scale))
        ax.set(xlim=window.rate, ylim=window.quality)
        ax.set(xlabel="Rate (bpp)", ylabel=captions.axis_label(metric))
        ax.grid(True)


def rd_window(summary: Summary, metric: str) -> layout.Window:
    """Return the range that the metric's plot shows: the one asked for, else that of the curves."""
    curves = list(summary.drawn(metric).values())
    return layout.rd_window(curves, summary.presentation.rate, asked_quality(summary, metric))


def asked_quality(summary: Summary, metric: str) -> tuple[float, float] | None:
    """Return the range of qualities that was asked for: it is in the unit of the first metric alone."""
    return summary.presentation.quality if metric in plotted(summary)[:1] else None


def _beyond(summary: Summary, metric: str) -> list[str]:
    drawn = summary.drawn(metric)
    window = rd_window(summary, metric)
    counts = [f"{summary.text(name)}: {n}" for name, curve in drawn.items() if (n := window.beyond(curve))]
    axis = captions.short_label(metric)
    return [f"Points beyond the {axis} axis range, not shown: {', '.join(counts)}."] if counts else []


def _sources(summary: Summary, metrics: Sequence[str]) -> list[str]:
    curves = {name: c for metric in metrics for name, c in summary.published.get(metric, {}).items()}
    return [f"{summary.text(name)}: published at {curve.provenance}." for name, curve in curves.items()]


RD = RateDistortion()
