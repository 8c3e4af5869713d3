"""Which pictures a report has: known before any of them is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmark.report.figures import FIGURES
from benchmark.report.figures.base import Figure
from benchmark.report.looks import family_of
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

    `notes` is all that could be said of it. `figure` is its figure's name in the registry. `metrics` are
    what its panels show; `wide` is double column, panels side by side.
    """

    figure: str
    stem: str
    caption: str
    notes: tuple[str, ...]
    wide: bool
    metrics: tuple[str, ...]
    height_inches: float


def plan_plots(summary: Summary) -> list[Plot]:
    """Return the pictures that a report has, not drawn yet: those of the widths that are asked for.

    A figure that has but one width has that. With a preset there is the first figure alone, in its widest
    form, named by the preset.
    """
    plots = [plot for name, figure in FIGURES.items() for plot in _plots(name, figure, summary)]
    preset = summary.presentation.preset
    if preset is not None:
        of_first = [plot for plot in plots if plot.figure == plots[0].figure]
        return [replace(of_first[-1], stem=f"{of_first[-1].figure}-{preset}")]
    return plots


def _plots(name: str, figure: Figure, summary: Summary) -> list[Plot]:
    variants = figure.variants(summary)
    asked = [v for v in variants if ("page" if v.wide else "column") in summary.presentation.widths]
    return [
        Plot(
            name,
            f"{name}{variant.suffix}",
            figure.caption(summary, variant.metrics),
            tuple(figure.said(summary, variant.metrics)),
            variant.wide,
            variant.metrics,
            figure.height_inches(summary, wide=variant.wide),
        )
        for variant in asked or variants
    ]


def best_of_families(summary: Summary, most: int) -> tuple[str, ...]:
    """Return the anchor and each family's codec of the best BD-rate, at most so many, the best first."""
    best: dict[str, str] = {family_of(summary.anchor): summary.anchor}
    for c in summary.against(summary.metrics[0]):
        if c.headline_rate.value is not None:
            best.setdefault(family_of(c.codec), c.codec)
    return tuple(best.values())[:most]
