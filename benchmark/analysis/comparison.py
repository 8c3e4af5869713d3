"""The comparison of two codecs: both BD figures with intervals, image by image, and every doubt named."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from benchmark.analysis.bd import Bd, bd_of_curves, bd_of_images, of_interpolation
from benchmark.analysis.curves import Curve, check_averaging, mean_curve, weighted_means
from benchmark.analysis.figures import (
    Comparison,
    MeanCurveFigure,
    Options,
    PerImageFigure,
    PointDelta,
    no_mean_figure,
    no_per_image_figure,
)
from benchmark.analysis.grid import CodecGrid, codec_grids, complete, resolve
from benchmark.analysis.intervals import FEW_IMAGES, RESAMPLES, Estimate, bootstrap, estimate
from benchmark.analysis.shared import Shared
from benchmark.analysis.status import MIXED, OF_INTERPOLATION, Status, joined
from benchmark.arrays import F64
from benchmark.errors import AnalysisError
from benchmark.metrics import DEFAULT
from benchmark.metrics.base import Metric


def compare(
    frame: pd.DataFrame,
    codec: str,
    anchor: str | Curve,
    metric: Metric | str = DEFAULT,
    rate: str = "bpp",
    *,
    averaging: str = "per_image",
    dataset: str | None = None,
    anchor_frame: pd.DataFrame | None = None,
    allow_mixed: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare `codec` with `anchor`: two codecs of one frame, or of two, or a codec with a published curve.

    Args:
        frame: results with Record's columns (`benchmark.results.store.read_results`).
        codec: a codec of `frame`.
        anchor: a codec of `anchor_frame` (of `frame` if that is not given), or a published curve.
        metric: a metric or its name (`bench list metrics`); compared as Metric.quality has it.
        rate: bpp (of real bytes), or entropy_bpp (the codec's own estimate).
        averaging: per_image, mean_mse or pixel_weighted; concerns the mean curve alone.
        dataset: needed where the frame holds several.
        anchor_frame: another result set to take the anchor from.
        allow_mixed: give figures although protocols, images, or versions of one codec, are mixed.
        resamples: of the bootstrap; 0 gives no intervals.
        seed: of the bootstrap.

    Raises AnalysisError for names that the frames do not hold, or an unknown metric.
    """
    metric = resolve(metric)
    options = Options(metric, rate, averaging, dataset, allow_mixed, resamples, seed, Shared())
    check_averaging(averaging, metric)
    wanted = [codec] if isinstance(anchor, Curve) or anchor_frame is not None else [codec, anchor]
    grids = codec_grids(frame, metric, rate, codecs=wanted, dataset=dataset)
    if isinstance(anchor, Curve):
        return _with_curve(grids[codec], anchor, options)
    if anchor_frame is None:
        return _pair(grids[codec], grids[anchor], options)
    others = codec_grids(anchor_frame, metric, rate, codecs=[anchor], dataset=dataset)
    return _pair(grids[codec], others[anchor], options)


