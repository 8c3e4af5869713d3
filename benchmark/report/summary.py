"""All that a report says, gathered once from the records: what plots, tables and page draw from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from benchmark.analysis import Comparison, Curve, compare_grids
from benchmark.analysis.curves import AVERAGINGS, mean_curve
from benchmark.analysis.grid import CodecGrid, codec_grids, complete, only_dataset
from benchmark.analysis.intervals import RESAMPLES
from benchmark.analysis.shared import Shared
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.metrics import METRICS, shown
from benchmark.report.costs import Cost, costs
from benchmark.report.looks import looks
from benchmark.report.presentation import Presentation
from benchmark.report.provenance import Provenance, provenance
from benchmark.report.savings import Savings, rate_savings_with_intervals
from benchmark.report.speed import Speed, speeds
from benchmark.report.style import Style

MAX_ROWS_FOR_ALL_ANCHORS = 50_000
"""Beyond this many rows only the report's own anchor is compared with."""
MAX_RESAMPLED_IMAGES, MIN_RESAMPLES = 4_000_000, 400
"""Images times resamples: beyond 400 images the intervals are narrow, and fewer resamples bound them."""
OTHER_ANCHOR_RESAMPLES = 2_000
"""Bootstrap resamples against anchors other than the report's own: the page's anchor switch."""


@dataclass(frozen=True, eq=False)
class Summary:
    """One suite's results on one dataset, averaged and compared.

    `metrics` are those with values that are known here; `codecs` the measured labels, the suite's order
    first; `curves`, `published`, `grids`, `comparisons`, `savings` are keyed by metric, then label (the last
    two: by metric, anchor, label). Codecs without a single curve are in `codecs` and in `failures` only.
    """

    suite: str
    dataset: str
    averaging: str
    anchor: str
    metrics: tuple[str, ...]
    codecs: tuple[str, ...]
    styles: Mapping[str, Style]
    curves: Mapping[str, Mapping[str, Curve]]
    published: Mapping[str, Mapping[str, Curve]]
    comparisons: Mapping[str, Mapping[str, Mapping[str, Comparison]]]
    savings: Mapping[str, Mapping[str, Mapping[str, Savings]]]
    speeds: Mapping[str, Speed]
    costs: Mapping[str, Cost]
    """What the networks of codecs take, of those whose rows say it."""
    failures: pd.DataFrame
    provenance: Provenance
    images: int
    dataset_size: int
    grids: Mapping[str, Mapping[str, CodecGrid]]
    rows: pd.DataFrame
    """The rows all this was made of, without the columns that no figure needs (see `light`)."""
    headline: tuple[str, ...] = ()
    """Metrics whose mean BD-rate is quoted, where the suite says it (see `report.headline`)."""
    presentation: Presentation = field(default_factory=Presentation)
    """What the user asked figures to look like."""

    @property
    def partial(self) -> bool:
        """Whether images of the dataset are missing."""
        return self.images < self.dataset_size

    @property
    def scope(self) -> str:
        """Say how many images the figures rest on."""
        if self.partial:
            return f"partial, {self.images} of {self.dataset_size} images"
        return f"{self.images} image{'s' if self.images != 1 else ''}"

    @property
    def averaging_note(self) -> str:
        """Say how curves were averaged."""
        return AVERAGINGS[self.averaging]

    def against(self, metric: str, anchor: str | None = None) -> list[Comparison]:
        """Return the comparisons with an anchor, best first; those without a figure last."""
        found = self.comparisons[metric].get(anchor or self.anchor, {}).values()
        return sorted(
            found, key=lambda c: (c.headline_rate.value is None, c.headline_rate.value or 0.0, c.codec)
        )

    def drawn(self, metric: str) -> dict[str, Curve]:
        """Return the curves to draw, measured ones first."""
        only = self.presentation.only
        measured = {n: c for n, c in self.curves[metric].items() if only is None or n in only}
        return {**measured, **self.published.get(metric, {})}

    @property
    def legend(self) -> tuple[str, ...]:
        """Return codecs and published curves in the order of every legend.

        First what the user ordered, then by BD-rate on the first metric (the anchor's is 0), then codecs
        without a BD-rate, then published curves.
        """
        rates = {c.codec: c.headline_rate.value for c in self.against(self.metrics[0])} | {self.anchor: 0.0}
        with_rate = sorted((rate, c) for c, rate in rates.items() if rate is not None)
        ranked = dict.fromkeys([c for _, c in with_rate if c in self.codecs] + [*self.codecs, *self.styles])
        chosen = [name for name in self.presentation.order if name in ranked]
        return tuple(dict.fromkeys([*chosen, *ranked]))

    def text(self, name: str) -> str:
        """Return what figures and their captions call a codec or curve."""
        return self.presentation.text(name)


