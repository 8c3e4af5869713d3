"""Which published curves a report draws: a few of the field's anchors by default, the rest on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.analysis import Curve
from benchmark.analysis.published import Publication, list_curves
from benchmark.analysis.published_files import SUFFIXES, beside, find, is_file
from benchmark.errors import AnalysisError
from benchmark.metrics import METRICS
from benchmark.report.looks import looks
from benchmark.report.style import Style
from benchmark.report.summary import Summary

DEFAULT = ("kodak-compressai-vtm", "kodak-compressai-mbt2018-mean-mse", "tecnick-lossy-vae-vtm18.0")
NONE = "none"


@dataclass(frozen=True)
class Beside:
    """The results that published curves are drawn beside: of part of the dataset's `size` images or all."""

    dataset: str
    size: int
    partial: bool = False
    codecs: tuple[str, ...] = ()
    """Labels that are taken."""


def check(names: Sequence[str], anchor: str | None = None) -> None:
    """Raise AnalysisError for an unknown name or a bad file, an anchor's too, before any work."""
    anchors = [anchor] if anchor is not None and anchor.endswith(SUFFIXES) else []
    for name in (*names, *anchors):
        if name != NONE:
            find(name)


def published_curves(results: Beside, names: Sequence[str] = ()) -> dict[str, dict[str, Curve]]:
    """Return published curves of a dataset, keyed by metric, then label.

    `names` are those of `analysis.published`, or files (see `analysis.published_files`); without any, the
    field's anchors; ("none",) gives no curve. Beside results of part of the dataset there are none unless
    they are named, and their labels say of how many images they are.
    Raises AnalysisError for an unknown name, a bad file, a curve of another dataset, or a label
    that is taken.
    """
    if tuple(names) == (NONE,):
        return {}
    wanted = names or (() if results.partial else DEFAULT)
    shipped = [p for p in list_curves(results.dataset) if p.name in wanted]
    others = [p for name in names if name not in {s.name for s in shipped} for p in find(name)]
    return _by_metric([*shipped, *(beside(p, results.dataset, results.size) for p in others)], results)


def anchors(results: Beside, named: str) -> tuple[str, dict[str, dict[str, Curve]]]:
    """Return label and curves, keyed by metric, of a published curve or file that is to be the anchor.

    Anything else is returned as it is, without curves. Raises AnalysisError as `published_curves` does.
    """
    if not is_file(named) and named not in {p.name for p in list_curves(results.dataset)}:
        return named, {}
    found = [beside(p, results.dataset, results.size) for p in find(named)]
    if len(found) > 1:
        labels = ", ".join(repr(p.label) for p in found)
        raise AnalysisError(
            f"{named}: has several curves; include it with --published and name one: {labels}"
        )
    return found[0].called(with_images=results.partial), _by_metric(found, results)


def library(dataset: str, *, partial: bool = False) -> dict[str, dict[str, Curve]]:
    """Return every published curve of a dataset, keyed by metric, then label (see `published_curves`)."""
    return _by_metric(list_curves(dataset), Beside(dataset, 0, partial))


def _by_metric(curves: Sequence[Publication], results: Beside) -> dict[str, dict[str, Curve]]:
    found: dict[str, dict[str, Curve]] = {}
    sources: dict[str, str] = {}
    for about in curves:
        label = about.called(with_images=results.partial)
        source = about.file or about.name
        if about.file and (label in results.codecs or sources.get(label, source) != source):
            raise AnalysisError(
                f"{about.name}: another curve is called {label!r} too; change the label that its file gives"
            )
        sources[label] = source
        for metric in about.metrics:
            if metric in METRICS.names():
                found.setdefault(metric, {})[label] = about.curve(metric, with_images=results.partial)
    return found


def library_styles(summary: Summary, curves: Mapping[str, Mapping[str, Curve]]) -> dict[str, Style]:
    """Return the looks of the published curves that the report's own figures do not draw."""
    drawn = {label for by_label in summary.published.values() for label in by_label}
    more = sorted({label for by_label in curves.values() for label in by_label} - drawn)
    every = looks(summary.codecs, [*(n for n in summary.styles if n not in summary.codecs), *more])
    return {label: every[label] for label in more}
