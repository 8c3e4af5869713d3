"""Peak signal-to-noise ratios of 8-bit RGB images, exact: all of them follow from six integer sums."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np

from benchmark.arrays import Image
from benchmark.metrics.base import IDENTICAL, Metric, MetricUndefined

# Differences of BT.709 full-range planes as integer combinations of the RGB differences, over a divisor:
# Y' = 0.2126 R + 0.7152 G + 0.0722 B, Cb = (B - Y') / 1.8556, Cr = (R - Y') / 1.5748.
# Source: ITU-R BT.709-6, item 3.
_PLANES = MappingProxyType(
    {
        "Y'": ((2126, 7152, 722), 10000),
        "Cb": ((-2126, -7152, 9278), 18556),
        "Cr": ((7874, -7152, -722), 15748),
    }
)

_Sums = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


def psnr_rgb(reference: Image, decoded: Image) -> float:
    """Return the PSNR in dB over all samples of the three channels, peak 255.

    Raises MetricUndefined for identical images, as all PSNRs here: an infinite number fits no average.
    """
    sums = _difference_products(reference, decoded)
    return _psnr_db(sums[0][0] + sums[1][1] + sums[2][2], reference.size)


def psnr_y(reference: Image, decoded: Image) -> float:
    """Return the PSNR in dB of the BT.709 full-range luma of both images, not rounded, peak 255.

    Raises MetricUndefined for identical luma.
    """
    return _plane_psnr_db("Y'", _difference_products(reference, decoded), reference.size // 3)


def psnr_yuv(reference: Image, decoded: Image) -> float:
    """Return (6 PSNR_Y' + PSNR_Cb + PSNR_Cr) / 8 in dB of the BT.709 full-range planes, not rounded.

    The peak is 255. Raises MetricUndefined if any of the planes is identical. The weights are those of Ohm et
    al., "Comparison of the coding efficiency of video coding standards", IEEE Trans. CSVT 22(12), 2012.
    """
    sums, pixels = _difference_products(reference, decoded), reference.size // 3
    y, cb, cr = (_plane_psnr_db(plane, sums, pixels) for plane in _PLANES)
    return (6 * y + cb + cr) / 8


def _plane_psnr_db(plane: str, sums: _Sums, pixels: int) -> float:
    weights, divisor = _PLANES[plane]
    squares = sum(sums[i][j] * weights[i] * weights[j] for i in range(3) for j in range(3))
    if squares == 0 and any(sums[i][i] for i in range(3)):
        raise MetricUndefined(f"identical {plane} planes: their PSNR is infinite")
    return _psnr_db(squares, pixels * divisor**2)


def _psnr_db(squared_error_sum: int, samples: int) -> float:
    if squared_error_sum == 0:
        raise MetricUndefined(f"{IDENTICAL}: PSNR is infinite")
    return 10 * math.log10(255**2 * samples / squared_error_sum)


def _difference_products(reference: Image, decoded: Image) -> _Sums:
    """Return the sums over all pixels of d_i d_j, d the differences in R, G and B: exact, symmetric.

    Any PSNR of planes that are linear in RGB follows from these, without a rounded plane on the way. They are
    Python integers, as products with the weights pass 64 bits for large images and 0 must stay exactly 0.
    """
    from benchmark.metrics.psnr_kernel import sum_products  # compiled: loaded where something is measured

    pairs = (np.ascontiguousarray(image).reshape(-1, 3) for image in (reference, decoded))
    rr, gg, bb, rg, rb, gb = map(int, sum_products(*pairs))
    return (rr, rg, rb), (rg, gg, gb), (rb, gb, bb)


PSNR_RGB = Metric(
    name="psnr_rgb",
    version="1",
    unit="dB",
    summary="PSNR over all samples of the three 8-bit RGB channels",
    label="PSNR RGB",
    short="PSNR",
    function=psnr_rgb,
    has_mse=True,
    in_figures=True,
)
PSNR_Y = Metric(
    name="psnr_y",
    version="1",
    unit="dB",
    summary="PSNR of BT.709 full-range luma, not rounded",
    label="PSNR Y",
    short="PSNR-Y",
    function=psnr_y,
    has_mse=True,
)
PSNR_YUV = Metric(
    name="psnr_yuv",
    version="1",
    unit="dB",
    summary="(6 Y' + Cb + Cr) / 8 of the planes' PSNRs, BT.709 full range, not rounded",
    label="PSNR YUV 6:1:1",
    short="PSNR-YUV",
    function=psnr_yuv,
    has_mse=True,
)
