"""Rate savings over quality, with intervals: the function whose mean BD-rate is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.analysis import Curve
from benchmark.analysis.curves import weighted_means
from benchmark.analysis.grid import CodecGrid, complete
from benchmark.analysis.intervals import LEVEL, resample_weights
from benchmark.analysis.pchip import Fronts, fronts
from benchmark.arrays import F64

RESAMPLES = 200
SAMPLES = 100


@dataclass(frozen=True, eq=False)
class Savings:
    """Rate against the anchor at equal quality: arrays of one length, over qualities (dB) that both reach.

    `rate_percent` below 0 is a saving; `low` and `high` bound 95 % of the paired resamples and are
    NaN for one image, or against a published anchor: it has no images, and resampling one side alone is no
    paired bootstrap.
    """

    qualities: F64
    rate_percent: F64
    low: F64
    high: F64


def rate_savings_with_intervals(
    grids: Mapping[str, CodecGrid],
    anchors: Mapping[str, str | Curve],
    averaging: str = "per_image",
) -> dict[str, dict[str, Savings]]:
    """Return, by anchor and codec, the savings over the images that all the codecs share (PCHIP, log rate).

    `grids` are the codecs' results; anchors are codecs among them, or published curves.
    """
    if not grids:
        return {}
    cut, _, _ = complete(*grids.values())
    drawn = {grid.codec: _curves_drawn(grid, averaging) for grid in cut} if cut[0].images else {}
    drawn = {codec: curves for codec, curves in drawn.items() if curves.counts[0]}
    if not drawn:
        return {}
    lows, highs = zip(
        *((curves.qualities[0].min(), curves.qualities[0].max()) for curves in drawn.values()), strict=True
    )
    at = np.linspace(min(lows), max(highs), SAMPLES)
    rates = {codec: curves.over_quality.values(at) for codec, curves in drawn.items()}
    for name, anchor in anchors.items():
        if isinstance(anchor, Curve):
            front = fronts(anchor.rates[None, :], anchor.qualities[None, :])
            rates[name] = front.over_quality.values(at)
    return {
        anchor: {codec: _savings(at, rates[codec], rates[anchor]) for codec in drawn if codec != anchor}
        for anchor in anchors
        if anchor in rates
    }


def _curves_drawn(grid: CodecGrid, averaging: str) -> Fronts:
    """Return the rising part of the mean curve, then of each resample's; the same images for every codec."""
    images = len(grid.images)
    weights = [np.ones((1, images))]
    if images > 1:
        weights.extend(resample_weights(images, RESAMPLES, 0))
    means = [weighted_means(grid, w, averaging) for w in weights]
    rates, values = (np.concatenate(found) for found in zip(*means, strict=True))
    return fronts(rates, grid.metric.quality(values))


def _bounds(resamples: F64) -> tuple[F64, F64]:
    """Return the ends of the middle 95 % of each column, NaN where over 5 % of the resamples have no value.

    At a range's end some resamples do not reach. NaNs are sorted last, so that each column's quantiles are
    read among as many values as it has (numpy's nanquantile goes column by column, twenty times slower).
    """
    ranked = np.sort(resamples, axis=0)
    counts = np.isfinite(resamples).sum(axis=0)
    sure = counts >= LEVEL * len(resamples)
    columns = np.arange(resamples.shape[1])
    bounds = []
    for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        place = np.maximum(tail * (counts - 1), 0)
        below = np.floor(place).astype(np.intp)
        above = np.minimum(below + 1, np.maximum(counts - 1, 0))
        low, high = ranked[below, columns], ranked[above, columns]
        bounds.append(np.where(sure, low + (place - below) * (high - low), np.nan))
    return bounds[0], bounds[1]


def _savings(at: F64, codec: F64, anchor: F64) -> Savings:
    ratio = (10 ** (codec[: len(anchor)] - anchor) - 1) * 100
    held = np.isfinite(ratio[0])
    shown = ratio[:, held]
    low = high = np.full(int(held.sum()), np.nan)
    if len(shown) > 1:
        low, high = _bounds(shown[1:])
    return Savings(at[held], shown[0], low, high)
