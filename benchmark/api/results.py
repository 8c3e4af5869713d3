"""Results of one dataset, and figures of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis import Comparison, Curve, compare
from benchmark.analysis.grid import resolve, rows_of
from benchmark.api.bdrate import BdRate, doubts_of
from benchmark.errors import AnalysisError, UsageError, did_you_mean
from benchmark.metrics import DEFAULT, METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.report.figures.plan import Plot
    from benchmark.report.summary import Summary


@dataclass(frozen=True, eq=False)
class Results:
    """Results of one dataset: `frame` has a row for each codec, point and image (see docs/results.md)."""

    name: str
    frame: pd.DataFrame = field(repr=False)
    order: tuple[str, ...] = ()

    @property
    def codecs(self) -> tuple[str, ...]:
        """The codecs' labels, those of the suite in its order."""
        held = [str(name) for name in self.frame["codec"].unique()]
        return tuple(dict.fromkeys([*(name for name in self.order if name in held), *held]))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that have values."""
        return tuple(m for m in METRICS.names() if m in self.frame and self.frame[m].notna().any())

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of evaluations that failed."""
        return self.frame[self.frame["status"] != "ok"]

    def __repr__(self) -> str:
        """Return a line: what there is of what."""
        images, rows = self.frame["image"].nunique(), len(self.frame)
        failed = f", {len(self.failed):,} failed" if len(self.failed) else ""
        what = (
            f"{len(self.codecs)} codecs, {images} images, {len(self.metrics)} metrics, {rows:,} rows{failed}"
        )
        return f"Results({self.name}: {what})"

    def bd_rate(
        self,
        codec: str,
        anchor: str | Curve,
        metric: str = DEFAULT,
        *,
        anchor_in: Results | None = None,
        allow_mixed: bool = False,
    ) -> BdRate:
        """Return the BD-rate of a codec against another, of other results too, or against a published curve.

        The interval is a paired bootstrap over images. Raises AnalysisError for names without results.
        """
        other = None if anchor_in is None else anchor_in.frame
        found = compare(self.frame, codec, anchor, metric, anchor_frame=other, allow_mixed=allow_mixed)
        rate = found.headline_rate
        return BdRate(
            codec,
            found.anchor,
            metric,
            percent=rate.value,
            low=rate.low,
            high=rate.high,
            doubts=doubts_of(found.headline_statuses),
            quotable=found.quotable,
            detail=found,
        )

    def compare(self, codec: str, anchor: str | Curve, metric: str = DEFAULT) -> Comparison:
        """Return all that is known of a codec against another (see docs/analysis.md)."""
        return compare(self.frame, codec, anchor, metric)

    def plot(
        self,
        metric: str = DEFAULT,
        *,
        figure: str = "rd",
        codecs: Sequence[str] = (),
        anchor: str | None = None,
        published: Sequence[str | Path] = ("none",),
    ) -> Picture:
        """Return a figure of a report (`bench list figures`) by one metric, of these codecs or of all.

        `published` are names of curves or files. Raises AnalysisError where there is nothing to draw.
        """
        from benchmark.report.figures.plan import plan_plots

        summary = self._summary(metric, codecs, anchor, [str(named) for named in published])
        plots = [p for p in plan_plots(summary) if p.figure == figure]
        if not plots:
            raise AnalysisError(
                f"no figure {figure!r} of {metric} of these results; see `bench list figures`"
            )
        return Picture(summary, plots[0])

    def _summary(
        self, metric: str, codecs: Sequence[str], anchor: str | None, named: Sequence[str]
    ) -> Summary:
        from benchmark.report.published import Beside, published_curves
        from benchmark.report.summary import is_partial, summarize

        resolve(metric)
        others = [m for m in METRICS.names() if m in self.frame and m != metric]
        frame = rows_of(self.frame, codecs or None).drop(columns=others)
        if metric not in frame or frame[metric].isna().all():
            raise AnalysisError(f"{self.name} has no values of {metric}; it has {', '.join(self.metrics)}")
        dataset, size = str(frame["dataset"].iloc[0]), int(frame["dataset_size"].max())
        curves = published_curves(Beside(dataset, size, is_partial(frame), self.codecs), named)
        return summarize(
            frame, anchor=anchor, order=self.order, known=self.codecs, published=curves, all_anchors=False
        )


def load(named: str | Path, folder: str | Path = "results") -> Results:
    """Return the results of a suite, a results folder or a parquet file; `folder` is where suites' lie.

    Rows that the suite no longer asks for are excluded. Raises StoreError if there are none.
    """
    from benchmark.report import read as request
    from benchmark.results.plan import read_planned

    asked = request.find(str(named), Path(folder))
    return Results(asked.name, read_planned(asked.path), asked.order)


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of a report, drawn when it is shown: a notebook shows it, `save` writes it."""

    summary: Summary = field(repr=False)
    plot: Plot = field(repr=False)

    @property
    def caption(self) -> str:
        """How it was made, what is doubtful, where published curves are from."""
        return " ".join(self.plot.notes)

    @property
    def figure(self) -> Figure:
        """The figure of matplotlib."""
        from benchmark.report.figures.picture import picture

        return picture(self.summary, self.plot)

    def save(self, path: str | Path) -> Path:
        """Write a file of the kind that its suffix says (.png, .pdf, .svg), as reports have it; return it.

        Raises UsageError for another suffix, and OSError.
        """
        Path(path).write_bytes(self._drawn(Path(path).suffix.removeprefix(".")))
        return Path(path)

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        return self._drawn("png")

    def _drawn(self, kind: str) -> bytes:
        from benchmark.report.figures.draw import draw
        from benchmark.report.figures.plan import FORMATS

        if kind not in FORMATS:
            raise UsageError(f"a figure cannot be written as {kind!r}; {did_you_mean(kind, FORMATS)}")
        with tempfile.TemporaryDirectory() as folder:
            draw(self.summary, self.plot, Path(folder), [kind])
            return (Path(folder) / f"{self.plot.stem}.{kind}").read_bytes()

    def __repr__(self) -> str:
        """Return a line: what it shows."""
        return f"Picture({self.plot.stem}: {self.summary.dataset}, {', '.join(self.summary.legend)})"
