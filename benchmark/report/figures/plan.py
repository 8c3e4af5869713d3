"""Which pictures a report has: known before any of them is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.report.figures import FIGURES
from benchmark.report.figures.base import Figure
from benchmark.report.summary import Summary

FORMATS: Mapping[str, Mapping[str, None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
"""The formats of a picture, with the metadata to leave out: equal results give equal files."""


@dataclass(frozen=True)
class Plot:
    """One picture: `stem` is its file name without the suffix, `caption` how it was made.

    `figure` is its figure's name in the registry. `metrics` are what its panels show; `wide` is double
    column, panels side by side.
    """

    figure: str
    stem: str
    caption: str
    wide: bool
    metrics: tuple[str, ...]
    height_inches: float


def plan_plots(summary: Summary) -> list[Plot]:
    """Return the pictures that a report has, not drawn yet."""
    return [plot for name, figure in FIGURES.items() for plot in _plots(name, figure, summary)]


def _plots(name: str, figure: Figure, summary: Summary) -> list[Plot]:
    return [
        Plot(
            name,
            f"{name}{variant.suffix}",
            figure.caption(summary, variant.metrics),
            variant.wide,
            variant.metrics,
            figure.height_inches(summary, wide=variant.wide),
        )
        for variant in figure.variants(summary)
    ]
