"""Probability tables of the quantizers, bit for bit the same on every IEEE-754 machine.

Encoder and decoder each compute their own tables, so one differing bit would break a stream. Everything
here is therefore made of operations that IEEE-754 rounds correctly (+, -, *, /, comparison, rint, ldexp,
frexp), one NumPy call each, never a reduction whose order is free, never a libm function: `exp`, `log2`
and the normal tail are built below from those alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.arrays import F64, I32

SCALES = 64
MAX_RADIUS = 511
"""Largest index magnitude that a table lists; larger ones are escape-coded."""
TAIL_MASS = 1e-4
"""A table's radius is the smallest beyond which a Gaussian leaves less than this (both sides together)."""
ESCAPE_FLOOR = 2.0**-14
"""Probability set aside for escapes at every scale: real latents have heavier tails than a Gaussian.

It costs 9e-5 bit a sample, about 3 bytes on a Kodak image.
"""

WIDE = 2.0
"""Standard deviation of the wide Gaussian in the mixture of `fitted_tables`, over that of the narrow one."""

_LN2_HIGH = 0.6931471803691238  # ln 2 in two parts, so that n * high is exact for the n that occur
_LN2_LOW = 1.9082149292705877e-10
_INV_LN2 = 1.4426950408889634
_EXP_TERMS = 14
# W. H. Press et al., Numerical Recipes, erfcc: fractional error below 1.2e-7 everywhere.
_ERFC_COEFFICIENTS = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)
_INV_SQRT2 = 0.7071067811865476


def exact_exp(x: F64) -> F64:
    """Return exp(x), within 2 ulp for -700 <= x <= 700 (clamped to that), the same bits on every machine."""
    x = np.clip(x, -700.0, 700.0)
    n = np.rint(x * _INV_LN2)
    r = x - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    series = np.ones_like(r)
    for term in range(_EXP_TERMS, 0, -1):
        series = series * r
        series = series / term
        series = series + 1.0
    power: F64 = np.ldexp(series, n.astype(np.int32))
    return power


