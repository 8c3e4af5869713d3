"""The ranges that plots and the page's charts show: what matters, not what runs far beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis import Curve
from benchmark.arrays import F64
from benchmark.report.savings import Savings


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


def rd_window(
    curves: Sequence[Curve],
    rate: tuple[float, float] | None = None,
    quality: tuple[float, float] | None = None,
) -> Window:
    """Return the range to show: where the curves can be compared, not where a few run on alone.

    It ends where the first third of the curves have ended, or a little later: with those of that third, and
    with what ends within half as much again, two thirds of the curves at least go all through it. A codec
    measured up to 4 bpp must not squeeze those that end at 1. What lies beyond is counted in the caption.
    `rate` and `quality` override.
    """
    ends = sorted(float(finite(curve)[0].max()) for curve in curves if len(finite(curve)[0]))
    if not ends:
        return Window(rate or (0.0, 1.0), quality or (20.0, 50.0))
    left, right = rate or (0.0, 1.04 * _common_end(ends))
    return Window((left, right), quality or _qualities([dense(c) for c in curves], left, right))


_ENDS_ALONG = 1.5
"""What ends within so much more than the first third of the curves belongs to it."""


def _common_end(ends: Sequence[float]) -> float:
    """Return where the axis ends, of the sorted highest rates of all curves."""
    third = ends[-(-len(ends) // 3) - 1]
    return max(end for end in ends if end <= _ENDS_ALONG * third)


def _qualities(shown: Sequence[tuple[F64, F64]], left: float, right: float) -> tuple[float, float]:
    """Return the range of qualities of the polylines between two rates, with a margin."""
    found = np.concatenate([q[(r >= left) & (r <= right)] for r, q in shown])
    if not len(found):
        found = np.concatenate([q for _, q in shown])
    low, high = float(found.min()), float(found.max())
    pad = 0.04 * (high - low or 1.0)
    return low - pad, high + pad


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


def savings_view(savings: Mapping[str, Savings], quality: tuple[float, float]) -> SavingsView:
    """Return the range to show: the RD plot's qualities, and every rate but those far above most others.

    A codec that needs four times the anchor's rate must not press the others, which differ by a few
    percent, into one line. What lies beyond is named in the caption.
    """
    found = {name: s for name, s in savings.items() if len(s.qualities) > 1}
    low, high = quality
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
