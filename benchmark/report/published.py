"""Which published curves a report draws: a few of the field's anchors by default, the rest on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.analysis import Curve
from benchmark.analysis.published import list_curves, load, publication
from benchmark.errors import AnalysisError
from benchmark.metrics import METRICS
from benchmark.report.looks import looks
from benchmark.report.style import Style
from benchmark.report.summary import Summary

DEFAULT = ("kodak-compressai-vtm", "kodak-compressai-mbt2018-mean-mse", "tecnick-lossy-vae-vtm18.0")
NONE = "none"


def published_curves(
    dataset: str, names: Sequence[str] = (), *, partial: bool = False
) -> dict[str, dict[str, Curve]]:
    """Return published curves of a dataset, keyed by metric, then label.

    `names` are those of `analysis.published`; without any, the field's anchors; ("none",) gives no curve.
    Beside results of part of the dataset (`partial`) there are none unless they are named, and their labels
    say of how many images they are.
    Raises AnalysisError for an unknown name, or one of another dataset.
    """
    if tuple(names) == (NONE,):
        return {}
    for name in names:
        if publication(name).dataset != dataset:
            raise AnalysisError(
                f"the published curve {name!r} is of {publication(name).dataset}, not of {dataset}"
            )
    wanted = names or (() if partial else DEFAULT)
    return _by_metric([p.name for p in list_curves(dataset) if p.name in wanted], with_images=partial)


def library(dataset: str, *, partial: bool = False) -> dict[str, dict[str, Curve]]:
    """Return every published curve of a dataset, keyed by metric, then label (see `published_curves`)."""
    return _by_metric([p.name for p in list_curves(dataset)], with_images=partial)


def _by_metric(names: Sequence[str], *, with_images: bool) -> dict[str, dict[str, Curve]]:
    found: dict[str, dict[str, Curve]] = {}
    for name in names:
        for metric in publication(name).metrics:
            if metric in METRICS.names():
                curve = load(name, metric, with_images=with_images)
                found.setdefault(metric, {})[curve.label] = curve
    return found


def library_styles(summary: Summary, curves: Mapping[str, Mapping[str, Curve]]) -> dict[str, Style]:
    """Return the looks of the published curves that the report's own figures do not draw."""
    drawn = {label for by_label in summary.published.values() for label in by_label}
    more = sorted({label for by_label in curves.values() for label in by_label} - drawn)
    every = looks(summary.codecs, [*(n for n in summary.styles if n not in summary.codecs), *more])
    return {label: every[label] for label in more}
