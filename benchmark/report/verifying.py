"""`bench verify`: what was measured here beside the published figures of the same codec, with a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis import MEANING, Curve, mean_curves
from benchmark.analysis.grid import only_dataset
from benchmark.analysis.intervals import DASH, MINUS, number
from benchmark.analysis.published import Limits, Publication, list_curves, yardsticks
from benchmark.analysis.published_files import beside, find
from benchmark.analysis.status import MIXED
from benchmark.errors import AnalysisError
from benchmark.metrics import DEFAULT, METRICS, in_figures
from benchmark.report import captions

if TYPE_CHECKING:
    from rich.table import Table

_HEADINGS = ("Codec", "Published", "Metric", "Points", "Rate (%)", "Quality (dB)", "Verdict")


@dataclass(frozen=True)
class Check:
    """One measured codec beside one published curve of it, by one metric.

    `deviations` is the table of `Publication.deviations`; `unjudged` says why there is no verdict (a part of
    the images, options of the suite's own), and is empty where there is one.
    """

    codec: str
    curve: Curve
    publication: Publication
    deviations: pd.DataFrame
    unjudged: str = ""

    @property
    def outside(self) -> bool:
        """Whether the results lie farther from the published curve than a right set-up does."""
        bound = self.publication.bound
        return not self.unjudged and bound is not None and not bound.holds(self.deviations, self.curve.metric)

    @property
    def verdict(self) -> str:
        """Within, outside or not judged."""
        return "not judged" if self.unjudged else "outside" if self.outside else "within"

    def cells(self, allowed: str = " ") -> tuple[str, ...]:
        """Return the row of the summary: the differences at the least and at the most, and what is allowed.

        `allowed` stands between the two.
        """
        bound, limits = self.publication.bound, self.limits
        rows = self.deviations if bound is None else bound.judged(self.deviations)
        return (
            self.codec,
            self.publication.label,
            captions.short_label(self.curve.metric),
            str(len(rows)),
            _differences(rows["bpp_deviation_percent"])
            + allowed
            + _allowed(limits.rate_percent if limits else None),
            _differences(rows["quality_deviation_db"])
            + allowed
            + _allowed(limits.quality_db if limits else None),
            self.verdict,
        )

    @property
    def limits(self) -> Limits | None:
        """What is allowed by this metric; None where the curve's file does not say it."""
        bound = self.publication.bound
        return bound.limits.get(self.curve.metric) if bound is not None else None


@dataclass(frozen=True)
class Verification:
    """Every check of a set of results, the codecs that have no yardstick, and what could not be compared."""

    checks: tuple[Check, ...]
    without: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def outside(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.outside]

    def text(self, *, points: bool = False) -> Iterator[Table | str]:
        """Yield the summary and what stands behind it.

        Every point is given where results lie outside, and everywhere with `points`.
        """
        yield _summary_table(self.checks)
        yield from (f"  {line}" for line in self.reasons())
        yield from dict.fromkeys(f"{c.codec} is not judged: {c.unjudged}" for c in self.checks if c.unjudged)
        for check in self.checks:
            if points or check.outside:
                yield _points_table(check)
        yield from self.remarks
        if self.without:
            yield f"no published figure ships for: {', '.join(self.without)}"
        if self.outside:
            yield f"outside: {', '.join(dict.fromkeys(check.codec for check in self.outside))}"

    def markdown(self) -> str:
        """Return the summary as docs/codecs.md has it."""
        head = [f"| {' | '.join(_HEADINGS)} |", f"|{'---|' * len(_HEADINGS)}"]
        rows = [f"| {' | '.join(check.cells())} |" for check in self.checks]
        return "\n".join([*head, *rows, "", *(f"- {line}" for line in self.reasons())]) + "\n"

    def reasons(self) -> list[str]:
        """Return, for each curve, what was run otherwise and where the allowed difference comes from."""
        lines = []
        for about in {check.publication.name: check.publication for check in self.checks}.values():
            other = f"Another set-up: {about.other_setup}. " if about.other_setup else ""
            because = f"{about.bound.because}." if about.bound is not None else ""
            file = f"From {about.provenance}. " if about.file else ""
            lines.append(f"{about.label}. {file}{other}{because}".rstrip())
        return lines


def verify_results(frame: pd.DataFrame, published: Sequence[str] = ()) -> Verification:
    """Compare every codec of `frame` with the published curves of it, by the metrics that figures show.

    The curves are those that ship, or those `published`: names or files. A file's curve that names no codec
    is of the only one that `frame` has.
    Raises AnalysisError if no measured codec has a published figure that it can be compared with, and for a
    bad file, or one that does not say of which codec it is.
    """
    given = _given(frame, published)
    checks: list[Check] = []
    without: list[str] = []
    remarks: list[str] = []
    for codec, rows in frame.groupby("codec", sort=True, observed=True):
        codec_id = str(rows["codec_id"].iloc[0])
        for metric in in_figures():
            if metric not in rows or not rows[metric].notna().any():
                continue
            curve = mean_curves(rows, metric)[str(codec)]
            known = (
                [p for p in given if p.codec == codec_id and metric in p.metrics]
                if published
                else yardsticks(codec_id, curve.dataset, metric)
            )
            if not known and not published and metric == DEFAULT:
                without.append(str(codec))
            for publication in known:
                try:
                    found = publication.deviations(curve)
                except AnalysisError as reason:
                    remarks.append(f"{codec}: {reason}")
                    continue
                unjudged = _unjudged(rows, curve, publication, found)
                checks.append(Check(str(codec), curve, publication, found, unjudged))
    if not checks:
        raise AnalysisError(
            "none of these codecs can be compared with a published figure; see `bench verify --list`"
        )
    return Verification(tuple(checks), tuple(without), tuple(dict.fromkeys(remarks)))


def _given(frame: pd.DataFrame, published: Sequence[str]) -> list[Publication]:
    """Return the curves that are named, each with the codec here that it is of."""
    rows = only_dataset(frame, None)
    dataset, size = str(rows["dataset"].iloc[0]), int(rows["dataset_size"].max())
    codecs = [str(codec) for codec in rows["codec_id"].unique()]
    found = []
    for curve in (beside(p, dataset, size) for name in published for p in find(name)):
        codec = curve.codec or (codecs[0] if len(codecs) == 1 else "")
        if not codec:
            raise AnalysisError(
                f"{curve.name}: does not say which codec here {curve.label!r} is of; name it with --codec, "
                "or by a line `# codec: NAME` in its file"
            )
        found.append(replace(curve, codec=codec))
    return found


def _unjudged(rows: pd.DataFrame, curve: Curve, publication: Publication, found: pd.DataFrame) -> str:
    """Say why these rows are no evidence for or against the set-up; empty if they are."""
    used, size = curve.coverage.images_used, curve.coverage.dataset_size
    if used < size:
        return f"{used} of {size} images"
    if set(rows["codec_options"]) != {"{}"}:
        return "options of the suite's own"
    if publication.bound is None or curve.metric not in publication.bound.limits:
        return (
            f"what may differ is not given (`# {curve.metric}_within:` and `# within_because:` in its file)"
        )
    if publication.bound.judged(found).empty:
        return "none of the points that the bound is for"
    return "; ".join(MEANING[status] for status in curve.statuses if status in MIXED)


def _differences(values: pd.Series[float]) -> str:
    """Return "LOW to HIGH", or one figure where both read the same."""
    low, high = (number(value, signed=True) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _allowed(limits: tuple[float, float] | None) -> str:
    if limits is None:
        return "[no bound]"
    low, high = (f"{value:+g}".replace("-", MINUS) if value else "0" for value in limits)
    return f"[{low}, {high}]"


def _summary_table(checks: Sequence[Check]) -> Table:
    """Return a row for each check; codec and curve share a column, so that it fits 80 of them."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Here less published, and within brackets what a right set-up may differ")
    table.add_column("Codec: published")
    for name in (_HEADINGS[2], *_HEADINGS[4:]):
        table.add_column(name, no_wrap=True)
    for check in checks:
        codec, label, metric, _, *rest = check.cells(allowed="\n")
        style = "red" if check.outside else "dim" if check.unjudged else None
        table.add_row(*(escape(cell) for cell in (f"{codec}: {label}", metric, *rest)), style=style)
    return table


def _points_table(check: Check) -> Table:
    """Return measured and published figures and their differences, a row for each point compared."""
    from rich.markup import escape
    from rich.table import Table

    about, metric = check.publication, check.curve.metric
    unit = METRICS.find(metric).quality_unit
    title = f"{check.codec}, {captions.short_label(metric)}: here and published by {about.label}"
    table = Table(
        title=escape(title), caption=escape("; ".join(filter(None, (about.provenance, about.protocol))))
    )
    for name in ("Point", "bpp here", "published", "difference (%)"):
        table.add_column(name, justify="right")
    for name in (f"{unit} here", "published", f"difference ({unit})"):
        table.add_column(escape(name), justify="right")
    for row in check.deviations.to_dict("records"):
        table.add_row(
            f"{row['point']:g}",
            f"{row['measured_bpp']:.4f}",
            f"{row['published_bpp']:.4f}",
            number(row["bpp_deviation_percent"], signed=True),
            f"{row['measured_quality_db']:.3f}",
            f"{row['published_quality_db']:.3f}",
            number(row["quality_deviation_db"], 3, signed=True),
        )
    return table


def published_table() -> Table:
    """Return the published curves that ship with the package."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Published curves: anchors and yardsticks, not measured here")
    for name in ("Name", "What", "Codec here", "Metrics", "Date"):
        table.add_column(name, no_wrap=name == "Name")
    for p in list_curves():
        table.add_row(
            *(escape(text) for text in (p.name, p.label, p.codec or DASH, ", ".join(p.metrics), p.date))
        )
    return table
