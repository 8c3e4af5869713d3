"""Metrics: a reference and a decoded image become one number each, with a version and a unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmark.codecs.base import Image
from benchmark.errors import CodecError, UsageError, did_you_mean

IDENTICAL = "identical images: PSNR is infinite"


class MetricUndefined(Exception):  # noqa: N818 (no error: a defined outcome, recorded as null with its reason)
    """The metric has no finite value for these images; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Metric:
    """One metric.

    `compute(reference, decoded)` takes two 8-bit RGB images of one shape and returns a finite number, or
    raises MetricUndefined. Whenever the number for any pair of images changes, `version` changes.
    """

    name: str
    version: str
    unit: str
    summary: str
    compute: Callable[[Image, Image], float]


def measure(
    reference: Image, decoded: Image, names: Iterable[str]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the value of each named metric, None where it is undefined, and the reasons of the latter.

    `reference` and `decoded` are 8-bit RGB, shape (height, width, 3). Raises UsageError for an unknown
    metric, CodecError if `decoded` is no image of the reference's shape: that is the codec's failure.
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
            values[name] = find_metric(name).compute(reference, decoded)
        except MetricUndefined as undefined:
            values[name], notes[name] = None, undefined.reason
    return values, notes


def find_metric(name: str) -> Metric:
    """Return the metric `name`. Raises UsageError, with near names, if there is none."""
    if name not in METRICS:
        raise UsageError(f"unknown metric {name!r}; {did_you_mean(name, METRICS)}")
    return METRICS[name]


# Differences of BT.709 full-range planes as integer combinations of the RGB differences, over a divisor:
# Y' = 0.2126 R + 0.7152 G + 0.0722 B, Cb = (B - Y') / 1.8556, Cr = (R - Y') / 1.5748.
_PLANES = MappingProxyType(
    {
        "Y'": ((2126, 7152, 722), 10000),
        "Cb": ((-2126, -7152, 9278), 18556),
        "Cr": ((7874, -7152, -722), 15748),
    }
)


def _psnr_rgb(reference: Image, decoded: Image) -> float:
    """PSNR over all samples of the three channels, peak 255."""
    return _psnr_db(int(np.trace(_difference_moments(reference, decoded))), reference.size)


def _psnr_y(reference: Image, decoded: Image) -> float:
    """PSNR of the unrounded BT.709 full-range luma of both images, peak 255."""
    return _plane_psnr_db("Y'", _difference_moments(reference, decoded), reference.size // 3)


def _psnr_yuv(reference: Image, decoded: Image) -> float:
    """(6 PSNR_Y' + PSNR_Cb + PSNR_Cr) / 8 of the unrounded BT.709 full-range planes, peak 255.

    The weights are the ones of Ohm et al., "Comparison of the coding efficiency of video coding standards",
    IEEE Trans. CSVT 22(12), 2012.
    """
    moments, pixels = _difference_moments(reference, decoded), reference.size // 3
    y, cb, cr = (_plane_psnr_db(plane, moments, pixels) for plane in _PLANES)
    return (6 * y + cb + cr) / 8


def _difference_moments(reference: Image, decoded: Image) -> NDArray[np.int64]:
    """Return D^T D, shape (3, 3), of the differences D of all pixels, exact.

    Every PSNR of planes that are linear in RGB follows from these six sums; no plane is rounded on the way.
    """
    difference = (reference.astype(np.float64) - decoded).reshape(-1, 3)
    return np.asarray(
        difference.T @ difference, dtype=np.int64
    )  # float64 sums of integers below 2**53 are exact


def _plane_psnr_db(plane: str, moments: NDArray[np.int64], pixels: int) -> float:
    weights, divisor = _PLANES[plane]
    # Python integers: the products exceed 64 bits for large images, and 0 must stay exactly 0.
    squares = sum(int(moments[i, j]) * weights[i] * weights[j] for i in range(3) for j in range(3))
    if squares == 0 and moments.any():
        raise MetricUndefined(f"identical {plane} planes: their PSNR is infinite")
    return _psnr_db(squares, pixels * divisor**2)


def _psnr_db(squared_error_sum: int, samples: int) -> float:
    if squared_error_sum == 0:
        raise MetricUndefined(IDENTICAL)
    return 10 * math.log10(255**2 * samples / squared_error_sum)


_ALL = (
    Metric("psnr_rgb", "1", "dB", "PSNR over the three 8-bit RGB channels together", _psnr_rgb),
    Metric("psnr_y", "1", "dB", "PSNR of BT.709 full-range luma, unrounded", _psnr_y),
    Metric("psnr_yuv", "1", "dB", "(6 Y' + Cb + Cr) / 8 of the planes' PSNRs, BT.709 full range", _psnr_yuv),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
