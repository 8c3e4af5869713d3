"""SSIMULACRA2: how visible the errors of compression are, 100 for none.

Computed here, since the package of that name (0.3.0) is not the metric: it mirrors at the sides, uses an
ordinary Gaussian, and drops a scale of small images. On 64x64 edges it gives 68.6 where libjxl has 24.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.arrays import F64, Image
from benchmark.metrics import ssimulacra2_constants as c
from benchmark.metrics.base import Metric
from benchmark.metrics.libraries import check_side

MIN_SIDE_PIXELS = 8
_SIGMA = 1.5
_RADIUS = 5  # round(3.2795 sigma + 0.2546)


def ssimulacra2(reference: Image, decoded: Image) -> float:
    """Return the SSIMULACRA2 score, version 2.1, of two 8-bit RGB images of one shape, at most 100.

    Its author's scale: 90 visually lossless, 70 high quality, 50 medium, 30 low; strong errors are negative.
    In float64 (libjxl works in float32). Source: Sneyers, libjxl, tools/ssimulacra2.cc. Raises
    MetricUndefined if a side has fewer than MIN_SIDE_PIXELS.
    """
    check_side("SSIMULACRA2", reference, MIN_SIDE_PIXELS)
    if np.array_equal(reference, decoded):
        return 100.0
    pairs = zip(_scales(reference), _scales(decoded), strict=True)
    return _score(np.stack([_errors(one, other) for one, other in pairs], axis=1))


def _score(errors: F64) -> float:
    """Return the score of errors, shape (3 channels, scales, 2 norms, 3 kinds)."""
    # Where scales are missing, those of the next channel move up: so does libjxl.
    flat = errors.ravel()
    x = c.SCALE * float(flat @ c.WEIGHTS.ravel()[: flat.size])
    bent = sum(factor * x**power for power, factor in enumerate(c.POLYNOMIAL, start=1))
    return 100.0 - 10 * bent**c.EXPONENT if bent > 0 else 100.0


def _scales(image: Image) -> Iterator[F64]:
    """Yield XYB planes, shape (3, height, width), at full size and up to five times halved."""
    linear = _linear(image)
    for scale in range(c.SCALES):
        if min(linear.shape[1:]) < MIN_SIDE_PIXELS:
            return
        linear = _halve(linear) if scale else linear
        yield _xyb(linear)


def _linear(image: Image) -> F64:
    levels = np.arange(256) / 255
    table = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    found: F64 = table[image].transpose(2, 0, 1)
    return found


def _halve(planes: F64) -> F64:
    """Return the means of 2x2 samples; an odd last row or column counts twice."""
    _, height, width = planes.shape
    even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    found: F64 = even.reshape(3, even.shape[1] // 2, 2, even.shape[2] // 2, 2).mean((2, 4))
    return found


def _xyb(linear: F64) -> F64:
    """Return X, Y and B - Y of linear RGB, moved to be positive and of like range."""
    cones = np.tensordot(c.OPSIN, linear, 1) + c.OPSIN_BIAS
    long, medium, short = np.cbrt(np.maximum(cones, 0)) - np.cbrt(c.OPSIN_BIAS)
    x, y = (long - medium) / 2, (long + medium) / 2
    return np.stack([14 * x + 0.42, y + 0.01, short - y + 0.55])


def _errors(one: F64, other: F64) -> F64:
    """Return the errors of one scale, shape (3 channels, 2 norms, 3 kinds)."""
    mean_1, mean_2 = _blur(one), _blur(other)
    variances = _blur(one * one) - mean_1**2 + _blur(other * other) - mean_2**2
    covariance = _blur(one * other) - mean_1 * mean_2
    similar = (1 - (mean_1 - mean_2) ** 2) * (2 * covariance + c.C2) / (variances + c.C2)
    edges = (1 + np.abs(other - mean_2)) / (1 + np.abs(one - mean_1)) - 1
    kinds = np.maximum(np.stack([1 - similar, edges, -edges], axis=1), 0)
    return np.stack([kinds.mean((2, 3)), (kinds**4).mean((2, 3)) ** 0.25], axis=1)


def _blur(planes: F64) -> F64:
    """Return the planes under the window of `_window`, zero beyond the sides."""
    from scipy.ndimage import correlate1d

    window = _window()
    for axis in (1, 2):
        planes = correlate1d(planes, window, axis=axis, mode="constant")
    return planes


def _window() -> F64:
    """Return the taps of libjxl's blur: three cosines that stand for a Gaussian of sigma 1.5.

    Source: Charalampidis, "Recursive implementation of the Gaussian filter using truncated cosine functions",
    IEEE Trans. Signal Processing 64(14), 2016, equations 37 to 57; the recursion's response is this.
    """
    orders = np.array([1, 3, 5])
    signs, angles = np.array([1, -1, 1]), orders * np.pi / (2 * _RADIUS)
    sums = signs / np.tan(angles / 2)
    curvatures = signs * sums**2 / np.sin(angles)
    heights = np.exp(-(_SIGMA**2) * angles**2 / 2) / _RADIUS
    normal = np.cross(sums, curvatures) / np.cross(sums, curvatures)[2]
    system = np.stack([sums, curvatures, normal])
    amplitudes = np.linalg.solve(system, [1, _RADIUS**2 - _SIGMA**2, normal @ heights])
    found: F64 = amplitudes @ np.cos(np.outer(angles, np.arange(-_RADIUS, _RADIUS + 1)))
    return found


SSIMULACRA2 = Metric(
    name="ssimulacra2",
    version="1",
    unit="1",
    summary="SSIMULACRA2 2.1 score, at most 100, as libjxl",
    label="SSIMULACRA2",
    short="SSIMULACRA2",
    function=ssimulacra2,
    identical=100.0,
)
