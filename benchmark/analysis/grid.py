"""Records as dense arrays: one grid of points by images for each codec, with every gap accounted for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.analysis.status import Status, joined
from benchmark.arrays import F64, Bools, Intp
from benchmark.errors import AnalysisError, UsageError, did_you_mean
from benchmark.metrics import DEFAULT, METRICS
from benchmark.metrics.base import IDENTICAL, Metric
from benchmark.versions import common, differ

Rate = Literal["bpp", "entropy_bpp"]
RATES: tuple[str, ...] = get_args(Rate)


@dataclass(frozen=True, eq=False)
class CodecGrid:
    """All rows of one codec for one metric. Arrays are [points, images]; a gap is NaN.

    `rates` in bits per pixel, `values` in the metric's own unit (MS-SSIM between 0 and 1). `family`
    is what implements the codec, as the rows say; the codec's own name where they do not. `lossless` marks
    decoded images that equal the original. `images` are names, `keys` identify them (name and sha256),
    `pixels` their sizes. `failed` marks rows whose evaluation failed. `variants` numbers the codec's versions
    and options, -1 where there is no value.
    """

    codec: str
    codec_id: str
    family: str
    dataset: str
    dataset_size: int
    metric: Metric
    rate: str
    points: F64
    images: tuple[str, ...]
    keys: tuple[str, ...]
    pixels: F64
    rates: F64
    values: F64
    failed: Bools
    lossless: Bools
    variants: Intp
    protocols: frozenset[str]
    statuses: tuple[Status, ...]

    def take(self, points: Sequence[int] | NDArray[Any], images: Sequence[int] | NDArray[Any]) -> CodecGrid:
        """Return the grid of these points and images (indices or masks)."""
        p = np.arange(len(self.points))[np.asarray(points)]
        i = np.arange(len(self.keys))[np.asarray(images)]
        cut = np.ix_(p, i)
        return replace(
            self,
            points=self.points[p],
            images=tuple(self.images[j] for j in i),
            keys=tuple(self.keys[j] for j in i),
            pixels=self.pixels[i],
            rates=self.rates[cut],
            values=self.values[cut],
            failed=self.failed[cut],
            lossless=self.lossless[cut],
            variants=self.variants[cut],
        )

    def only(self, keys: Sequence[str]) -> CodecGrid:
        """Return the grid of the images with these keys, in that order."""
        if tuple(keys) == self.keys:
            return self
        where = {key: j for j, key in enumerate(self.keys)}
        return self.take(np.arange(len(self.points)), np.array([where[key] for key in keys], dtype=np.intp))


@dataclass(frozen=True)
class Coverage:
    """What entered a figure and what did not: images by name, points by value, rows by count."""

    images_used: int
    dataset_size: int
    images_left_out: tuple[str, ...] = ()
    points_left_out: tuple[float, ...] = ()
    failed_rows: int = 0
    missing_values: int = 0
    lossless_values: int = 0


def only_dataset(frame: pd.DataFrame, dataset: str | None) -> pd.DataFrame:
    """Return the rows of `dataset`, which may be left unnamed where there is but one.

    Raises AnalysisError for no rows, an unknown dataset, or several datasets and none named.
    """
    names = sorted(frame["dataset"].dropna().unique())
    if not names:
        raise AnalysisError("no results: the frame has no rows; run the suite first")
    if dataset is None:
        if len(names) > 1:
            raise AnalysisError(
                f"results of several datasets ({', '.join(names)}); name one: dataset={names[0]!r}"
            )
        return frame
    if dataset not in names:
        raise AnalysisError(f"no results of dataset {dataset!r}; {did_you_mean(dataset, names)}")
    return frame if len(names) == 1 else frame[frame["dataset"] == dataset]


def rows_of(frame: pd.DataFrame, codecs: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of these codecs. Raises AnalysisError, with near names, for one that has none."""
    if codecs is None:
        return frame
    known = frame["codec"].unique()
    for codec in codecs:
        if codec not in known:
            raise AnalysisError(f"no results of codec {codec!r}; {did_you_mean(codec, known)}")
    return frame[frame["codec"].isin(list(codecs))]


def resolve(metric: Metric | str) -> Metric:
    """Return the metric of that name, or the one that is given. Raises AnalysisError, with near names."""
    if isinstance(metric, Metric):
        return metric
    try:
        return METRICS.find(metric)
    except UsageError as error:
        raise AnalysisError(str(error)) from error


