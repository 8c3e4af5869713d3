"""How sure a figure is: 95 % intervals by paired bootstrap over images (Efron 1979, percentile method).

Figures are written here too, for tables, reports and messages: a true minus sign, a dash for none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmark.arrays import F64, U8

RESAMPLES = 10_000
LEVEL = 0.95
FEW_IMAGES = 10
MINUS = "\u2212"
DASH = "\u2013"
_CHUNK_CELLS = 20_000_000
"""Weights held at once (resamples times images), so that a large image set needs no large memory."""
_CHUNK_RESAMPLES = 2_000
"""Resamples worked on at once: their curves stay in a processor's cache, which saves a fifth of the time."""


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None where there is none (no figure, one image, no bootstrap)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def figure(self, unit: str = "", digits: int = 2) -> str:
        """Return the value, signed, with its unit; a dash where there is none."""
        text = number(self.value, digits, signed=True)
        return text if self.value is None else f"{text} {unit}".rstrip()

    def interval(self, digits: int = 2) -> str:
        """Return the interval; a dash where there is none."""
        if self.low is None or self.high is None:
            return DASH
        return f"[{number(self.low, digits, signed=True)}, {number(self.high, digits, signed=True)}]"

    def in_words(self, unit: str = "", digits: int = 2) -> str:
        """Return the value and behind it the interval, if there is one."""
        bounds = "" if self.low is None or self.high is None else f" {self.interval(digits)}"
        return self.figure(unit, digits) + bounds


@lru_cache(maxsize=2)
def _resample_counts(images: int, resamples: int, seed: int) -> U8:
    """Return how often each image was drawn, [resamples, images]; the same for all who share a seed."""
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, images), dtype=np.uint8)
    step = max(1, _CHUNK_CELLS // images)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, images, size=(rows, images), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * images
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * images).reshape(
            rows, images
        )
    counts.setflags(write=False)
    return counts


def resample_weights(images: int, resamples: int, seed: int) -> Iterator[F64]:
    """Yield image weights, [some resamples, images], all in all `resamples` rows. Seeded: always the same."""
    counts = _resample_counts(images, resamples, seed)
    step = max(1, min(_CHUNK_CELLS // images, _CHUNK_RESAMPLES))
    for start in range(0, resamples, step):
        yield counts[start : start + step].astype(np.float64)


def bootstrap(
    figures: Callable[[F64], tuple[F64, ...]], images: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[tuple[float, float] | None]:
    """Return a 95 % interval for each figure that `figures` gives.

    `figures` takes image weights [resamples, images] and returns arrays [resamples], NaN where a resample has
    no figure; the weights are the same for both codecs, which makes the bootstrap a paired one. An interval
    is None with fewer than two images, or where over 5 % of the resamples have no figure.
    """
    if images < 2 or resamples < 1:
        return [None for _ in figures(np.ones((1, images)))] if images else []
    drawn = [figures(weights) for weights in resample_weights(images, resamples, seed)]
    return [_interval(np.concatenate(parts)) for parts in zip(*drawn, strict=True)]


def _interval(figures: F64) -> tuple[float, float] | None:
    held = figures[np.isfinite(figures)]
    if len(held) < LEVEL * len(figures):
        return None
    low, high = np.quantile(held, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def estimate(value: float, interval: tuple[float, float] | None) -> Estimate:
    """Pair a figure (NaN for none) with its interval."""
    if not np.isfinite(value):
        return Estimate(None)
    return Estimate(float(value), *(interval or (None, None)))
