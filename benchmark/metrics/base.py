"""A metric: a reference and a decoded image become one number; it says all that is to be known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.arrays import F64, Bools, Image
from benchmark.errors import BenchError

IDENTICAL = "identical images"
"""How the reason of a metric that is null begins where the decoded image equals the original: lossless."""


class MetricUndefined(BenchError):  # noqa: N818 (an outcome with a definition: recorded as null and a reason)
    """The metric has no finite value for these images; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Decibels:
    """How the values of a metric become dB, more of which is better whatever the metric's own direction.

    `formula` says it in words, of a value x; `apply` takes and returns arrays of one shape.
    """

    formula: str
    apply: Callable[[F64], F64]


def _distance_from_one(values: F64) -> F64:
    with np.errstate(divide="ignore"):
        found: F64 = -10 * np.log10(1 - values)
    return found


SIMILARITY_DECIBELS = Decibels("-10 log10(1 - x)", _distance_from_one)
"""How a similarity that is at most 1 becomes dB: near 1 the values of half the rates would fall together."""


def _usable() -> None:
    """Raise nothing: what the package itself installs is enough."""


@dataclass(frozen=True)
class Metric:
    """One metric. Its module is imported where only its labels are needed: `function` loads what is slow.

    `name` is that in suites and of the column in results; `label` and `short` are how axes and tables call
    it; `unit` is that of its values, "1" for none; `digits` are the decimals of a value that is shown.
    `function` takes two 8-bit RGB images of one shape and returns a finite number, or raises MetricUndefined.
    Whenever the number for any pair of images changes, `version` changes: results are kept per version.
    """

    name: str
    version: str
    unit: str
    summary: str
    label: str
    short: str
    function: Callable[[Image, Image], float]
    digits: int = 3
    better: Literal["higher", "lower"] = "higher"
    identical: float = float("inf")
    """The value of identical images; an infinite one is null in results, for the reason IDENTICAL."""
    decibels: Decibels | None = None
    """How values are compared; None: as they are, or where lower is better, with the sign turned."""
    has_mse: bool = False
    """Whether a value is 10 log10(constant / MSE), so that the MSE may be averaged instead of it."""
    in_steps: bool = False
    """Whether a value is a share of things found in the source: it falls in steps, and there may be none.

    1 is then no sign of a lossless picture, and `identical` not given.
    """
    in_figures: bool = False
    """Whether it is plotted, judged by the gate and compared with every anchor, unless others are named."""
    check: Callable[[], None] = _usable
    """Raises UsageError, with the remedy, where values cannot be computed here: a library or file is missing.

    Values that are in results already are shown and compared all the same.
    """

    def compute(self, reference: Image, decoded: Image) -> float:
        """Return the metric of two 8-bit RGB images of one shape, a finite number.

        Raises MetricUndefined where there is none.
        """
        return float(self.function(reference, decoded))

    def quality(self, values: F64) -> F64:
        """Return the values as curves have them, more is better: in dB if the metric has a dB form."""
        if self.decibels is not None:
            return self.decibels.apply(values)
        return values if self.better == "higher" else -values

    def lossless(self, values: F64) -> Bools:
        """Tell where a value is that of identical images."""
        found: Bools = values >= self.identical if self.better == "higher" else values <= self.identical
        return found

    @property
    def is_own_quality(self) -> bool:
        """Whether values are compared as they are."""
        return self.decibels is None and self.better == "higher"

    @property
    def value_unit(self) -> str:
        """The unit of values as it is written behind a number, "" for none."""
        return "" if self.unit == "1" else self.unit

    @property
    def quality_unit(self) -> str:
        """The unit of `quality` as it is written behind a number, "" for none."""
        return "dB" if self.decibels is not None else self.value_unit

    @property
    def in_decibels(self) -> bool:
        """Whether `quality` is in dB."""
        return self.quality_unit == "dB"

    @property
    def axis(self) -> str:
        """What an axis of qualities says: label and unit, with a minus sign where the sign is turned."""
        turned = "\u2212" if self.decibels is None and self.better == "lower" else ""
        return turned + self.label + (f" ({self.quality_unit})" if self.quality_unit else "")
