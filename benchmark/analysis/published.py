"""Published rate-distortion curves that ship with the package: anchors and yardsticks, not measurements."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
import pandas as pd

from benchmark.analysis.curves import Curve
from benchmark.analysis.grid import Coverage, resolve
from benchmark.arrays import F64
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.metrics import DEFAULT


@dataclass(frozen=True)
class Publication:
    """What the header of a published curve says.

    `codec` is the registry name of the same codec here, empty if there is none; `point_name` says what
    `point` means in the file ("QP", "quality", "lambda", or "unknown": then the file gives none).
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
    for what, ours, theirs in (
        ("dataset", measured.dataset, published.dataset),
        ("metric", measured.metric, published.metric),
    ):
        if ours != theirs:
            raise AnalysisError(f"{published.label} is of the {what} {theirs!r}, the results are of {ours!r}")
    shared, mine, others = np.intersect1d(measured.points, published.points, return_indices=True)
    if not len(shared):
        raise AnalysisError(
            f"{published.label} and the results of {measured.label} share no operating points"
        )
    bpp, published_bpp = measured.rates[mine], published.rates[others]
    quality, published_quality = measured.qualities[mine], published.qualities[others]
    return pd.DataFrame(
        {
            "point": shared,
            "measured_bpp": bpp,
            "published_bpp": published_bpp,
            "bpp_deviation_percent": (bpp / published_bpp - 1) * 100,
            "measured_quality_db": quality,
            "published_quality_db": published_quality,
            "quality_deviation_db": quality - published_quality,
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
        metrics=tuple(column for column in rows[0] if column not in ("point", "bpp")),
    )


def _columns(name: str) -> dict[str, F64]:
    _, rows = _read(name)
    return {column: np.array([float(row[column] or "nan") for row in rows]) for column in rows[0]}
