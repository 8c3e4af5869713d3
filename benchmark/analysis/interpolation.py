"""How far a BD figure hangs on the interpolation: the other methods, and what leaving out a point does.

The measured points are exact; what lies between them is guessed. An interval of images knows nothing of
that, so it is judged on its own, in two ways that need no further measurement:

- the figure by PCHIP, Akima and a cubic fit (the `bjontegaard` package);
- the figure without each inner point in turn, over the same range of qualities. This is leave-one-out
  cross-validation (Stone 1974) of what Herglotz et al. ("The Bjontegaard Bible", arXiv 2304.12852) measure
  with further points between the usual ones. A gap twice as wide errs more than the gaps that there are, so
  it errs on the side of caution.

The package `bdci` (0.0.5) estimates the same with trained networks. It was looked at and left aside: it
bounds the test curve's error alone, does not say what its weights were trained on, and loads torch.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Literal, Protocol, cast, get_args

import numpy as np

from benchmark.analysis.pchip import BatchBd, Fronts
from benchmark.arrays import F64

Method = Literal["pchip", "akima", "cubic"]
METHODS: tuple[Method, ...] = get_args(Method)
MIN_POINTS = 4
"""A cubic has four coefficients: with fewer points the fit is not determined."""


@dataclass(frozen=True)
class MethodFigures:
    """Deltas by one interpolation, finite; None where the method cannot give one."""

    rate_percent: float | None
    quality_db: float | None


class OneCurve:
    """A curve and what is made of it once, however many others it is compared with.

    `front` is a batch of one.
    """

    def __init__(self, front: Fronts) -> None:
        self.front = front
        n = int(front.counts[0])
        self.qualities: F64 = front.qualities[0, :n]
        self.log_rates: F64 = front.log_rates[0, :n]
        self._interpolants: dict[tuple[Method, bool], _Interpolant | None] = {}

    @cached_property
    def without_each(self) -> Fronts:
        """Return a batch of the one curve, each time without one of its inner points; the ends stay."""
        n, inner = len(self.qualities), max(len(self.qualities) - 2, 0)
        kept = ~np.eye(n, dtype=bool)[1 : 1 + inner]
        rates, qualities = (
            np.broadcast_to(a[0, :n], (inner, n))[kept].reshape(inner, max(n - 1, 0))
            for a in (self.front.rates, self.front.qualities)
        )
        return Fronts(rates, qualities, np.full(inner, n - 1, dtype=np.intp))

    def interpolant(self, method: Method, *, over_quality: bool) -> _Interpolant | None:
        """Return log rate over quality, or the reverse, by the package; None where it cannot be fitted."""
        if (key := (method, over_quality)) not in self._interpolants:
            self._interpolants[key] = _fitted(*self.axes(over_quality=over_quality), method)
        return self._interpolants[key]

    def axes(self, *, over_quality: bool) -> tuple[F64, F64]:
        """Return x and y: quality and log rate, or the reverse."""
        return (self.qualities, self.log_rates) if over_quality else (self.log_rates, self.qualities)


class _Interpolant(Protocol):
    def integrate(self, a: float, b: float, /) -> float: ...


def _fitted(x: F64, y: F64, method: Method) -> _Interpolant | None:
    if len(x) < (MIN_POINTS if method == "cubic" else 2):
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bad fits, whose figures are dropped by their bounds
        return cast(_Interpolant, _package().interpolate(x, y, method))


@cache
def _package() -> ModuleType:
    """Load the package without pyplot, which takes three times as long and is for its plots alone."""
    absent = {
        name: ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules
    }
    sys.modules |= absent
    try:
        return importlib.import_module("bjontegaard.interpolation")
    finally:
        for name in absent:
            del sys.modules[name]


def by_each_method(anchor: OneCurve, test: OneCurve) -> dict[Method, MethodFigures]:
    """Return the deltas of one pair of curves by each interpolation of the `bjontegaard` package.

    None stands for a figure that is not finite, and for one beyond what the points span: no mean difference
    of two curves is larger than that between their ends, unless the interpolant has left them, as cubic and
    Akima do between two points of nearly equal quality.
    """
    return {
        method: MethodFigures(
            _percent(_mean_gap(anchor, test, method, over_quality=True)),
            _mean_gap(anchor, test, method, over_quality=False),
        )
        for method in METHODS
    }


def _percent(log_ratio: float | None) -> float | None:
    return None if log_ratio is None else float((10**log_ratio - 1) * 100)


def _mean_gap(anchor: OneCurve, test: OneCurve, method: Method, *, over_quality: bool) -> float | None:
    """Return the mean of `test` less `anchor` over the range that both have (VCEG-M33)."""
    (x0, y0), (x1, y1) = (side.axes(over_quality=over_quality) for side in (anchor, test))
    before, after = (side.interpolant(method, over_quality=over_quality) for side in (anchor, test))
    if before is None or after is None:
        return None
    low, high = max(x0[0], x1[0]), min(x0[-1], x1[-1])
    if high <= low:
        return None
    with np.errstate(all="ignore"):
        area = float(after.integrate(low, high)) - float(before.integrate(low, high))
    gap = area / float(high - low)
    least, most = float(y1[0] - y0[-1]), float(y1[-1] - y0[0])
    margin = 1e-6 * max(abs(least), abs(most), 1)
    return gap if np.isfinite(gap) and least - margin <= gap <= most + margin else None


def spread_percent(by_method: Mapping[Method, MethodFigures]) -> float:
    """Return how far apart the methods' BD-rates are, in percentage points.

    Infinite where one of them has left the points and another has a figure, 0 where none has.
    """
    rates = [figures.rate_percent for figures in by_method.values()]
    found = [rate for rate in rates if rate is not None]
    if found and len(found) < len(rates):
        return float("inf")
    return max(found) - min(found) if found else 0.0


def leave_one_out_percent(anchor: OneCurve, test: OneCurve, whole: BatchBd) -> float | None:
    """Return the most that leaving out an inner point of either curve moves the BD-rate (PCHIP), in points.

    `whole` are the deltas with all points. The ends stay, and with them the range of qualities. None where
    there is no figure, or no inner point.
    """
    low, high = whole.low, whole.high
    areas = [side.front.over_quality.integrals(low, high) for side in (anchor, test)]
    moved = []
    for number, side in enumerate((anchor, test)):
        times = len(side.without_each.counts)
        without = list(areas)
        without[number] = side.without_each.over_quality.integrals(
            np.repeat(low, times), np.repeat(high, times)
        )
        with np.errstate(over="ignore"):
            moved.append((10 ** ((without[1] - without[0]) / (high - low)) - 1) * 100)
    found = np.abs(np.concatenate(moved) - whole.rate_percent)
    return float(found.max()) if len(found) and np.isfinite(found).all() else None
