"""Where things go in a plot: ranges that show what matters, legends and insets that hide no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis import Curve
from benchmark.arrays import F64, Intp
from benchmark.report.savings import Savings

CLOSE_SHARE = 0.025
"""Curves nearer than this share of the axis, on average, cannot be told apart without an inset."""


@dataclass(frozen=True)
class Box:
    """A rectangle in axes fractions: left, bottom, width, height."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, samples: F64, margin: float) -> bool:
        """Whether any of the samples [n, 2] lies in the box or within `margin` of it."""
        inside = (
            (samples[:, 0] > self.x - margin)
            & (samples[:, 0] < self.x + self.width + margin)
            & (samples[:, 1] > self.y - margin)
            & (samples[:, 1] < self.y + self.height + margin)
        )
        return bool(inside.any())

    def outline(self) -> F64:
        """Return points [n, 2] that cover the box, so that a box can be an obstacle like a curve."""
        xs, ys = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 12))
        return np.column_stack([self.x + self.width * xs.ravel(), self.y + self.height * ys.ravel()])


@dataclass(frozen=True)
class Window:
    """The part of the plane that a plot shows: rates in bits per pixel, qualities in dB."""

    rate: tuple[float, float]
    quality: tuple[float, float]

    def fractions(self, rates: F64, qualities: F64) -> F64:
        """Return points as axes fractions [n, 2]."""
        (x0, x1), (y0, y1) = self.rate, self.quality
        return np.column_stack([(rates - x0) / (x1 - x0), (qualities - y0) / (y1 - y0)])

    def beyond(self, curve: Curve) -> int:
        """Count the points of a curve that the window leaves out."""
        at = self.fractions(*finite(curve))
        return int(((at < 0) | (at > 1)).any(axis=1).sum())


def finite(curve: Curve) -> tuple[F64, F64]:
    """Return the rates and qualities of the points that can be drawn."""
    held = np.isfinite(curve.rates) & np.isfinite(curve.qualities)
    return curve.rates[held], curve.qualities[held]


def dense(curve: Curve, samples: int = 400) -> tuple[F64, F64]:
    """Return the drawn polyline of a curve, sampled evenly along the rate."""
    rates, qualities = finite(curve)
    if not len(rates):
        return rates, qualities
    order = np.argsort(rates, kind="stable")
    at = np.linspace(rates.min(), rates.max(), samples)
    return at, np.interp(at, rates[order], qualities[order])


