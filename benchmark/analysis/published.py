"""Published rate-distortion curves that ship with the package: anchors and yardsticks, not measurements."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Publication:
    """What the header of a published curve says.

    `codec` is the registry name of the same codec here, empty if there is none; `point_name` says what
    `point` means in the file ("QP", "quality", "lambda", or "unknown": then the file gives none).
    `other_setup` names what was run otherwise than here, so that equal points mean other things; empty if
    nothing was. Every curve with a `codec` has a `bound`.
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
    metrics: tuple[str, ...]
    other_setup: str = ""
    bound: Bound | None = None

    def deviations(self, measured: Curve) -> pd.DataFrame:
        """Return how far `measured` is from this curve: at equal points if these mean the same, or along it.

        Raises AnalysisError as `verify` and `verify_along` do.
        """
        compare = verify_along if self.other_setup or self.point_name == "unknown" else verify
        return compare(measured, load(self.name, measured.metric))

    def called(self, *, with_images: bool = False) -> str:
        """Return the curve's label, marked as published; beside results of fewer images with their number."""
        return f"{self.label} (published{f', {self.dataset_size} images' if with_images else ''})"


def list_curves(dataset: str | None = None, metric: str | None = None) -> list[Publication]:
    """Return what is shipped, by name; of one dataset, and with one metric, where these are given."""
    found = [_publication(name) for name in _names()]
    return [p for p in found if dataset in (None, p.dataset) and (metric is None or metric in p.metrics)]


def publication(name: str) -> Publication:
    """Return the header of the curve `name`. Raises AnalysisError, with near names, if there is none."""
    if name not in _names():
        raise AnalysisError(f"no published curve {name!r}; {did_you_mean(name, _names())}")
    return _publication(name)


def load(name: str, metric: str = DEFAULT, *, with_images: bool = False) -> Curve:
    """Return the published curve `name`, marked as published, with the number of images if that is asked for.

    `points` are NaN where the source gives none. Raises AnalysisError for a name that does not exist, or a
    metric that the source does not report.
    """
    about = publication(name)
    if metric not in about.metrics:
        raise AnalysisError(f"{name} reports {', '.join(about.metrics)}, not {metric!r}")
    columns = _columns(name)
    order = np.argsort(columns["bpp"], kind="stable")
    values = columns[metric][order]
    size = about.dataset_size
    return Curve(
        label=about.called(with_images=with_images),
        dataset=about.dataset,
        metric=metric,
        rate="bpp",
        averaging="per_image",
        points=columns["point"][order],
        rates=columns["bpp"][order],
        qualities=resolve(metric).quality(values),
        values=values,
        coverage=Coverage(images_used=size, dataset_size=size),
        statuses=("published",),
        source="published",
        provenance=f"{about.source} at {about.commit}",
    )


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
def _read(name: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    lines = (_folder() / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    return header, list(csv.DictReader(line for line in lines if not line.startswith("#")))


@cache
def _publication(name: str) -> Publication:
    header, rows = _read(name)
    metrics = tuple(column for column in rows[0] if column not in ("point", "bpp"))
    return Publication(
        name=name,
        label=header["label"],
        dataset=header["dataset"],
        dataset_size=int(header["dataset_size"]),
        codec=header.get("codec", ""),
        point_name=header["point"],
        source=header["source"],
        commit=header["commit"],
        date=header["date"],
        protocol=header["protocol"],
        averaging=header["averaging"],
        metrics=metrics,
        other_setup=header.get("other_setup", ""),
        bound=_bound(header, metrics) if "within_because" in header else None,
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


def _columns(name: str) -> dict[str, F64]:
    _, rows = _read(name)
    return {column: np.array([float(row[column] or "nan") for row in rows]) for column in rows[0]}