def compare_all(
    frame: pd.DataFrame,
    anchor: str | Curve,
    metric: Metric | str = DEFAULT,
    rate: str = "bpp",
    *,
    codecs: Sequence[str] | None = None,
    averaging: str = "per_image",
    dataset: str | None = None,
    allow_mixed: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every codec of the frame (or `codecs`) with `anchor`, as `compare` does, but not the anchor."""
    metric = resolve(metric)
    check_averaging(averaging, metric)
    named = (
        None
        if codecs is None
        else list(dict.fromkeys([*codecs, *([anchor] if isinstance(anchor, str) else [])]))
    )
    grids = codec_grids(frame, metric, rate, codecs=named, dataset=dataset)
    return compare_grids(
        grids, anchor, averaging=averaging, allow_mixed=allow_mixed, resamples=resamples, seed=seed
    )


def compare_grids(
    grids: Mapping[str, CodecGrid],
    anchor: str | Curve,
    *,
    averaging: str = "per_image",
    allow_mixed: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    shared: Shared | None = None,
) -> list[Comparison]:
    """Compare every codec of `grids` (of one metric, see `codec_grids`) with `anchor`, but not the anchor.

    `shared` keeps what comparisons with several anchors have in common: one for all calls on these grids.
    Raises AnalysisError for an anchor without a grid, or an averaging that the metric does not have.
    """
    if not grids:
        return []
    first = next(iter(grids.values()))
    check_averaging(averaging, first.metric)
    options = Options(
        first.metric, first.rate, averaging, first.dataset, allow_mixed, resamples, seed, shared or Shared()
    )
    if isinstance(anchor, Curve):
        return [_with_curve(grid, anchor, options) for grid in grids.values()]
    if anchor not in grids:
        raise AnalysisError(f"no results of the anchor {anchor!r}; the results have {', '.join(grids)}")
    return [_pair(grid, grids[anchor], options) for codec, grid in grids.items() if codec != anchor]


def _pair(codec: CodecGrid, anchor: CodecGrid, options: Options) -> Comparison:
    (ours, theirs), coverage, statuses = complete(codec, anchor)
    curve, anchor_curve = (
        mean_curve(g, coverage, grid.statuses, options.averaging)
        for g, grid in ((ours, codec), (theirs, anchor))
    )
    flags: list[tuple[Status, bool]] = [
        ("mixed_protocols", _mixed(codec, anchor)),
        ("no_shared_images", not ours.images),
        ("few_images", 0 < len(ours.images) < FEW_IMAGES),
    ]
    statuses = joined(statuses, [name for name, held in flags if held])
    with_figures = bool(ours.images) and (options.allow_mixed or not MIXED.intersection(statuses))
    mean_figure = (
        _mean_figure(ours, theirs, curve, anchor_curve, options) if with_figures else no_mean_figure(statuses)
    )
    per_image = _per_image_figure(ours, theirs, options) if with_figures else no_per_image_figure()
    shares = _shares_points(codec, anchor)
    return _begun(curve, anchor_curve, options)(
        mean_curve=mean_figure,
        per_image=per_image,
        shares_points=shares,
        point_deltas=_point_deltas(ours, theirs, options) if shares and with_figures else (),
        images=ours.images,
        resamples=options.resamples,
        statuses=joined(statuses, mean_figure.statuses),
    )


def _begun(curve: Curve, anchor_curve: Curve, options: Options) -> partial[Comparison]:
    """Return a comparison that lacks its figures: what it says of its curves and of how it is made."""
    return partial(
        Comparison,
        codec=curve.label,
        anchor=anchor_curve.label,
        dataset=curve.dataset,
        metric=options.metric.name,
        rate=options.rate,
        averaging=options.averaging,
        codec_curve=curve,
        anchor_curve=anchor_curve,
        coverage=curve.coverage,
        seed=options.seed,
    )


def _mixed(codec: CodecGrid, anchor: CodecGrid) -> bool:
    theirs = set(anchor.keys)
    same = {name for key, name in zip(codec.keys, codec.images, strict=True) if key in theirs}
    altered = set(codec.images) & set(anchor.images) - same
    return len(codec.protocols | anchor.protocols) > 1 or codec.dataset != anchor.dataset or bool(altered)


def _shares_points(codec: CodecGrid, anchor: CodecGrid) -> bool:
    """Whether equal points are equal settings: quality 50 of JPEG is not of WebP, variants share lambdas."""
    related = codec.family == anchor.family or codec.codec_id == anchor.codec_id
    return related and np.array_equal(codec.points, anchor.points)


def _mean_figure(
    ours: CodecGrid, theirs: CodecGrid, curve: Curve, anchor_curve: Curve, options: Options
) -> MeanCurveFigure:
    cut = (
        options.shared.mean(theirs, options.averaging, anchor_curve),
        options.shared.mean(ours, options.averaging, curve),
    )
    found = bd_of_curves(anchor_curve, curve, decibels=ours.metric.in_decibels, cut=cut)
    places = itertools.count()  # of the resamples that `figures` is called with, part by part

    def figures(weights: F64) -> tuple[F64, ...]:
        part = (options.averaging, options.resamples, options.seed, next(places))
        resampled = partial(options.shared.resampled, weights=weights, part=part)
        batch = options.shared.deltas(theirs, ours, resampled, part)
        return batch.rate_percent, batch.quality_db

    intervals = bootstrap(figures, len(ours.images), resamples=options.resamples, seed=options.seed)
    values = (found.rate_percent, found.quality_db)
    rate, quality = (
        Estimate(None) if value is None else estimate(value, interval)
        for value, interval in zip(values, intervals, strict=True)
    )
    return _mean_curve_figure(found, rate, quality)


def _mean_curve_figure(found: Bd, rate: Estimate, quality: Estimate) -> MeanCurveFigure:
    """Return the figure with its interval, beside which the methods may differ less than they do alone."""
    half = 0.0 if rate.low is None or rate.high is None else (rate.high - rate.low) / 2
    moved = found.interpolation_error_percent
    others = [status for status in found.statuses if status not in OF_INTERPOLATION]
    enough = "too_few_points" not in found.statuses
    statuses = joined(others, of_interpolation(found.by_method, moved, half, enough_points=enough))
    return MeanCurveFigure(rate, quality, found.by_method, found.overlap, found.shared, moved, statuses)


def _per_image_figure(ours: CodecGrid, theirs: CodecGrid, options: Options) -> PerImageFigure:
    shared = options.shared
    deltas = shared.deltas(theirs, ours, lambda grid: shared.images(grid).fronts, ("images",))
    found = bd_of_images(
        shared.images(theirs), shared.images(ours), decibels=ours.metric.in_decibels, deltas=deltas
    )
    table = pd.DataFrame(
        {
            "image": list(ours.images),
            "bd_rate_percent": found.rate_percent,
            "bd_quality_db": found.quality_db,
            "overlap": found.overlap,
            "statuses": [" ".join(statuses) for statuses in found.statuses],
        }
    )
    rates, qualities = (a[np.isfinite(a)] for a in (found.rate_percent, found.quality_db))
    intervals = bootstrap(
        lambda weights: (
            _mean_where_finite(found.rate_percent, weights),
            _mean_where_finite(found.quality_db, weights),
        ),
        len(ours.images),
        resamples=options.resamples,
        seed=options.seed,
    )
    means = [float(a.mean()) if len(a) else np.nan for a in (rates, qualities)]
    return PerImageFigure(
        rate=estimate(means[0], intervals[0]),
        quality=estimate(means[1], intervals[1]),
        median_rate_percent=float(np.median(rates)) if len(rates) else None,
        quartiles_rate_percent=(float(np.quantile(rates, 0.25)), float(np.quantile(rates, 0.75)))
        if len(rates)
        else None,
        std_rate_percent=float(rates.std(ddof=1)) if len(rates) > 1 else None,
        median_quality_db=float(np.median(qualities)) if len(qualities) else None,
        n_images=len(rates),
        doubts={s: sum(s in held for held in found.statuses) for s in joined(*found.statuses) if s != "ok"},
        table=table,
    )


def _mean_where_finite(figures: F64, weights: F64) -> F64:
    held = np.isfinite(figures)
    if held.all():
        return _sums(weights, figures) / len(figures)  # the images drawn are as many in each resample
    with np.errstate(invalid="ignore"):
        means: F64 = _sums(weights, np.where(held, figures, 0)) / _sums(weights, held.astype(np.float64))
    return means


def _sums(weights: F64, figures: F64) -> F64:
    """Return weights @ figures, but without threads: they would wait for each other longer than they sum."""
    found: F64 = np.einsum("ri,i->r", weights, figures)
    return found


def _point_deltas(ours: CodecGrid, theirs: CodecGrid, options: Options) -> tuple[PointDelta, ...]:
    shared, mine, others = np.intersect1d(ours.points, theirs.points, return_indices=True)
    every = np.arange(len(ours.images))
    ours, theirs = ours.take(mine, every), theirs.take(others, every)

    def figures(weights: F64) -> tuple[F64, ...]:
        (rates, values), (their_rates, their_values) = (
            weighted_means(grid, weights, options.averaging) for grid in (ours, theirs)
        )
        gains = ours.metric.quality(values) - theirs.metric.quality(their_values)
        return (*((rates / their_rates - 1) * 100).T, *gains.T)

    values = figures(np.ones((1, len(every))))
    intervals = bootstrap(figures, len(every), resamples=options.resamples, seed=options.seed)
    found = [estimate(float(value[0]), interval) for value, interval in zip(values, intervals, strict=True)]
    n = len(shared)
    return tuple(PointDelta(float(p), r, q) for p, r, q in zip(shared, found[:n], found[n:], strict=True))


def _with_curve(grid: CodecGrid, anchor: Curve, options: Options) -> Comparison:
    if anchor.metric != options.metric.name:
        raise AnalysisError(
            f"the published curve {anchor.label!r} is of {anchor.metric}, not of {options.metric.name}"
        )
    (ours,), coverage, statuses = complete(grid)
    curve = mean_curve(ours, coverage, statuses, options.averaging)
    flags: list[tuple[Status, bool]] = [
        ("mixed_protocols", grid.dataset != anchor.dataset),
        ("other_images", len(ours.images) < anchor.coverage.images_used),
    ]
    statuses = joined(statuses, anchor.statuses, [name for name, held in flags if held])
    figure = no_mean_figure(statuses)
    if options.allow_mixed or not MIXED.intersection(statuses):
        found = bd_of_curves(anchor, curve, decibels=options.metric.in_decibels)
        rate, quality = (Estimate(value) for value in (found.rate_percent, found.quality_db))
        figure = _mean_curve_figure(found, rate, quality)
    return _begun(curve, anchor, options)(
        mean_curve=figure,
        per_image=None,
        shares_points=False,
        point_deltas=(),
        images=ours.images,
        resamples=0,
        statuses=joined(statuses, figure.statuses),
    )
