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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Literal, get_args

import numpy as np

from benchmark.analysis.pchip import Fronts, bd_batch
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


def by_package(anchor: Fronts, test: Fronts) -> dict[Method, MethodFigures]:
    """Return the deltas of one pair of curves by each method of the `bjontegaard` package.

    None stands for a figure that is not finite, and for one beyond what the points span: no mean difference
    of two curves is larger than that between their ends, unless the interpolant has left them, as cubic and
    Akima do between two points of nearly equal quality.
    """
    sides = [
        (side.rates[0, : side.counts[0]], side.qualities[0, : side.counts[0]]) for side in (anchor, test)
    ]
    return {method: _by_method(sides[0], sides[1], method) for method in METHODS}


Side = tuple[F64, F64]


def _by_method(anchor: Side, test: Side, method: Method) -> MethodFigures:
    package = _package()
    if min(len(anchor[0]), len(test[0])) < (MIN_POINTS if method == "cubic" else 2):
        return MethodFigures(None, None)
    log_rates = np.log10(anchor[0]), np.log10(test[0])
    low, high = _span(*log_rates)
    share_quality, share_rate = _share(anchor[1], test[1]), _share(*log_rates)
    return MethodFigures(
        _given(package.bd_rate, anchor, test, method, ((10**low - 1) * 100, (10**high - 1) * 100))
        if share_quality
        else None,
        _given(package.bd_psnr, anchor, test, method, _span(anchor[1], test[1])) if share_rate else None,
    )


@cache
def _package() -> ModuleType:
    """Load the package without pyplot, which takes three times as long and is for its plots alone."""
    absent = {
        name: ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules
    }
    sys.modules |= absent
    try:
        return importlib.import_module("bjontegaard")
    finally:
        for name in absent:
            del sys.modules[name]


def _share(anchor: F64, test: F64) -> bool:
    return bool(min(anchor[-1], test[-1]) > max(anchor[0], test[0]))


def _span(anchor: F64, test: F64) -> tuple[float, float]:
    """Return the least and the largest difference that any point of `test` has to any of `anchor`."""
    return float(test[0] - anchor[-1]), float(test[-1] - anchor[0])


def _given(
    delta: Callable[..., float], anchor: Side, test: Side, method: Method, bounds: tuple[float, float]
) -> float | None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of overflow and of bad fits, whose figures are dropped below
        found = float(delta(*anchor, *test, method=method, require_matching_points=False, min_overlap=0))
    low, high = bounds
    margin = 1e-6 * max(abs(low), abs(high), 1)
    return found if np.isfinite(found) and low - margin <= found <= high + margin else None


def spread_percent(by_method: Mapping[Method, MethodFigures]) -> float:
    """Return how far apart the methods' BD-rates are, in percentage points.

    Infinite where one of them has left the points and another has a figure, 0 where none has.
    """
    rates = [figures.rate_percent for figures in by_method.values()]
    found = [rate for rate in rates if rate is not None]
    if found and len(found) < len(rates):
        return float("inf")
    return max(found) - min(found) if found else 0.0


def leave_one_out_percent(anchor: Fronts, test: Fronts) -> float | None:
    """Return the most that leaving out an inner point of either curve moves the BD-rate (PCHIP), in points.

    The ends stay, and with them the range of qualities. None where there is no figure, or no inner point.
    """
    whole = bd_batch(anchor, test).rate_percent[0]
    without = [
        bd_batch(*pair).rate_percent
        for pair in (
            (_without_each(anchor), _repeated(test, anchor)),
            (_repeated(anchor, test), _without_each(test)),
        )
        if len(pair[0].counts)
    ]
    moved = np.abs(np.concatenate(without) - whole) if without else np.empty(0)
    return float(moved.max()) if len(moved) and np.isfinite(moved).all() else None


def _inner(curve: Fronts) -> int:
    return max(int(curve.counts[0]) - 2, 0)


def _without_each(curve: Fronts) -> Fronts:
    """Return a batch of the one curve, each time without one of its inner points."""
    n, inner = int(curve.counts[0]), _inner(curve)
    kept = ~np.eye(n, dtype=bool)[1 : 1 + inner]
    rates, qualities = (
        np.broadcast_to(a[0, :n], (inner, n))[kept].reshape(inner, max(n - 1, 0))
        for a in (curve.rates, curve.qualities)
    )
    return Fronts(rates, qualities, np.full(inner, n - 1, dtype=np.intp))


def _repeated(curve: Fronts, other: Fronts) -> Fronts:
    """Return the one curve as often as `other` has inner points."""
    times = _inner(other)
    rates, qualities = (np.repeat(a, times, axis=0) for a in (curve.rates, curve.qualities))
    return Fronts(rates, qualities, np.repeat(curve.counts, times))
