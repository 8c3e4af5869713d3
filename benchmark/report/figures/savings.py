"""Rate savings over quality: rate against the anchor at each quality, with bands of what resampling gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.arrays import F64
from benchmark.report import captions
from benchmark.report.figures import layout
from benchmark.report.figures.base import MetricFigure
from benchmark.report.figures.rd import rd_window
from benchmark.report.savings import RESAMPLES, Savings
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS_A_CURVE = 4
_MAX_BANDS = 5
"""With more codecs than this their bands would cover one another: lines alone are drawn."""


class RateSavings(MetricFigure):
    """Rate of each mean curve against the anchor's at equal quality: BD-rate is the mean of this."""

    title = "Rate savings over quality"
    interactive = True

    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether any curve shares a range of qualities with the anchor's."""
        return any(len(s.qualities) > 1 for s in summary.savings[metric].get(summary.anchor, {}).values())

    def said(self, summary: Summary, metrics: Sequence[str]) -> list[str]:
        """Say how the savings were made, and which codecs the range leaves out."""
        said = [
            f"Rate of each codec's mean curve against {summary.text(summary.anchor)} at equal quality, on "
            f"{captions.title(summary)} (PCHIP through log rate over dB; below 0 is a saving).",
            f"{_bands(summary, metrics)}.",
            *captions.doubts(summary, metrics, of="curves"),
        ]
        for metric in metrics:
            label, view = captions.short_label(metric), _view(summary, metric)
            if view.outside:
                said.append(
                    f"Beyond the {label} axes, not shown: {captions.codec_list(summary, view.outside)}."
                )
            if view.in_part:
                said.append(f"Beyond the {label} axis in part: {captions.codec_list(summary, view.in_part)}.")
        return [*said, *[f"{captions.short_label(m)}: {captions.averaging(summary, m)}." for m in metrics]]

    def draw(self, ax: Axes, summary: Summary, metric: str) -> None:
        """Draw the savings of one metric, each with its band."""
        view = _view(summary, metric)
        inside = _inside(summary, metric)
        scale = summary.presentation.medium.scale
        for place, (name, saving) in enumerate(inside.items()):
            style = summary.styles[name]
            if len(inside) <= _MAX_BANDS:
                band: Any = {"color": style.colour, "alpha": 0.13, "linewidth": 0}
                ax.fill_between(saving.qualities, saving.low, saving.high, **band)
            line = style.line(scale) | {"markevery": _apart(saving.qualities, view, place / len(inside))}
            ax.plot(saving.qualities, saving.rate_percent, label=name, **line)
        ax.axhline(0, color="0.3", linewidth=0.8)
        ax.set(xlim=view.quality, ylim=view.rate)
        ax.set(xlabel=captions.axis_label(metric), ylabel=f"Rate against {summary.text(summary.anchor)} (%)")
        ax.grid(True)

    def height_inches(self, summary: Summary, *, wide: bool) -> float:
        """Return the height of one row of panels."""
        del summary, wide
        return 2.5


def _bands(summary: Summary, metrics: Sequence[str]) -> str:
    if any(summary.anchor in summary.published.get(metric, {}) for metric in metrics):
        return "No bands: the anchor is a published curve, without images to resample"
    if all(len(_inside(summary, metric)) > _MAX_BANDS for metric in metrics):
        return f"Without bands, for more than {_MAX_BANDS} codecs; the tables have intervals"
    return f"Bands: 95 % of {RESAMPLES} paired bootstrap resamples over the images that all codecs share"


def _inside(summary: Summary, metric: str) -> dict[str, Savings]:
    """Return the savings that are drawn, by codec."""
    found, outside = summary.savings[metric][summary.anchor], _view(summary, metric).outside
    return {name: s for name, s in found.items() if len(s.qualities) > 1 and name not in outside}


def _view(summary: Summary, metric: str) -> layout.SavingsView:
    return layout.savings_view(summary.savings[metric][summary.anchor], rd_window(summary, metric).quality)


def _apart(qualities: F64, view: layout.SavingsView, phase: float) -> list[int]:
    """Put few markers on the visible part of a curve, shifted so that those of close curves keep apart."""
    seen = np.flatnonzero((qualities >= view.quality[0]) & (qualities <= view.quality[1]))
    at = (np.arange(_MARKERS_A_CURVE) + 0.1 + 0.8 * phase) / _MARKERS_A_CURVE * (len(seen) - 1)
    return sorted({int(seen[i]) for i in at.round().astype(int)})


SAVINGS = RateSavings()
