"""Measuring a decoded image: every metric that is asked for, or the reason why it has no value."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from benchmark.arrays import Image
from benchmark.errors import BenchError, CodecError
from benchmark.metrics import METRICS
from benchmark.metrics.base import Metric, MetricUndefined


def measure(
    reference: Image, decoded: Image, names: Iterable[str]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the value of each named metric, None where it is undefined, and the reasons of the latter.

    `reference` and `decoded` are 8-bit RGB, shape (height, width, 3). Raises UsageError for an unknown
    metric, CodecError if `decoded` is no image of the reference's shape: that is the codec's failure.
    BenchError if a metric fails, which is neither the codec's nor the image's.
    """
    if decoded.shape != reference.shape or decoded.dtype != np.uint8:
        raise CodecError(
            f"decoded image has shape {decoded.shape} and type {decoded.dtype}, "
            f"the reference {reference.shape} and {reference.dtype}"
        )
    values: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    for name in names:
        try:
            values[name] = _finite(METRICS.find(name), reference, decoded)
        except MetricUndefined as undefined:
            values[name], notes[name] = None, undefined.reason
    return values, notes


def _finite(metric: Metric, reference: Image, decoded: Image) -> float:
    try:
        value = metric.compute(reference, decoded)
    except BenchError:
        raise
    except Exception as error:  # it is perhaps a stranger's function
        raise BenchError(f"metric {metric.name!r} failed: {error!r}") from error
    if not math.isfinite(value):
        raise MetricUndefined(f"the metric gave {value}")
    return value
