"""What a figure is: when there is one, what its panels draw, what its caption says, how wide it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from benchmark.metrics import shown
from benchmark.report import captions
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what is drawn into it, and its title."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Variant:
    """One picture of a figure: `suffix` ends its file name, `metrics` are what it shows.

    `wide` is double column with its panels side by side; else single column with its panels stacked.
    """

    suffix: str
    metrics: tuple[str, ...]
    wide: bool


class Figure(ABC):
    """A figure over the metrics of a report. `title` is its heading on the page.

    `interactive` says that the page has a chart of its own for it; the picture of any other figure stands on
    the page as it is, with its caption. `rising` says that its curves rise from left to right, so that a
    legend may stand inside, below them. A figure's module is imported where nothing is drawn too: only what
    panels do may import the drawing library.
    """

    title: ClassVar[str]
    interactive: ClassVar[bool] = False
    rising: ClassVar[bool] = False

    @abstractmethod
    def applies(self, summary: Summary, metric: str) -> bool:
        """Whether the results have anything to show in this metric."""

    @abstractmethod
    def said(self, summary: Summary, metrics: Sequence[str]) -> Sequence[str]:
        """Return sentences on how the figure of these metrics was made and what is doubtful or left out.

        The most important come first: the caption has as many as three lines hold.
        """

    @abstractmethod
    def variants(self, summary: Summary) -> Sequence[Variant]:
        """Return the pictures that these results give, none where the figure does not apply."""

    @abstractmethod
    def panels(self, summary: Summary, metrics: Sequence[str]) -> Sequence[Panel]:
        """Return the panels of a picture of these metrics."""

    def caption(self, summary: Summary, metrics: Sequence[str]) -> str:
        """Return a caption of at most three lines."""
        return captions.brief(self.said(summary, metrics))

    def height_inches(self, summary: Summary, *, wide: bool) -> float:
        """Return a picture's height on paper without its legend, which goes below the panels."""
        del summary, wide
        return 2.7


class MetricFigure(Figure):
    """A figure with a panel for each metric: single column one by one, double column side by side."""

    @abstractmethod
    def draw(self, ax: Axes, summary: Summary, metric: str) -> None:
        """Draw one metric's panel: data with their labels, ranges and axis labels; no title, no legend."""

    def variants(self, summary: Summary) -> list[Variant]:
        """Return a picture for each metric that applies, and one of all if these are several."""
        shown = tuple(metric for metric in plotted(summary) if self.applies(summary, metric))
        single = [Variant(f"-{short_name(metric)}", (metric,), wide=False) for metric in shown]
        return [*single, Variant("-wide", shown, wide=True)] if len(shown) > 1 else single

    def panels(self, summary: Summary, metrics: Sequence[str]) -> list[Panel]:
        """Return a panel for each metric, titled by it."""
        return [
            Panel(captions.short_label(metric), partial(self.draw, summary=summary, metric=metric))
            for metric in metrics
        ]


def plotted(summary: Summary) -> list[str]:
    """Return the metrics that figures show, of those that the results have."""
    return list(shown(summary.metrics))


def short_name(metric: str) -> str:
    """Return the metric's name in file names: psnr, ms-ssim, psnr-y."""
    return metric.removesuffix("_rgb").replace("_", "-")