def summarize(
    frame: pd.DataFrame,
    *,
    anchor: str | None = None,
    order: Sequence[str] = (),
    known: Sequence[str] = (),
    averaging: str = "per_image",
    published: Mapping[str, Mapping[str, Curve]] | None = None,
    all_anchors: bool = True,
    with_savings: bool = True,
    allow_mixed: bool = False,
    headline: Sequence[str] = (),
) -> Summary:
    """Gather everything that a report shows of the results in `frame` (one dataset, Record's columns).

    `anchor` is a measured codec or a published label; by default the first of `order` (the suite's) that
    has results. `published` curves are keyed by metric, then label. With `all_anchors`, each
    codec is compared with each other on the plotted metrics, for the page's anchor switch. Figures and page
    alone show savings (`with_savings`). `known` are all the codecs of the results, which keep their looks
    whatever is selected.

    Raises AnalysisError where there are no results, for several datasets, or an unknown anchor.
    """
    published = published or {}
    frame = light(only_dataset(frame, None))
    all_anchors = all_anchors and len(frame) <= MAX_ROWS_FOR_ALL_ANCHORS
    good = frame[frame["status"] == "ok"]
    if good.empty:
        raise AnalysisError(
            f"no evaluation succeeded: {_reasons(frame)}; see the `error` column of the results"
        )
    codecs = _ordered(frame["codec"].unique(), order)
    with_rows = _ordered(good["codec"].unique(), order)
    anchor = _checked_anchor(anchor, with_rows, published)
    metrics = tuple(m for m in METRICS.names() if m in good and good[m].notna().any())
    by_metric = {
        m: _by_metric(
            frame,
            m,
            with_rows,
            published,
            anchor,
            all_anchors=all_anchors,
            averaging=averaging,
            allow_mixed=allow_mixed,
            figured=m in shown(metrics),
            with_savings=with_savings,
        )
        for m in metrics
    }
    names = list(dict.fromkeys(label for by_label in published.values() for label in by_label))
    images = int(good["image"].nunique())
    return Summary(
        suite=str(frame["suite"].iloc[0]),
        dataset=str(frame["dataset"].iloc[0]),
        averaging=averaging,
        anchor=anchor,
        metrics=metrics,
        codecs=tuple(codecs),
        styles=looks(codecs, names, known=[*known, *order]),
        curves={m: found.curves for m, found in by_metric.items()},
        published=published,
        comparisons={m: found.comparisons for m, found in by_metric.items()},
        savings={m: found.savings for m, found in by_metric.items()},
        speeds=speeds(good),
        costs=costs(good),
        failures=_failures(frame),
        provenance=provenance(frame),
        images=images,
        dataset_size=max(int(frame["dataset_size"].max()), images),
        grids={m: found.grids for m, found in by_metric.items()},
        rows=frame,
        headline=tuple(headline),
    )


@dataclass(frozen=True, eq=False)
class _Found:
    grids: Mapping[str, CodecGrid]
    curves: Mapping[str, Curve]
    comparisons: Mapping[str, Mapping[str, Comparison]]
    savings: Mapping[str, Mapping[str, Savings]]


