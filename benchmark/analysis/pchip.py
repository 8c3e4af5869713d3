"""BD-rate and BD-quality of thousands of curve pairs at once: PCHIP in closed form, in plain numpy.

The `bjontegaard` package computes one pair at a time through scipy; a bootstrap needs ten thousand. This is
the same interpolation (Fritsch-Carlson slopes as scipy's PchipInterpolator sets them, exact integrals of the
cubic pieces) over a leading batch axis, and is tested against the package to 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.arrays import F64, Bools, Intp

Counts = Intp


@dataclass(frozen=True, eq=False)
class Fronts:
    """Curves cut down to their rising part: [curves, points] arrays whose first `counts` entries hold.

    `rates` rise strictly and so do `qualities`; entries past `counts` repeat the last one.
    """

    rates: F64
    qualities: F64
    counts: Counts

    @cached_property
    def log_rates(self) -> F64:
        """Return the rates' decimal logarithms."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: F64 = np.log10(self.rates)
        return found

    @cached_property
    def over_quality(self) -> Interpolants:
        """Return log rate as a function of quality: made once, however many curves it is compared with."""
        return Interpolants.through(self.qualities, self.log_rates, self.counts)

    @cached_property
    def over_rate(self) -> Interpolants:
        """Return quality as a function of log rate."""
        return Interpolants.through(self.log_rates, self.qualities, self.counts)

    @property
    def nbytes(self) -> int:
        """Return about how much memory the curves take with their interpolants."""
        return 14 * self.rates.nbytes


@dataclass(frozen=True, eq=False)
class BatchBd:
    """Bjontegaard deltas of a batch of pairs, each [pairs]; NaN where the two share no range.

    `rate_percent` over the shared qualities, `low` to `high`, `quality_db` over the shared (logarithmic)
    rates; `overlap` is the part of the shorter curve's qualities that is shared, 0 to 1.
    """

    rate_percent: F64
    quality_db: F64
    overlap: F64
    low: F64
    high: F64

    @property
    def nbytes(self) -> int:
        """Return how much memory the deltas take."""
        return 5 * self.overlap.nbytes

    def swapped(self) -> BatchBd:
        """Return the deltas of the anchor against the test curve."""
        rate_percent = (1 / (1 + self.rate_percent / 100) - 1) * 100
        return BatchBd(rate_percent, -self.quality_db, self.overlap, self.low, self.high)


def fronts(rates: F64, qualities: F64) -> Fronts:
    """Keep, of each curve [curves, points], the points that no other beats at equal or lower rate.

    Interpolating quality to rate needs quality that rises strictly with rate; a point that costs more and is
    no better is not one that an encoder would choose. NaN points are dropped.
    """
    if rates.shape[1] == 0:
        none = np.full((len(rates), 1), np.nan)
        return Fronts(none, none, np.zeros(len(rates), dtype=np.intp))
    rising = _rising(rates, qualities)
    if rising is not None:
        return rising
    usable = np.isfinite(rates) & np.isfinite(qualities) & (rates > 0)
    rates = np.where(usable, rates, np.inf)
    qualities = np.where(usable, qualities, -np.inf)
    best_first = np.argsort(-qualities, axis=1, kind="stable")
    rates, qualities = (np.take_along_axis(a, best_first, axis=1) for a in (rates, qualities))
    by_rate = np.argsort(rates, axis=1, kind="stable")
    rates, qualities = (np.take_along_axis(a, by_rate, axis=1) for a in (rates, qualities))
    before = np.maximum.accumulate(qualities, axis=1)[:, :-1]
    kept = np.concatenate([np.isfinite(rates[:, :1]), qualities[:, 1:] > before], axis=1)
    counts = kept.sum(axis=1)
    front_first = np.argsort(~kept, axis=1, kind="stable")
    last = np.maximum(counts - 1, 0)[:, None]
    take = np.take_along_axis(front_first, np.minimum(np.arange(kept.shape[1])[None, :], last), axis=1)
    return Fronts(
        np.take_along_axis(rates, take, axis=1),
        np.take_along_axis(qualities, take, axis=1),
        counts.astype(np.intp),
    )


