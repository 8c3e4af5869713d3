"""The compiled loops of MS-SSIM: planes [H, W] of float64."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import F64
from benchmark.jit import compile_kernel

# The Gaussian of sigma 1.5 as pytorch-msssim 1.0.0 has it, rounded to float32. Its sum is 3e-8 short of 1,
# which shifts variances by up to 0.002: with another rounding, MS-SSIM differs by some 1e-6.
_W = (
    0.0010283803567290306,
    0.0075987582094967365,
    0.036000773310661316,
    0.10936068743467331,
    0.21300552785396576,
    0.26601171493530273,
    0.21300552785396576,
    0.10936068743467331,
    0.036000773310661316,
    0.0075987582094967365,
    0.0010283803567290306,
)
_TAPS = len(_W)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

# The kernels are kept small, with few arrays each: LLVM gives up vectorizing a loop over many of them.
_kernel = compile_kernel(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


@_kernel
def halve(plane: F64) -> F64:
    """Return 2x2 means [ceil(H/2), ceil(W/2)] of a plane [H, W], a zero before the first of an odd side."""
    height, width = plane.shape
    odd_rows, odd_columns = height % 2, width % 2
    half = np.empty(((height + 1) // 2, (width + 1) // 2))
    for i in range(half.shape[0]):
        row = 2 * i - odd_rows
        for j in range(half.shape[1]):
            column = 2 * j - odd_columns
            total = plane[row + 1, column + 1]
            if row >= 0:
                total += plane[row, column + 1]
            if column >= 0:
                total += plane[row + 1, column]
            if row >= 0 and column >= 0:
                total += plane[row, column]
            half[i, j] = 0.25 * total
    return half


@_kernel
def _blur_columns(plane: F64, top: int, mean: F64, mean_square: F64) -> None:
    """Filter rows top..top+10 of `plane` and of its square vertically into two rows."""
    for j in range(plane.shape[1]):
        total, square = 0.0, 0.0
        for k in range(_TAPS):
            weighted = _W[k] * plane[top + k, j]
            total += weighted
            square += weighted * plane[top + k, j]
        mean[j], mean_square[j] = total, square


@_kernel
def _blur_product_columns(a: F64, b: F64, top: int, mean_product: F64) -> None:
    """Filter rows top..top+10 of the product of two planes vertically into one row."""
    for j in range(a.shape[1]):
        total = 0.0
        for k in range(_TAPS):
            total += _W[k] * a[top + k, j] * b[top + k, j]
        mean_product[j] = total


@_kernel
def _blur_row(row: F64, out: F64) -> None:
    """Filter a row horizontally; `out` is 10 samples shorter."""
    for j in range(out.size):
        total = 0.0
        for k in range(_TAPS):
            total += _W[k] * row[j + k]
        out[j] = total


@_kernel
def local_moments(plane: F64) -> tuple[F64, F64]:
    """Return the local means and variances, [H - 10, W - 10], of a plane [H, W]."""
    height, width = plane.shape[0] - _TAPS + 1, plane.shape[1] - _TAPS + 1
    means, variances = np.empty((height, width)), np.empty((height, width))
    column_mean, column_square = np.empty(plane.shape[1]), np.empty(plane.shape[1])
    for i in range(height):
        _blur_columns(plane, i, column_mean, column_square)
        _blur_row(column_mean, means[i])
        _blur_row(column_square, variances[i])
        for j in range(width):
            variances[i, j] -= means[i, j] ** 2
    return means, variances


@_kernel
def mean_similarity(a: F64, a_means: F64, a_variances: F64, b: F64) -> tuple[float, float]:
    """Return the means over a plane of the contrast-structure term and of SSIM."""
    height, width = a_means.shape
    columns = np.empty((3, a.shape[1]))
    rows = np.empty((3, width))
    contrast_total, ssim_total = 0.0, 0.0
    for i in range(height):
        _blur_columns(b, i, columns[0], columns[1])
        _blur_product_columns(a, b, i, columns[2])
        for k in range(3):
            _blur_row(columns[k], rows[k])
        contrast, ssim = _sum_similarity(a_means[i], a_variances[i], rows[0], rows[1], rows[2])
        contrast_total += contrast
        ssim_total += ssim
    return contrast_total / (height * width), ssim_total / (height * width)


@_kernel
def _sum_similarity(
    a_mean: F64, a_variance: F64, b_mean: F64, b_mean_square: F64, mean_product: F64
) -> tuple[float, float]:
    """Return the sums over a row of the contrast-structure term and of SSIM."""
    contrast_total, ssim_total = 0.0, 0.0
    for j in range(a_mean.size):
        product, b_square = a_mean[j] * b_mean[j], b_mean[j] ** 2
        covariance = mean_product[j] - product
        contrast = (2 * covariance + _C2) / (a_variance[j] + b_mean_square[j] - b_square + _C2)
        contrast_total += contrast
        ssim_total += contrast * (2 * product + _C1) / (a_mean[j] ** 2 + b_square + _C1)
    return contrast_total, ssim_total