def _by_metric(
    frame: pd.DataFrame,
    metric: str,
    codecs: Sequence[str],
    published: Mapping[str, Mapping[str, Curve]],
    anchor: str,
    *,
    all_anchors: bool,
    averaging: str,
    allow_mixed: bool,
    figured: bool,
    with_savings: bool,
) -> _Found:
    """Average and compare on one metric; one that has no MSE is always averaged as it is."""
    with_values = frame.groupby("codec", observed=True)[metric].count()
    having = [c for c in codecs if with_values.get(c, 0)]
    enough = max(MIN_RESAMPLES, min(RESAMPLES, MAX_RESAMPLED_IMAGES // frame["image"].nunique()))
    averaging = averaging if METRICS.find(metric).has_mse or averaging != "mean_mse" else "per_image"
    rows = frame[[*_GRID_COLUMNS, metric]]
    if len(having) < frame["codec"].nunique():
        rows = rows[rows["codec"].isin(having)]
    grids = codec_grids(rows, metric)
    curves = {label: _mean(grids[label], averaging) for label in having}
    theirs = published.get(metric, {})
    whole = all_anchors and figured
    anchors = {a: theirs.get(a, a) for a in [*having, *theirs] if whole or a == anchor}
    comparisons, shared = {}, Shared()
    for name, by in anchors.items():
        resamples = enough if name == anchor else min(enough, OTHER_ANCHOR_RESAMPLES)
        found = compare_grids(
            grids, by, averaging=averaging, allow_mixed=allow_mixed, resamples=resamples, shared=shared
        )
        comparisons[name] = {c.codec: c for c in found}
    savings = {}
    if figured and with_savings:
        savings = rate_savings_with_intervals(grids, anchors, averaging)
    # A curve that has no figure is not drawn against the anchor either: its protocol or versions are mixed.
    savings = {
        a: {c: s for c, s in found.items() if comparisons[a][c].mean_curve.rate.value is not None}
        for a, found in savings.items()
    }
    return _Found(grids, curves, comparisons, savings)


def _mean(grid: CodecGrid, averaging: str) -> Curve:
    (whole,), coverage, statuses = complete(grid)
    return mean_curve(whole, coverage, statuses, averaging)


_GRID_COLUMNS = [
    "dataset", "dataset_size", "codec", "codec_id", "codec_family", "point", "image", "image_sha256",
    "status", "protocol", "started_at", "width", "height", "bpp", "codec_version", "codec_options",
    "metric_notes",
]  # fmt: skip
"""What the analysis reads of each row, beside the metric."""


_WORDS = (
    "suite", "dataset", "codec", "codec_id", "codec_family", "codec_options", "point_name", "image",
    "image_sha256", "status",
    "codec_version", "metric_versions", "metric_notes", "encode_argv", "decode_argv", "binary_sha256",
    "config_sha256", "image_conversions", "protocol", "machine", "environment", "run_id",
)  # fmt: skip
_NUMBERS = (
    "dataset_size", "point", "width", "height", "bpp", "encode_seconds", "decode_seconds", "jobs", "threads",
)  # fmt: skip
_TEXTS = ("error", "started_at", "extra")


def is_partial(frame: pd.DataFrame) -> bool:
    """Whether the rows that succeeded are of part of their dataset's images."""
    return bool(frame.loc[frame["status"] == "ok", "image"].nunique() < frame["dataset_size"].max())


def columns() -> list[str]:
    """Return the columns of the results that a report reads, those of all metrics that are known here too."""
    return [*_WORDS, *_NUMBERS, *_TEXTS, *(name for name, _ in METRICS.items())]


def light(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what a report needs of the rows, words as categories: a million rows are grouped at a glance."""
    found: dict[str, pd.Series[Any]] = {name: frame[name].astype("category") for name in _WORDS}
    found |= {name: frame[name] for name in columns() if name in frame and name not in _WORDS}
    return pd.DataFrame(found)


def _ordered(labels: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return labels in the suite's order; those that it does not name follow by name."""
    place = {label: i for i, label in enumerate(order)}
    return sorted((str(label) for label in labels), key=lambda label: (place.get(label, len(place)), label))


def _checked_anchor(
    anchor: str | None, codecs: Sequence[str], published: Mapping[str, Mapping[str, Curve]]
) -> str:
    known = [*codecs, *(label for by_label in published.values() for label in by_label)]
    if anchor is None:
        return codecs[0]
    if anchor not in known:
        raise AnalysisError(f"no results of the anchor {anchor!r}; {did_you_mean(anchor, set(known))}")
    return anchor


def _failures(frame: pd.DataFrame) -> pd.DataFrame:
    """Return failed evaluations grouped: columns codec, status, error, rows, images, points."""
    failed = frame[frame["status"] != "ok"].fillna({"error": ""})
    groups = failed.groupby(["codec", "status", "error"], sort=True, observed=True)
    return groups.agg(
        rows=("image", "size"), images=("image", "nunique"), points=("point", "nunique")
    ).reset_index()


def _reasons(frame: pd.DataFrame) -> str:
    errors = frame["error"].dropna()
    return str(errors.mode().iloc[0]) if len(errors) else "no reason was recorded"
