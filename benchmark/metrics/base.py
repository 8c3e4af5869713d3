"""Metrics: a reference and a decoded image become one number each, with a version and a unit."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from benchmark.arrays import Image
from benchmark.errors import BenchError, CodecError, UsageError, did_you_mean

IDENTICAL = "identical images"
"""How the reason of a PSNR that is null begins where the decoded image equals the original: lossless."""


class MetricUndefined(BenchError):  # noqa: N818 (an outcome with a definition: recorded as null and a reason)
    """The metric has no finite value for these images; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Metric:
    """One line of the registry.

    `target` is "module:function", imported on first use. Whenever the number for any pair of images changes,
    `version` changes: stored results are kept per version.
    """

    name: str
    version: str
    unit: str
    summary: str
    target: str

    def compute(self, reference: Image, decoded: Image) -> float:
        """Return the metric of two 8-bit RGB images of one shape, a finite number.

        Raises MetricUndefined where there is none.
        """
        module_name, function_name = self.target.split(":")
        value: float = getattr(importlib.import_module(module_name), function_name)(reference, decoded)
        return value


_ALL = (
    Metric(
        "psnr_rgb",
        "1",
        "dB",
        "PSNR over all samples of the three 8-bit RGB channels",
        "benchmark.metrics.psnr:psnr_rgb",
    ),
    Metric(
        "ms_ssim_rgb",
        "1",
        "1",
        "MS-SSIM, mean of the three 8-bit RGB channels, as pytorch-msssim",
        "benchmark.metrics.ms_ssim:ms_ssim_rgb",
    ),
    Metric(
        "psnr_y", "1", "dB", "PSNR of BT.709 full-range luma, not rounded", "benchmark.metrics.psnr:psnr_y"
    ),
    Metric(
        "psnr_yuv",
        "1",
        "dB",
        "(6 Y' + Cb + Cr) / 8 of the planes' PSNRs, BT.709 full range, not rounded",
        "benchmark.metrics.psnr:psnr_yuv",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


def find_metric(name: str) -> Metric:
    """Return the metric `name`. Raises UsageError, with near names, if there is none."""
    if name not in METRICS:
        raise UsageError(f"unknown metric {name!r}; {did_you_mean(name, METRICS)}")
    return METRICS[name]


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