def codec_grids(
    frame: pd.DataFrame,
    metric: Metric | str = DEFAULT,
    rate: str = "bpp",
    *,
    codecs: Sequence[str] | None = None,
    dataset: str | None = None,
) -> Mapping[str, CodecGrid]:
    """Return one grid a codec, from a DataFrame with Record's columns, in order of first appearance.

    Raises AnalysisError for unknown names, missing columns, or several datasets where none is named.
    """
    metric = resolve(metric)
    if rate not in RATES:
        raise AnalysisError(f"unknown rate {rate!r}; {did_you_mean(rate, RATES)}")
    needed = {"dataset", "codec", "point", "image", "image_sha256", "status", *_rate_columns(rate)}
    if missing := sorted({*needed, metric.name} - set(frame.columns)):
        raise AnalysisError(
            f"the frame lacks the columns {', '.join(missing)}; read it with read_results(), and measure the "
            "metrics that it lacks (`metrics` of a suite)"
        )
    rows = rows_of(only_dataset(frame, dataset), codecs)
    rows, repeated = _latest(rows)
    codes, labels = pd.factorize(rows["codec"])
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(labels) + 1))
    return {
        str(label): _grid(rows.iloc[order[start:end]], str(label), metric, rate, str(label) in repeated)
        for label, start, end in zip(labels, bounds[:-1], bounds[1:], strict=True)
    }


def _rate_columns(rate: str) -> tuple[str, ...]:
    return ("bpp",) if rate == "bpp" else ("entropy_bits", "width", "height")