def rd_window(curves: Sequence[Curve], max_bpp: float | None = None) -> Window:
    """Return the range to show: every point, unless a few curves run far beyond where most of them end.

    Then the axis ends a little after the median of the curves' highest rates: a codec measured up to 4 bpp
    must not squeeze those that end at 1. What lies beyond is counted in the caption. `max_bpp` overrides.
    """
    ends = sorted(float(finite(curve)[0].max()) for curve in curves if len(finite(curve)[0]))
    if not ends:
        return Window((0.0, 1.0), (20.0, 50.0))
    median = ends[(len(ends) - 1) // 2]
    right = max_bpp or (1.04 * ends[-1] if ends[-1] <= 1.25 * median else 1.1 * median)
    shown = [(r, q) for r, q in (dense(curve) for curve in curves) if len(r)]
    qualities = np.concatenate([q[r <= right] for r, q in shown])
    if not len(qualities):
        qualities = np.concatenate([q for _, q in shown])
    low, high = float(qualities.min()), float(qualities.max())
    pad = 0.04 * (high - low or 1.0)
    return Window((0.0, right), (low - pad, high + pad))


_MIN_SHARE_SHOWN = 0.25


@dataclass(frozen=True)
class SavingsView:
    """The range that a savings plot shows: qualities (dB), rates (percent); and the codecs that leave it.

    Of those `outside` little or nothing is within, and it is not drawn; those `in_part` run beyond its upper
    end.
    """

    quality: tuple[float, float]
    rate: tuple[float, float]
    outside: tuple[str, ...]
    in_part: tuple[str, ...]


def savings_view(savings: Mapping[str, Savings], curves: Sequence[Curve]) -> SavingsView:
    """Return the range to show: the RD plot's qualities, and every rate but those far above most others.

    A codec that needs four times the anchor's rate must not press the others, which differ by a few
    percent, into one line. What lies beyond is named in the caption.
    """
    found = {name: s for name, s in savings.items() if len(s.qualities) > 1}
    low, high = rd_window(curves).quality
    qualities = np.concatenate([s.qualities for s in found.values()])
    left, right = max(low, float(qualities.min())), min(high, float(qualities.max()))
    if left >= right:
        left, right = float(qualities.min()), float(qualities.max())
    within = {n: (s.qualities >= left) & (s.qualities <= right) for n, s in found.items()}
    rates = {n: s.rate_percent[within[n]] for n, s in found.items() if within[n].any()}
    tops = sorted(float(r.max()) for r in rates.values())
    limit = max(1.6 * tops[(len(tops) - 1) // 2], 10.0)
    bottom = min(float(r.min()) for r in rates.values())
    top = min(tops[-1], limit)
    pad = 0.06 * (max(top, 0.0) - min(bottom, 0.0) or 1.0)
    shown = {n: r for n, r in rates.items() if (r <= limit + pad).mean() >= _MIN_SHARE_SHOWN}
    ends = np.concatenate([found[n].qualities[within[n]] for n in shown])
    return SavingsView(
        (float(ends.min()), float(ends.max())),
        (min(bottom, 0.0) - pad, max(top, 0.0) + pad),
        outside=tuple(n for n in found if n not in shown),
        in_part=tuple(n for n, r in shown.items() if r.max() > limit + pad),
    )


def free_box(
    samples: F64, width: float, height: float, corners: Sequence[tuple[float, float]], margin: float = 0.02
) -> Box | None:
    """Return the free place of this size (axes fractions) nearest to the first corner that has one near it.

    `samples` [n, 2] are what must not be hidden. None where nothing is free.
    """
    if width > 1 - 2 * margin or height > 1 - 2 * margin:
        return None
    xs, ys = (np.linspace(margin, 1 - size - margin, 28) for size in (width, height))
    counts = _counts_below(samples)
    (left, right), (below, above) = (
        (_cell(at - margin), _cell(at + size + margin) + 1) for at, size in ((xs, width), (ys, height))
    )
    rows, columns = np.ix_(right, above), np.ix_(left, below)
    held = counts[rows] - counts[np.ix_(left, above)] - counts[np.ix_(right, below)] + counts[columns]
    free = [Box(float(xs[i]), float(ys[j]), width, height) for i, j in np.argwhere(held == 0)]
    if not free:
        return None

    def cost(box: Box) -> tuple[float, int]:
        centre = (box.x / max(1 - width, 1e-9), box.y / max(1 - height, 1e-9))
        distances = [
            abs(centre[0] - cx) + abs(centre[1] - cy) + 0.25 * i for i, (cx, cy) in enumerate(corners)
        ]
        return round(min(distances), 6), int(np.argmin(distances))

    return min(free, key=cost)


_CELLS = 250


def _cell(fractions: F64) -> Intp:
    cells: Intp = np.clip(np.floor(fractions * _CELLS), 0, _CELLS - 1).astype(np.intp)
    return cells


def _counts_below(samples: F64) -> Intp:
    """Return how many samples lie left of and below each corner of a grid: a box is then four look-ups."""
    seen = samples[((samples >= 0) & (samples <= 1)).all(axis=1)]
    counts = np.zeros((_CELLS + 1, _CELLS + 1), dtype=np.intp)
    np.add.at(counts, (_cell(seen[:, 0]) + 1, _cell(seen[:, 1]) + 1), 1)
    summed: Intp = counts.cumsum(axis=0).cumsum(axis=1)
    return summed


def close_region(curves: Sequence[Curve], window: Window) -> Window | None:
    """Return a small window on the curves that lie too close to be told apart; None if none do.

    Each curve is compared with each other over their shared rates; gaps count as shares of the quality range.
    """
    (_, right), (bottom, top) = window.rate, window.quality
    lines = [(r, q) for r, q in (dense(curve) for curve in curves) if len(r) > 1]
    gaps: dict[tuple[int, int], tuple[float, float, float]] = {}
    for i, (r1, q1) in enumerate(lines):
        for j, (r2, q2) in enumerate(lines[:i]):
            low, high = max(r1[0], r2[0]), min(r1[-1], r2[-1], right)
            if high - low < 0.15 * right:
                continue
            at = np.linspace(low, high, 100)
            gap = float(np.abs(np.interp(at, r1, q1) - np.interp(at, r2, q2)).mean()) / (top - bottom)
            if gap < CLOSE_SHARE:
                gaps[i, j] = (gap, low, high)
    if not gaps:
        return None
    members = _largest_cluster(gaps)
    held = [(low, high) for (i, j), (_, low, high) in gaps.items() if {i, j} <= members]
    low, high = max(a for a, _ in held), min(b for _, b in held)
    if low >= high:
        low, high = held[0]
    middle, half = low + 0.4 * (high - low), min(0.05 * right, 0.4 * (high - low))
    at = np.linspace(middle - half, middle + half, 30)
    inside = np.concatenate([np.interp(at, *lines[k]) for k in sorted(members)])
    pad = 0.08 * float(np.ptp(inside))
    return Window((middle - half, middle + half), (float(inside.min()) - pad, float(inside.max()) + pad))


def _largest_cluster(gaps: Mapping[tuple[int, int], tuple[float, float, float]]) -> set[int]:
    """Return the largest group of curves that close pairs connect; of equals, that with the closest pair."""
    clusters: list[set[int]] = []
    for pair in gaps:
        touching = [c for c in clusters if c & set(pair)]
        clusters = [c for c in clusters if not c & set(pair)] + [set(pair).union(*touching)]
    closest = {frozenset(c): min(g[0] for pair, g in gaps.items() if set(pair) <= c) for c in clusters}
    return max(clusters, key=lambda c: (len(c), -closest[frozenset(c)]))
