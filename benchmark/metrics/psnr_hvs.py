"""PSNR-HVS and PSNR-HVS-M of luma, by the library psnr_hvsm: DCT errors as the eye sees them."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable

import numpy as np

from benchmark.arrays import F64, Image
from benchmark.metrics.base import IDENTICAL, Metric, MetricUndefined
from benchmark.metrics.libraries import requires, version_with

LIBRARY = "psnr_hvsm"
_VERSION = version_with("1", LIBRARY)
_BLOCK = 8


def psnr_hvs(reference: Image, decoded: Image) -> float:
    """Return PSNR-HVS in dB of two 8-bit RGB images of one shape: with the eye's contrast sensitivity.

    Of BT.601 luma of 16 to 235, rounded, as the authors' values are; sides that are no multiple of 8 are
    continued by their last row and column. Source: Egiazarian et al., "New full-reference quality metrics
    based on HVS", VPQM 2006. Raises MetricUndefined where the error is zero, as in identical images.
    """
    return _decibels("PSNR-HVS", _errors(reference, decoded)[0], reference, decoded)


def psnr_hvs_m(reference: Image, decoded: Image) -> float:
    """Return PSNR-HVS-M in dB (see `psnr_hvs`): what contrast masks costs nothing.

    Source: Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions", VPQM 2007.
    """
    return _decibels("PSNR-HVS-M", _errors(reference, decoded)[1], reference, decoded)


def _errors(reference: Image, decoded: Image) -> tuple[float, float]:
    """Return the mean squared errors of the two metrics, of samples from 0 to 1."""
    with contextlib.redirect_stdout(io.StringIO()):  # at import, it prints how to get its torch backend
        from psnr_hvsm.numpy import bt601ycbcr, hvs_hvsm_mse

    with np.errstate(invalid="ignore", divide="ignore"):  # of flat blocks, which it then leaves out
        hvs, hvs_m = hvs_hvsm_mse(*(_whole_blocks(bt601ycbcr(image)[0]) for image in (reference, decoded)))
    return float(hvs), float(hvs_m)


def _whole_blocks(luma: F64) -> F64:
    height, width = luma.shape
    return np.pad(luma, ((0, -height % _BLOCK), (0, -width % _BLOCK)), mode="edge")


def _decibels(what: str, error: float, reference: Image, decoded: Image) -> float:
    if error == 0:
        why = IDENTICAL if np.array_equal(reference, decoded) else "no visible difference of luma"
        raise MetricUndefined(f"{why}: {what} is infinite")
    return -10 * math.log10(error)


def _metric(name: str, short: str, summary: str, function: Callable[[Image, Image], float]) -> Metric:
    return Metric(
        name=name,
        version=_VERSION,
        unit="dB",
        summary=summary,
        label=f"{short} Y",
        short=short,
        function=function,
        has_mse=True,
        check=requires(LIBRARY),
    )


PSNR_HVS_Y = _metric(
    "psnr_hvs_y", "PSNR-HVS", "PSNR-HVS of BT.601 luma, contrast sensitivity (psnr_hvsm)", psnr_hvs
)
PSNR_HVS_M_Y = _metric(
    "psnr_hvs_m_y", "PSNR-HVS-M", "PSNR-HVS-M of BT.601 luma, with masking (psnr_hvsm)", psnr_hvs_m
)