def _rising(rates: F64, qualities: F64) -> Fronts | None:
    """Return the curves as they are (or all reversed) if all rise strictly, the common case."""
    if not (np.isfinite(rates).all() and np.isfinite(qualities).all() and (rates > 0).all()):
        return None
    for step in (1, -1):
        r, q = rates[:, ::step], qualities[:, ::step]
        if (np.diff(r, axis=1) > 0).all() and (np.diff(q, axis=1) > 0).all():
            return Fronts(r, q, np.full(len(r), r.shape[1], dtype=np.intp))
    return None


def bd_batch(anchor: Fronts, test: Fronts) -> BatchBd:
    """Return the deltas of `test` against `anchor`, pair by pair (PCHIP).

    Curves with fewer than two points have no figure (NaN).
    """
    sides = (anchor, test)
    counts = [side.counts for side in sides]
    qualities, log_rates = [side.qualities for side in sides], [side.log_rates for side in sides]
    shared = _shared(qualities, counts)
    with np.errstate(over="ignore"):
        rate_percent = (10 ** _mean_gap([side.over_quality for side in sides], *shared) - 1) * 100
    quality_db = _mean_gap([side.over_rate for side in sides], *_shared(log_rates, counts))
    low, high = shared
    return BatchBd(_finite(rate_percent), _finite(quality_db), _overlap(qualities, shared), low, high)


def _finite(deltas: F64) -> F64:
    return np.where(np.isfinite(deltas), deltas, np.nan)


def _shared(xs: list[F64], counts: list[Counts]) -> tuple[F64, F64]:
    """Return the ends of the range of x that both have, [pairs] each; NaN where they share none."""
    with np.errstate(invalid="ignore"):
        low, high = (np.maximum(xs[0][:, 0], xs[1][:, 0]), np.minimum(xs[0][:, -1], xs[1][:, -1]))
        held = (counts[0] >= 2) & (counts[1] >= 2) & (high > low)
    return np.where(held, low, np.nan), np.where(held, high, np.nan)


def _overlap(xs: list[F64], shared: tuple[F64, F64]) -> F64:
    """Return the part of the shorter curve that is shared: a curve that lies within the other's has 1."""
    low, high = shared
    shorter = np.minimum(*(x[:, -1] - x[:, 0] for x in xs))
    held = np.isfinite(low)
    return np.divide(high - low, shorter, out=np.zeros(len(low)), where=held)


def _mean_gap(functions: Sequence[Interpolants], low: F64, high: F64) -> F64:
    """Return the mean of the second less the first from `low` to `high`, NaN where these are."""
    areas = [function.integrals(low, high) for function in functions]
    gap: F64 = (areas[1] - areas[0]) / (high - low)
    return gap


@dataclass(frozen=True, eq=False)
class Interpolants:
    """PCHIP interpolants of a batch of curves, with their integrals: curves of one length go together."""

    groups: tuple[tuple[Bools | None, Pieces], ...]
    """Which curves, None for all of them, and their cubic pieces; curves of one point are in no group."""
    curves: int

    @classmethod
    def through(cls, x: F64, y: F64, counts: Counts) -> Interpolants:
        """Return the interpolants of y over x, [curves, points] each, of which `counts` entries hold."""
        lengths = np.unique(counts)
        if len(lengths) == 1 and lengths[0] == x.shape[1] > 1:
            return cls(((None, Pieces.through(x, y)),), len(x))
        grouped = [(counts == n, n) for n in lengths if n > 1]
        return cls(tuple((rows, Pieces.through(x[rows, :n], y[rows, :n])) for rows, n in grouped), len(x))

    def integrals(self, low: F64, high: F64) -> F64:
        """Integrate each curve's interpolant from `low` to `high`, NaN where these are."""
        if len(self.groups) == 1 and self.groups[0][0] is None:
            return self.groups[0][1].integrals(low, high)
        areas = np.full(len(low), np.nan)
        for rows, pieces in self.groups:
            areas[rows] = pieces.integrals(low[rows], high[rows])
        return areas

    def values(self, at: F64) -> F64:
        """Return each curve's values at `at`, [curves, n]; NaN outside its range."""
        if len(self.groups) == 1 and self.groups[0][0] is None:
            return self.groups[0][1].values(at)
        found = np.full((self.curves, len(at)), np.nan)
        for rows, pieces in self.groups:
            found[rows] = pieces.values(at)
        return found