def _latest(rows: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """Keep the latest of rows that measure the same thing; return them and the codecs that had such rows."""
    key = ["codec", "point", "image", "image_sha256"]
    twice = rows.duplicated(key, keep="last")
    if not twice.any():
        return rows, set()
    repeated = {str(name) for name in rows.loc[twice, "codec"].unique()}
    return rows.sort_values("started_at", kind="stable").drop_duplicates(key, keep="last"), repeated


def _grid(rows: pd.DataFrame, codec: str, metric: Metric, rate: str, repeated: bool) -> CodecGrid:
    points, point_codes = np.unique(rows["point"].to_numpy(np.float64), return_inverse=True)
    image_codes, names, keys = _images(rows)
    good = (rows["status"] == "ok").to_numpy(bool)
    pixels = _column(rows, "width") * _column(rows, "height")
    shape = (len(points), len(keys))
    cells = {name: np.full(shape, np.nan) for name in ("rates", "values")}
    rates = _column(rows, "bpp") if rate == "bpp" else _column(rows, "entropy_bits") / pixels
    cells["rates"][point_codes, image_codes] = np.where(good, rates, np.nan)
    cells["values"][point_codes, image_codes] = np.where(good, _column(rows, metric.name), np.nan)
    failed = np.zeros(shape, dtype=bool)
    failed[point_codes, image_codes] = ~good
    lossless = np.zeros(shape, dtype=bool)
    lossless[point_codes, image_codes] = good & _lossless(rows, metric)
    variants = np.full(shape, -1, dtype=np.intp)
    variants[point_codes, image_codes] = np.where(good, _variants(rows, good), -1)
    codec_id = str(rows["codec_id"].iloc[0]) if "codec_id" in rows else codec
    sizes = np.full(len(keys), np.nan)
    sizes[image_codes[good]] = pixels[good]
    return CodecGrid(
        codec=codec,
        codec_id=codec_id,
        family=_family(rows) or codec_id,
        dataset=str(rows["dataset"].iloc[0]),
        dataset_size=int(rows["dataset_size"].max()) if "dataset_size" in rows else len(set(names)),
        metric=metric,
        rate=rate,
        points=points,
        images=names,
        keys=keys,
        pixels=sizes,
        **cells,
        failed=failed,
        lossless=lossless,
        variants=variants,
        protocols=_protocols(rows[good], metric.name),
        statuses=("duplicate_rows",) if repeated else (),
    )


def _images(rows: pd.DataFrame) -> tuple[Intp, tuple[str, ...], tuple[str, ...]]:
    """Return each row's image as an index, the images' names, and what identifies them: name and content."""
    name_codes, names = pd.factorize(rows["image"], sort=True)
    content_codes, contents = pd.factorize(rows["image_sha256"], sort=True)
    pairs, codes = np.unique(name_codes * len(contents) + content_codes, return_inverse=True)
    # As lists: a million look-ups in a categorical or Arrow index take half a minute.
    every_name, every_content = ([str(text) for text in found.tolist()] for found in (names, contents))
    images = tuple(every_name[i] for i in (pairs // len(contents)).tolist())
    shas = (every_content[i] for i in (pairs % len(contents)).tolist())
    return codes, images, tuple(f"{name}\0{sha}" for name, sha in zip(images, shas, strict=True))


def _protocols(rows: pd.DataFrame, metric: str) -> frozenset[str]:
    texts = rows["protocol"].unique() if "protocol" in rows else ()
    return frozenset(_protocol_of(str(text), metric) for text in texts)


def _protocol_of(protocol: str, metric: str) -> str:
    """Return what of a row's protocol bears on `metric`: the versions of other metrics do not."""
    fields = json.loads(protocol)
    versions = fields.get("metrics", {})
    return json.dumps({**fields, "metrics": {metric: versions.get(metric)}}, sort_keys=True)


def _family(rows: pd.DataFrame) -> str:
    """Return the one family that the rows name; "" if none do (version 1 of the schema), or several."""
    if "codec_family" not in rows:
        return ""
    named = [str(family) for family in rows["codec_family"].dropna().unique()]
    return named[0] if len(named) == 1 else ""


def _lossless(rows: pd.DataFrame, metric: Metric) -> Bools:
    """Return where the decoded image equals the original: by the value, or by the reason for its absence."""
    equal = metric.lossless(_column(rows, metric.name))
    if "metric_notes" not in rows:
        return equal
    codes, texts = pd.factorize(rows["metric_notes"], use_na_sentinel=False)
    found = [IDENTICAL in str(json.loads(text).get(metric.name)) for text in texts.tolist()]
    noted: Bools = np.array(found, dtype=bool)[codes] | equal
    return noted


def _variants(rows: pd.DataFrame, good: Bools) -> Intp:
    """Return which version of the codec, with which options, measured each row: equal numbers, equal ones."""
    found = np.zeros(len(rows), dtype=np.intp)
    columns = [_versions(rows, good)] if "codec_version" in rows else []
    for column in [*columns, *(rows[name] for name in ("codec_options",) if name in rows)]:
        codes, values = pd.factorize(column, use_na_sentinel=False)
        found = found * len(values) + codes
    return found


def _versions(rows: pd.DataFrame, good: Bools) -> pd.Series[Any]:
    """Return each row's version without its point's model, unless that point has good rows of several."""
    versions = rows["codec_version"].fillna("")
    shared = versions.map({version: common(version) for version in versions.unique()})
    for point, found in versions[good].groupby(rows["point"][good]).unique().items():
        if len(found) > 1 and differ(found):
            shared = shared.mask(rows["point"] == point, versions)
    return shared


def _column(rows: pd.DataFrame, name: str) -> F64:
    if name not in rows:
        return np.full(len(rows), np.nan)
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def complete(*grids: CodecGrid) -> tuple[list[CodecGrid], Coverage, tuple[Status, ...]]:
    """Cut the grids down to the images that all share and that have a finite value at every point kept.

    A mean over images is honest only if each point averages the same images. So, in this order: images that
    not all grids have go; points that more than half of the remaining images lack go; images that still have
    a gap go. Returns the grids, what was left out, and the statuses that say so, or that a grid still mixes
    versions of its codec.
    """
    shared = list(grids[0].keys)
    if any(grid.keys != grids[0].keys for grid in grids):
        common = set(shared).intersection(*(grid.keys for grid in grids[1:]))
        shared = [key for key in shared if key in common]
    cut = [grid.only(shared) for grid in grids]
    gaps = [
        grid.lossless | ~np.isfinite(grid.values) | ~np.isfinite(grid.rates) | (grid.rates <= 0)
        for grid in cut
    ]
    keep_points = [gap.mean(axis=1) <= 0.5 if len(shared) else np.zeros(len(gap), dtype=bool) for gap in gaps]
    keep_images = np.ones(len(shared), dtype=bool)
    for gap, keep in zip(gaps, keep_points, strict=True):
        keep_images &= ~gap[keep].any(axis=0)
    kept = [
        grid if keep.all() and keep_images.all() else grid.take(keep, keep_images)
        for grid, keep in zip(cut, keep_points, strict=True)
    ]
    every = {key: name for grid in grids for key, name in zip(grid.keys, grid.images, strict=True)}
    used = set(kept[0].keys)
    coverage = Coverage(
        images_used=len(used),
        dataset_size=max([len(every), *(grid.dataset_size for grid in grids)]),
        images_left_out=tuple(sorted({name for key, name in every.items() if key not in used})),
        points_left_out=tuple(
            sorted(
                {float(p) for grid, keep in zip(cut, keep_points, strict=True) for p in grid.points[~keep]}
            )
        ),
        failed_rows=sum(int(grid.failed.sum()) for grid in grids),
        missing_values=sum(
            int((np.isnan(grid.values) & ~grid.failed & ~grid.lossless).sum()) for grid in grids
        ),
        lossless_values=sum(int(grid.lossless.sum()) for grid in grids),
    )
    mixed: list[Status] = ["mixed_versions"] if any(_mixes_versions(grid) for grid in kept) else []
    return kept, coverage, joined(_gaps_named(coverage), mixed, *(grid.statuses for grid in grids))


def _mixes_versions(grid: CodecGrid) -> bool:
    return grid.variants.size > 0 and bool((grid.variants != grid.variants.flat[0]).any())


def _gaps_named(coverage: Coverage) -> list[Status]:
    facts: list[tuple[Status, bool]] = [
        ("partial_dataset", coverage.images_used < coverage.dataset_size),
        ("failed_rows", coverage.failed_rows > 0),
        ("missing_values", coverage.missing_values > 0),
        ("lossless_values", coverage.lossless_values > 0),
        ("dropped_points", bool(coverage.points_left_out)),
    ]
    return [status for status, holds in facts if holds]
