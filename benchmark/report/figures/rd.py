"""Rate-distortion curves: the mean over images of rate and quality at each operating point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.figures.base import MetricFigure
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RateDistortion(MetricFigure):
    """Rate against quality, a curve a codec; published curves too."""

    title = "Rate against quality"
    interactive = True

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether any curve has a point."""
        return any(c.n_points for c in summary.drawn(metric).values())

    def caption(self, summary: Summary, metrics: Sequence[str]) -> str:
        """Say how the curves were made, and how many points the range leaves out."""
        said = [f"Rate-distortion curves on {captions.title(summary)}; real bitstreams, headers counted."]
        for metric in metrics:
            said.append(f"{captions.short_label(metric)}: {captions.averaging(summary, metric)}.")
            said += _beyond(summary, metric)
        doubts = captions.doubts(summary, metrics, of="curves")
        return " ".join([*said, *_published(summary, metrics), *doubts])

    def draw(self, ax: Axes, summary: Summary, metric: str) -> None:
        """Draw the curves of one metric."""
        curves = summary.drawn(metric)
        window = layout.rd_window(list(curves.values()), summary.max_bpp)
        for label, curve in curves.items():
            rates, qualities = layout.finite(curve)
            if len(rates):
                ax.plot(rates, qualities, label=label, **summary.styles[label].line)
        ax.set(xlim=window.rate, ylim=window.quality)
        ax.set(xlabel="Rate (bpp)", ylabel=captions.axis_label(metric))
        ax.grid(True)


def _beyond(summary: Summary, metric: str) -> list[str]:
    drawn = summary.drawn(metric)
    window = layout.rd_window(list(drawn.values()), summary.max_bpp)
    counts = [f"{label}: {n}" for label, curve in drawn.items() if (n := window.beyond(curve))]
    axis = captions.short_label(metric)
    return [f"Points beyond the {axis} axis range, not shown: {', '.join(counts)}."] if counts else []


def _published(summary: Summary, metrics: Sequence[str]) -> list[str]:
    curves = {label: c for metric in metrics for label, c in summary.published.get(metric, {}).items()}
    listed = "; ".join(f"{label}: {curve.provenance}" for label, curve in curves.items())
    return [f"Dashed: published, not measured here ({listed})."] if curves else []


RD = RateDistortion()
