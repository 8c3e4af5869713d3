"""Second implementations of metrics, from their papers, in NumPy: what the libraries are held against."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve
from scipy.signal import convolve2d

from benchmark.arrays import F64, Image

YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def gmsd(reference: Image, decoded: Image) -> float:
    """Xue et al. 2014: equations 1 to 6 on luma averaged over 2x2, T = 170. Even sides."""
    prewitt = np.array([[1.0, 0, -1]] * 3) / 3
    gradients = []
    for image in (reference, decoded):
        luma = halve(image @ YIQ[0])
        parts = [convolve(luma, kernel, mode="constant") for kernel in (prewitt, prewitt.T)]
        gradients.append(np.hypot(*parts))
    one, other = gradients
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    return float(similarity.std())


def vif(reference: Image, decoded: Image) -> float:
    """Sheikh and Bovik 2006, in the pixel domain: four scales, noise variance 2."""
    x, y = (image @ YIQ[0] for image in (reference, decoded))
    kept = total = 0.0
    for scale in range(4):
        taps = 2 ** (4 - scale) + 1
        at = np.arange(taps) - taps // 2
        window = np.exp(-(at**2) / (2 * (taps / 5) ** 2))
        kernel = np.outer(window, window) / window.sum() ** 2
        if scale:
            x, y = (convolve2d(plane, kernel, "valid")[::2, ::2] for plane in (x, y))
        mean_x, mean_y, xx, yy, xy = (convolve2d(p, kernel, "valid") for p in (x, y, x * x, y * y, x * y))
        var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
        gain = np.maximum(cov, 0) / (var_x + 1e-8)
        lost = np.where(cov < 0, var_y, var_y - gain * cov)
        kept += np.log10(1 + gain**2 * var_x / (np.maximum(lost, 1e-8) + 2)).sum()
        total += np.log10(1 + var_x / 2).sum()
    return kept / total


def haarpsi(reference: Image, decoded: Image) -> float:
    """Reisenhofer et al. 2018: C = 30, alpha = 4.2, on planes averaged over 2x2. Even sides."""
    ours, theirs = ([halve(image @ row) for row in YIQ] for image in (reference, decoded))
    locals_, weights = [], []
    for axis in (0, 1):
        one, other = ([haar(planes[0], scale, axis) for scale in (1, 2, 3)] for planes in (ours, theirs))
        weights.append(np.maximum(one[2], other[2]))
        locals_.append(np.mean([similar(one[i], other[i]) for i in (0, 1)], axis=0))
    colours = [similar(*(mean_of_four(planes[i]) for planes in (ours, theirs))) for i in (1, 2)]
    locals_.append(np.mean(colours, axis=0))
    weights.append(np.mean(weights, axis=0))
    pooled = sum((w / (1 + np.exp(-4.2 * s))).sum() for w, s in zip(weights, locals_, strict=True))
    share = pooled / np.sum(weights)
    return float((np.log(share / (1 - share)) / 4.2) ** 2)


def similar(one: F64, other: F64) -> F64:
    found: F64 = (2 * one * other + 30) / (one**2 + other**2 + 30)
    return found


def haar(plane: F64, scale: int, axis: int) -> F64:
    taps = 2**scale
    kernel = np.full((taps, taps), 2.0**-scale)
    kernel[taps // 2 :] *= -1
    found: F64 = np.abs(convolve2d(plane, kernel if axis == 0 else kernel.T, "full"))
    begin = taps // 2
    return found[begin : begin + plane.shape[0], begin : begin + plane.shape[1]]


def mean_of_four(plane: F64) -> F64:
    found: F64 = np.abs(convolve2d(plane, np.full((2, 2), 0.25), "full")[1:, 1:])
    return found


def halve(plane: F64) -> F64:
    height, width = plane.shape
    found: F64 = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return found
