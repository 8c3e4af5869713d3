"""Published rate-distortion curves that ship with the package: anchors and yardsticks, not measurements."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from benchmark.analysis.curves import Curve
from benchmark.analysis.grid import Coverage, resolve
from benchmark.analysis.pchip import fronts
from benchmark.arrays import F64
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.metrics import DEFAULT


@dataclass(frozen=True)
class Limits:
    """The least and the most that a right set-up differs from a published curve, by one metric.

    Ours less theirs: `rate_percent` of the rate, `quality_db` of the quality.
    """

    rate_percent: tuple[float, float]
    quality_db: tuple[float, float]


@dataclass(frozen=True)
class Bound:
    """How near to a published curve a right set-up comes, by metric, and why no nearer.

    At operating points outside `points` nothing is known, and nothing is judged.
    """

    limits: Mapping[str, Limits]
    because: str
    points: tuple[float, float] = (-math.inf, math.inf)

    def judged(self, deviations: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of `verify` or `verify_along` for which the bound was given."""
        return deviations[deviations["point"].between(*self.points)]

    def holds(self, deviations: pd.DataFrame, metric: str) -> bool:
        """Return whether every judged row lies within."""
        rows, limits = self.judged(deviations), self.limits[metric]
        rate = rows["bpp_deviation_percent"].between(*limits.rate_percent)
        return bool((rate & rows["quality_deviation_db"].between(*limits.quality_db)).all())


@dataclass(frozen=True, eq=False)
class Publication:
    """A published curve: what the header of its file says, and its figures.

    `codec` is the registry name of the same codec here, empty if there is none; `point_name` says what
    `point` means in the file ("QP", "quality", "lambda", or "unknown": then the file gives none).
    `other_setup` names what was run otherwise than here, so that equal points mean other things; empty if
    nothing was. Every curve that ships with a `codec` has a `bound`. `columns` are `point` (NaN where the
    source gives none), `bpp` and each of `metrics`, in the file's order.
    """

    name: str
    label: str
    dataset: str
    dataset_size: int
    codec: str
    point_name: str
    source: str
    commit: str
    date: str
    protocol: str
    averaging: str
    columns: Mapping[str, F64] = field(repr=False)
    other_setup: str = ""
    bound: Bound | None = None
    file: str = ""
    """A user's file that it was read from, its name and digest; empty for what ships with the package."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the source reports."""
        return tuple(name for name in self.columns if name not in ("point", "bpp"))

    @property
    def provenance(self) -> str:
        """Where the figures are from, as captions say it."""
        source = f"{self.source} at {self.commit}" if self.commit else self.source
        return ", ".join(text for text in (self.file, source) if text)

    def curve(self, metric: str = DEFAULT, *, with_images: bool = False) -> Curve:
        """Return the curve by a metric; its label says the number of images if that is asked for.

        Raises AnalysisError for a metric that the source does not report.
        """
        if metric not in self.metrics:
            raise AnalysisError(f"{self.name} reports {', '.join(self.metrics)}, not {metric!r}")
        order = np.argsort(self.columns["bpp"], kind="stable")
        values = self.columns[metric][order]
        return Curve(
            label=self.called(with_images=with_images),
            dataset=self.dataset,
            metric=metric,
            rate="bpp",
            averaging="per_image",
            points=self.columns["point"][order],
            rates=self.columns["bpp"][order],
            qualities=resolve(metric).quality(values),
            values=values,
            coverage=Coverage(images_used=self.dataset_size, dataset_size=self.dataset_size),
            statuses=("published",),
            source="published",
            provenance=self.provenance,
        )

    def deviations(self, measured: Curve) -> pd.DataFrame:
        """Return how far `measured` is from this curve: at equal points if these mean the same, or along it.

        Raises AnalysisError as `verify` and `verify_along` do.
        """
        compare = verify_along if self.other_setup or self.point_name == UNKNOWN else verify
        return compare(measured, self.curve(measured.metric))

    def called(self, *, with_images: bool = False) -> str:
        """Return the curve's label, marked as published; beside results of fewer images with their number.

        What a user's file says is its label is kept as it is.
        """
        marks = [] if self.file else ["published"]
        if with_images:
            marks.append(f"{self.dataset_size} images")
        return f"{self.label} ({', '.join(marks)})" if marks else self.label


UNKNOWN = "unknown"
"""The `point_name` of a curve whose source gives no operating points."""


def list_curves(dataset: str | None = None, metric: str | None = None) -> list[Publication]:
    """Return what is shipped, by name; of one dataset, and with one metric, where these are given."""
    found = [_publication(name) for name in _names()]
    return [p for p in found if dataset in (None, p.dataset) and (metric is None or metric in p.metrics)]


def publication(name: str) -> Publication:
    """Return the curve `name`. Raises AnalysisError, with near names, if there is none."""
    if name not in _names():
        raise AnalysisError(f"no published curve {name!r}; {did_you_mean(name, _names())}")
    return _publication(name)


def load(name: str, metric: str = DEFAULT, *, with_images: bool = False) -> Curve:
    """Return the published curve `name`, marked as published, with the number of images if that is asked for.

    `points` are NaN where the source gives none. Raises AnalysisError for a name that does not exist, or a
    metric that the source does not report.
    """
    return publication(name).curve(metric, with_images=with_images)


