"""From what a user names (a suite, a folder, a file) to the frame and the summary of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from benchmark.errors import BenchError, StoreError
from benchmark.report.summary import Summary, columns, is_partial, summarize
from benchmark.results.plan import Plan, read_plan
from benchmark.runs.suite import CodecSpec, load_suite, read_suite

REFERENCE = "reference"
"""The folder of the results of record, below that of all results."""


@dataclass(frozen=True)
class Asked:
    """Where results lie (`path`: a folder or a parquet file), their name, and what their suite asks for."""

    name: str
    path: Path
    order: tuple[str, ...]
    """The codecs in the suite's order; empty if it is not known."""
    plan: Plan | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    """What figures call codecs, where the suite says it."""

    @property
    def headline(self) -> tuple[str, ...]:
        """Metrics whose mean BD-rate the suite quotes, as the plan beside the results says."""
        return self.plan.headline if self.plan else ()

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Return every codec that has rows, selected or not. Raises StoreError."""
        from benchmark.results.store import read_results

        return tuple(str(name) for name in read_results(self.path, ["codec"])["codec"].unique())


def find(named: str, results: Path = Path("results")) -> Asked:
    """Find results by a suite's name or file, below `results`, else as a path of their own.

    Raises StoreError if there are none, SuiteError for a suite file that is wrong.
    """
    given = Path(named)
    suite = read_suite(given).name if given.suffix == ".toml" and given.is_file() else named
    folder = results / suite
    if not folder.is_dir() and suite == named:
        folder = given
    if not folder.exists():
        record = results / REFERENCE / suite
        there = (
            f"; results of record are in {record}: add --results {record.parent}" if record.is_dir() else ""
        )
        raise StoreError(f"no results of {named!r}; `bench run suite {named}` makes them{there}")
    name = folder.resolve().name if folder.is_dir() else folder.stem
    plan = read_plan(folder)
    if plan:
        return Asked(name, folder, tuple(plan.points), plan, plan.titles)
    codecs = _codecs_of_suite(name)
    titles = {spec.name: spec.title for spec in codecs if spec.title}
    return Asked(name, folder, tuple(spec.name for spec in codecs), None, titles)


def _codecs_of_suite(name: str) -> Sequence[CodecSpec]:
    """Return the codecs of the built-in suite of this name, in its order; none if there is no such suite."""
    try:
        return load_suite(name).codec
    except BenchError:
        return ()


def read(
    asked: Asked,
    codecs: Sequence[str] = (),
    anchor: str | None = None,
    *,
    remark: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Read what a report needs of the results (`summary.columns`), of these codecs alone if any is named.

    A measured `anchor` is read along with the codecs. Rows that the plan does not ask for are excluded, and
    `remark` is told how many, and what of the results cannot be read.

    Raises StoreError if there are none, AnalysisError for a codec without results.
    """
    from benchmark.analysis.grid import rows_of
    from benchmark.results.store import read_results

    frame = read_results(asked.path, columns(), words_as_categories=True, remark=remark)
    if asked.plan is not None:
        planned = asked.plan.select(frame)
        if remark is not None and len(planned) < len(frame):
            count = len(frame) - len(planned)
            remark(f"{asked.path}: {count} rows that the suite no longer asks for are excluded")
        frame = planned
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
    all_anchors: bool = True,
    with_savings: bool = True,
) -> Summary:
    """Gather a report's content, published curves of the dataset included (see `published_curves`).

    `published` are names of curves, or files of users. Of part of a dataset, those alone that are named.

    An anchor may be named by a published curve's name, or be a file of one curve. `all_anchors` and
    `with_savings`: see `summarize`. Raises AnalysisError.
    """
    from benchmark.analysis.grid import only_dataset
    from benchmark.report.published import Beside, anchors, published_curves

    rows = only_dataset(frame, None)
    beside = Beside(
        dataset=str(rows["dataset"].iloc[0]),
        size=int(rows["dataset_size"].max()),
        partial=is_partial(rows),
        codecs=asked.known,
    )
    curves = published_curves(beside, published)
    if anchor is not None and anchor not in asked.known:
        anchor, more = anchors(beside, anchor)
        for metric, by_label in more.items():
            curves.setdefault(metric, {}).update(by_label)
    return summarize(
        frame,
        anchor=anchor,
        order=asked.order,
        known=asked.known,
        averaging=averaging,
        published=curves,
        allow_mixed=allow_mixed,
        all_anchors=all_anchors,
        with_savings=with_savings,
        headline=asked.headline,
    )
