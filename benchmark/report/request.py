"""From what a user names (a suite, a folder, a file) to the frame and the summary of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.errors import BenchError, StoreError
from benchmark.report.summary import COLUMNS, Summary, summarize


@dataclass(frozen=True)
class Asked:
    """Where results lie (`path`: a folder or a parquet file), their name, and the suite's codec order."""

    name: str
    path: Path
    order: tuple[str, ...]


def find(named: str, results: Path = Path("results")) -> Asked:
    """Find results by a suite's name below `results`, else as a path. Raises StoreError if there are none."""
    folder = results / named
    if not folder.is_dir():
        folder = Path(named)
    if not folder.exists():
        raise StoreError(
            f"no results of {named!r}: neither {results / named} nor {named} exists; "
            f"`bench run suite {named}` makes them"
        )
    name = folder.resolve().name if folder.is_dir() else folder.stem
    return Asked(name, folder, _suite_order(name))


def _suite_order(name: str) -> tuple[str, ...]:
    """Return the codec labels of the built-in suite of this name, in its order; empty if there is none."""
    from benchmark.suite import load_suite

    try:
        return tuple(spec.name for spec in load_suite(name).codec)
    except BenchError:
        return ()


def read(asked: Asked, codecs: Sequence[str] = (), anchor: str | None = None) -> pd.DataFrame:
    """Read what a report needs of the results (`summary.COLUMNS`), of these codecs alone if any is named.

    A measured `anchor` is read along with the codecs.

    Raises StoreError if there are none, AnalysisError for a codec without results.
    """
    from benchmark.analysis.grid import rows_of
    from benchmark.results import read_results

    frame = read_results(asked.path, COLUMNS, words_as_categories=True)
    if not codecs:
        return frame
    measured = [anchor] if anchor is not None and anchor in set(frame["codec"].unique()) else []
    return rows_of(frame, list(dict.fromkeys([*codecs, *measured])))


def summarize_suite(
    asked: Asked,
    frame: pd.DataFrame,
    anchor: str | None = None,
    averaging: str = "per_image",
    published: Sequence[str] = (),
    *,
    allow_mixed: bool = False,
) -> Summary:
    """Gather a report's content, published curves of the dataset included (see `published_curves`).

    An anchor may be named by a published curve's file name too. Raises AnalysisError.
    """
    from benchmark.analysis.grid import only_dataset
    from benchmark.analysis.published import list_curves, load
    from benchmark.report.published import published_curves

    dataset = str(only_dataset(frame, None)["dataset"].iloc[0])
    curves = published_curves(dataset, published)
    named = [p for p in list_curves(dataset) if p.name == anchor]
    for publication in named:
        anchor = load(publication.name, publication.metrics[0]).label
        for metric in publication.metrics:
            curves.setdefault(metric, {})[anchor] = load(publication.name, metric)
    return summarize(
        frame,
        anchor=anchor,
        order=asked.order,
        averaging=averaging,
        published=curves,
        allow_mixed=allow_mixed,
    )