def exact_log2(x: F64) -> F64:
    """Return log2(x) for positive normal x, the same bits on every machine (absolute error below 2e-13)."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < _INV_SQRT2
    mantissa = np.where(low, mantissa + mantissa, mantissa)
    exponent = exponent - low
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z_squared = z * z
    series = np.zeros_like(z)
    for odd in range(23, 0, -2):
        series = series * z_squared
        series = series + 1.0 / odd
    return exponent + (2.0 * _INV_LN2) * (z * series)


def normal_tail(x: F64) -> F64:
    """Return P(X > x) of a unit normal for x >= 0, relative error below 1.3e-7, the same bits everywhere."""
    z = x * _INV_SQRT2
    t = 1.0 / (1.0 + 0.5 * z)
    series = np.full_like(t, _ERFC_COEFFICIENTS[0])
    for coefficient in _ERFC_COEFFICIENTS[1:]:
        series = series * t
        series = series + coefficient
    exponent = series - z * z
    tail: F64 = 0.5 * (t * exact_exp(exponent))
    return tail


def _scale_table() -> F64:
    """Return exp of 64 equal steps from ln 0.11 to ln 256, rounded to float32 as CompressAI holds them."""
    low, high = -2.2072749131897207, 5.545177444479562
    step = (high - low) / (SCALES - 1)
    return exact_exp(low + np.arange(SCALES) * step).astype(np.float32).astype(np.float64)


SCALE_TABLE: F64 = _scale_table()
"""The 64 standard deviations that `scale_index` points into, in units of the latent."""
SCALE_TABLE.setflags(write=False)


@dataclass(frozen=True)
class PmfTables:
    """Probabilities of the index k, by quantizer and scale.

    `probabilities[q, s, k + max_radius]` is P(k | quantizer q, scale s) for |k| <= radius[s], and 0 beyond;
    it is symmetric in k. `escape[q, s]` is the probability that |k| > radius[s] (never zero). For each (q, s)
    probabilities and escape add up to 1 within 1e-12; nothing is normalized, for sums have no defined order.
    All values are bit-identical on every IEEE-754 machine for the same settings, so integer frequencies made
    from them by correctly rounded operations in a fixed order are identical as well (keep libm functions and
    np.sum out of that step). Settings must reach the decoder with all 64 bits.
    """

    probabilities: F64
    """float64 [quantizers, 64, 2 * max_radius + 1]"""
    radius: I32
    """int32 [64]: the largest listed magnitude of each scale, at least 1."""
    escape: F64
    """float64 [quantizers, 64]"""

    @property
    def max_radius(self) -> int:
        """The centre of the last axis of `probabilities`: where k = 0 lies."""
        return (self.probabilities.shape[2] - 1) // 2


def cell_tables(thresholds: F64, sigma: F64) -> PmfTables:
    """Return the tables of Gaussian residuals that are cut into cells.

    thresholds: [quantizers, 64, MAX_RADIUS + 1], increasing; the cell of k = 0 is |x| < thresholds[..., 0],
    that of k > 0 lies between thresholds[..., k - 1] and thresholds[..., k]. sigma: [quantizers, 64], the
    standard deviation that the tables assume. Both in the same unit.
    """
    tails = normal_tail(thresholds / sigma[:, :, None])
    return _tables_of(1.0 - 2.0 * tails[:, :, 0], tails)


def fitted_tables(thresholds: F64, sigma: F64, wide_weight: F64, zero_odds: F64) -> PmfTables:
    """Return the tables of cells under a mixture of two Gaussians, with a factor on the odds of k = 0.

    thresholds and sigma are those of `cell_tables`. The second Gaussian has WIDE * sigma and the weight
    `wide_weight`, [quantizers, 64] in 0 .. 1; it stands for tails heavier than a Gaussian's. `zero_odds`,
    [quantizers, 64] and positive, multiplies P(0) / P(not 0) of the mixture.
    """
    ratio = thresholds / sigma[:, :, None]
    weight = wide_weight[:, :, None]
    tails = (1.0 - weight) * normal_tail(ratio)
    tails = tails + weight * normal_tail(ratio / WIDE)
    outside = 2.0 * tails[:, :, 0]
    inside = zero_odds * (1.0 - outside)
    total = inside + outside
    return _tables_of(inside / total, tails / total[:, :, None])


def _tables_of(zero: F64, tails: F64) -> PmfTables:
    """Return the tables with P(0) = zero, [quantizers, 64], and P(k > m) = tails[..., m]."""
    beyond = 2.0 * tails.max(axis=0)
    radius = np.clip((beyond >= TAIL_MASS).sum(axis=1), 1, MAX_RADIUS)
    widest = int(radius.max())
    keep = 1.0 - ESCAPE_FLOOR
    positive = keep * (tails[:, :, :widest] - tails[:, :, 1 : widest + 1])
    positive = np.where(np.arange(1, widest + 1) <= radius[:, None], positive, 0.0)
    probabilities = np.concatenate([positive[:, :, ::-1], keep * zero[:, :, None], positive], axis=2)
    at_radius = np.take_along_axis(tails, np.broadcast_to(radius[:, None], (*tails.shape[:2], 1)), axis=2)
    escape = keep * (2.0 * at_radius[:, :, 0]) + ESCAPE_FLOOR
    return PmfTables(probabilities, radius.astype(np.int32), escape)


def interpolate(x: F64, first: float, step: float, values: tuple[float, ...]) -> F64:
    """Return the piecewise linear function through (first + i * step, values[i]), constant beyond the ends.

    The same bits everywhere; np.interp may fuse its multiply and add, so its last bit is the machine's.
    """
    knots = np.array(values)
    place = np.clip((x - first) / step, 0.0, len(values) - 1.0)
    left = np.minimum(place.astype(np.intp), len(values) - 2)
    rise = (knots[left + 1] - knots[left]) * (place - left)
    result: F64 = knots[left] + rise
    return result


def index_bits(tables: PmfTables) -> F64:
    """Return float64 [quantizers, 64, max_radius + 17]: bits of magnitudes 0, 1, ..., escapes by formula.

    An escape of |k| = radius + m costs -log2(escape) + 2 log2(m) + 1 bits (Elias gamma, and a sign). The last
    entry stands for all magnitudes beyond: there a search has only nearby candidates, of nearly equal rate.
    """
    beyond = np.arange(tables.max_radius + 17) - tables.radius[:, None]
    padding = np.ones((*tables.escape.shape, 16))
    listed = np.concatenate([tables.probabilities[:, :, tables.max_radius :], padding], axis=2)
    escape_bits = 2.0 * exact_log2(np.maximum(beyond, 1).astype(np.float64)) + 1.0
    escape_bits = escape_bits - exact_log2(tables.escape)[:, :, None]
    return np.where(beyond > 0, escape_bits, -exact_log2(np.maximum(listed, 2.0**-60)))