@dataclass(frozen=True, eq=False)
class Pieces:
    """Cubic pieces of curves of one length: knots, coefficients of the antiderivatives, sums until knots."""

    x: F64
    coefficients: tuple[F64, ...]
    until_knot: F64

    @classmethod
    def through(cls, x: F64, y: F64) -> Pieces:
        """Return the pieces of y over x, [curves, points] each."""
        x, y = np.asfortranarray(x), np.asfortranarray(y)  # many curves of few points: faster by columns
        h = np.diff(x, axis=1)
        m = np.diff(y, axis=1) / h
        d = _slopes(h, m)
        coefficients = (
            y[:, :-1],
            d[:, :-1] / 2,
            (3 * m - 2 * d[:, :-1] - d[:, 1:]) / h / 3,
            (d[:, :-1] + d[:, 1:] - 2 * m) / h**2 / 4,
        )
        pieces = _antiderivative(coefficients, h)
        until_knot = np.zeros_like(x)
        np.cumsum(pieces, axis=1, out=until_knot[:, 1:])
        return cls(x, coefficients, until_knot)

    def integrals(self, low: F64, high: F64) -> F64:
        """Integrate from `low` to `high`, [curves] each."""
        return self._until(high) - self._until(low)

    def values(self, at: F64) -> F64:
        """Return the interpolants' values at `at`, [curves, n]; NaN outside their knots."""
        k = np.clip((self.x[:, :, None] <= at).sum(axis=1) - 1, 0, self.x.shape[1] - 2)
        c0, c1, c2, c3 = (np.take_along_axis(c, k, axis=1) for c in self.coefficients)
        t = at - np.take_along_axis(self.x, k, axis=1)
        found = c0 + t * (2 * c1 + t * (3 * c2 + t * 4 * c3))
        return np.where((at >= self.x[:, :1]) & (at <= self.x[:, -1:]), found, np.nan)

    def _until(self, q: F64) -> F64:
        # One of the two curves ends where the shared range does: most ends are knots, whose sums are known.
        for knot in (0, -1):
            if np.array_equal(q, self.x[:, knot]):
                known: F64 = self.until_knot[:, knot]
                return known
        place = np.arange(len(q))  # in columns, one behind the other
        for knots in self.x.T[1:-1]:
            place += len(q) * (knots <= q)
        x, until, *at_k = (a.T.ravel().take(place) for a in (self.x, self.until_knot, *self.coefficients))
        area: F64 = until + _antiderivative(tuple(at_k), q - x)
        return area


def _antiderivative(coefficients: tuple[F64, ...], t: F64) -> F64:
    c0, c1, c2, c3 = coefficients
    area: F64 = t * (c0 + t * (c1 + t * (c2 + t * c3)))
    return area


def _slopes(h: F64, m: F64) -> F64:
    """Return the knots' derivatives from interval widths and secants, [curves, points - 1] each."""
    if h.shape[1] == 1:
        return np.concatenate([m, m], axis=1)
    w1 = 2 * h[:, 1:] + h[:, :-1]
    w2 = h[:, 1:] + 2 * h[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (w1 + w2) / (w1 / m[:, :-1] + w2 / m[:, 1:])
    inner = np.where(np.sign(m[:, :-1]) * np.sign(m[:, 1:]) > 0, inner, 0.0)
    first = _end_slope(h[:, 0], h[:, 1], m[:, 0], m[:, 1])
    last = _end_slope(h[:, -1], h[:, -2], m[:, -1], m[:, -2])
    return np.concatenate([first[:, None], inner, last[:, None]], axis=1)


def _end_slope(h0: F64, h1: F64, m0: F64, m1: F64) -> F64:
    """One-sided three-point estimate, kept in the shape of the data."""
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    too_steep = (np.sign(m0) != np.sign(m1)) & (np.abs(d) > 3 * np.abs(m0))
    return np.where(np.sign(d) != np.sign(m0), 0.0, np.where(too_steep, 3 * m0, d))