def yardsticks(codec: str, dataset: str, metric: str = DEFAULT) -> list[Publication]:
    """Return the published curves of the codec `codec` (a registry name) that `verify` can use."""
    return [p for p in list_curves(dataset, metric) if p.codec == codec]


def verify(measured: Curve, published: Curve) -> pd.DataFrame:
    """Return how far a measured curve is from a published one, a row for each operating point both have.

    Columns: point, measured_bpp, published_bpp, bpp_deviation_percent, measured_quality_db,
    published_quality_db, quality_deviation_db. Raises AnalysisError if the two are of different datasets or
    metrics, or share no points.
    """
    _check_comparable(measured, published)
    shared, mine, others = np.intersect1d(measured.points, published.points, return_indices=True)
    if not len(shared):
        raise AnalysisError(
            f"{published.label} and the results of {measured.label} share no operating points"
        )
    return _table(
        shared,
        (measured.rates[mine], published.rates[others]),
        (measured.qualities[mine], published.qualities[others]),
    )


def verify_along(measured: Curve, published: Curve) -> pd.DataFrame:
    """Return how far a measured curve is from a published one whose operating points mean something else.

    A row for each measured point within the published curve, the columns of `verify`: `published_bpp` is the
    rate that the published curve needs for the same quality, `published_quality_db` the quality that it has
    at the same rate (PCHIP over the logarithm of the rate). Raises AnalysisError if the two are of different
    datasets or metrics, or share no range.
    """
    _check_comparable(measured, published)
    front = fronts(published.rates[None], published.qualities[None])
    count = int(front.counts[0])
    rates, qualities = np.log(front.rates[0, :count]), front.qualities[0, :count]
    ours = np.log(measured.rates)
    inside = (rates[0] <= ours) & (ours <= rates[-1])
    inside &= (qualities[0] <= measured.qualities) & (measured.qualities <= qualities[-1])
    if count < 2 or not inside.any():
        raise AnalysisError(
            f"{published.label} and the results of {measured.label} share no range of rate and quality"
        )
    quality = measured.qualities[inside]
    return _table(
        measured.points[inside],
        (measured.rates[inside], np.exp(PchipInterpolator(qualities, rates)(quality))),
        (quality, PchipInterpolator(rates, qualities)(ours[inside])),
    )


def _check_comparable(measured: Curve, published: Curve) -> None:
    for what, ours, theirs in (
        ("dataset", measured.dataset, published.dataset),
        ("metric", measured.metric, published.metric),
    ):
        if ours != theirs:
            raise AnalysisError(f"{published.label} is of the {what} {theirs!r}, the results are of {ours!r}")


def _table(points: F64, bpp: tuple[F64, F64], quality: tuple[F64, F64]) -> pd.DataFrame:
    """Return pairs of ours and theirs beside their differences."""
    return pd.DataFrame(
        {
            "point": points,
            "measured_bpp": bpp[0],
            "published_bpp": bpp[1],
            "bpp_deviation_percent": (bpp[0] / bpp[1] - 1) * 100,
            "measured_quality_db": quality[0],
            "published_quality_db": quality[1],
            "quality_deviation_db": quality[0] - quality[1],
        }
    )


def _folder() -> Traversable:
    return files("benchmark.analysis") / "published"


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(f.name.removesuffix(".csv") for f in _folder().iterdir() if f.name.endswith(".csv")))


@cache
def _publication(name: str) -> Publication:
    header, rows = split((_folder() / f"{name}.csv").read_text(encoding="utf-8"))
    given = list(csv.DictReader(line for _, line in rows))
    columns = {column: np.array([float(row[column] or "nan") for row in given]) for column in given[0]}
    return of_header(name, header, columns)


def split(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Return the header of a file ("# KEY: VALUE" lines), and its other lines with their numbers.

    Other lines that begin with # are remarks.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    said = [line[2:].split(":", 1) for _, line in lines if line.startswith("# ") and ":" in line]
    header = {key.strip(): value.strip() for key, value in said}
    return header, [(number, line) for number, line in lines if not line.startswith("#")]


def of_header(
    name: str, header: Mapping[str, str], columns: Mapping[str, F64], file: str = ""
) -> Publication:
    """Return the curve that a header describes, which may leave out what a user's file need not say.

    Raises ValueError for numbers that are none.
    """
    return Publication(
        name=name,
        label=header.get("label", name),
        dataset=header.get("dataset", ""),
        dataset_size=int(header.get("dataset_size", 0)),
        codec=header.get("codec", ""),
        point_name=header.get("point", UNKNOWN),
        source=header.get("source", ""),
        commit=header.get("commit", ""),
        date=header.get("date", ""),
        protocol=header.get("protocol", ""),
        averaging=header.get("averaging", ""),
        other_setup=header.get("other_setup", ""),
        columns=columns,
        bound=_bound(header, tuple(columns)) if "within_because" in header else None,
        file=file,
    )


def _bound(header: Mapping[str, str], metrics: tuple[str, ...]) -> Bound:
    """Read "METRIC_within: LOW HIGH % LOW HIGH dB", "within_because: ..." and "points_within: LOW HIGH"."""
    given = {m: header[f"{m}_within"].split() for m in metrics if f"{m}_within" in header}
    return Bound(
        limits={m: Limits(_range(words[:2]), _range(words[3:5])) for m, words in given.items()},
        because=header["within_because"],
        points=_range(header.get("points_within", "-inf inf").split()),
    )


def _range(words: Sequence[str]) -> tuple[float, float]:
    low, high = words
    return float(low), float(high)
