"""Multi-scale structural similarity: the number of pytorch-msssim, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from benchmark.arrays import F64, Image
from benchmark.metrics.base import SIMILARITY_DECIBELS, Metric, MetricUndefined

Plane = F64
Level = tuple[Plane, Plane, Plane]
"""One scale of a reference plane: the samples, their local means, their local variances."""

TAPS = 11
_SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003, section 3.2
_SCALES = len(_SCALE_EXPONENTS)
MIN_SIDE_PIXELS = (TAPS - 1) * 2 ** (_SCALES - 1) + 1

_MAX_CACHED_PIXELS = 2_000_000
"""Reference images up to this size are kept prepared: about 100 bytes a pixel, 200 MB."""

_cached: tuple[bytes, list[list[Level]]] | None = None


def ms_ssim_rgb(reference: Image, decoded: Image) -> float:
    """Return the MS-SSIM of two 8-bit RGB images of one shape: mean of the three channels, at most 1.

    Five scales, 11-tap Gaussian window of sigma 1.5, K = (0.01, 0.03), peak 255; between scales 2x2 means,
    with a zero row or column before an odd side, as pytorch-msssim pads. All in float64. Source: Wang,
    Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", Asilomar 2003.

    The last reference is kept prepared, by content, so that many decoded images of one reference are measured
    in two thirds of the time. Raises MetricUndefined if a side has fewer than MIN_SIDE_PIXELS.
    """
    if (side := min(reference.shape[:2])) < MIN_SIDE_PIXELS:
        raise MetricUndefined(f"MS-SSIM needs {MIN_SIDE_PIXELS} pixels on the short side, here are {side}")
    if np.array_equal(reference, decoded):
        return 1.0  # by definition, and exactly: -10 log10(1 - x) must not make a number of rounding errors
    planes = zip(_prepared_planes(reference), _planes(decoded), strict=True)
    return min(1.0, float(np.mean([_plane_ms_ssim(levels, plane) for levels, plane in planes])))


def _prepared_planes(reference: Image) -> Iterable[Iterable[Level]]:
    """Return the levels of each channel of the reference, from the last call if it was for the same image."""
    global _cached  # noqa: PLW0603 (one slot a process; a stale read costs time, never a wrong number)
    if reference.shape[0] * reference.shape[1] > _MAX_CACHED_PIXELS:
        return map(_levels, _planes(reference))  # level by level, to bound the memory
    key = hashlib.sha256(repr(reference.shape).encode() + np.ascontiguousarray(reference).tobytes()).digest()
    cached = _cached
    if cached is None or cached[0] != key:
        _cached = cached = (key, [list(_levels(plane)) for plane in _planes(reference)])
    return cached[1]


def _planes(image: Image) -> Iterator[Plane]:
    return (np.ascontiguousarray(image[..., channel], dtype=np.float64) for channel in range(3))


def _levels(plane: Plane) -> Iterator[Level]:
    from benchmark.metrics.ms_ssim_kernels import halve, local_moments  # compiled: loaded at the first use

    for scale in range(_SCALES):
        plane = halve(plane) if scale else plane
        yield plane, *local_moments(plane)


def _plane_ms_ssim(levels: Iterable[Level], decoded: Plane) -> float:
    """Return the product over scales of the mean contrast-structure term, at the last scale of SSIM."""
    from benchmark.metrics.ms_ssim_kernels import halve, mean_similarity

    product = 1.0
    for scale, (reference, means, variances) in enumerate(levels):
        decoded = halve(decoded) if scale else decoded
        contrast, ssim = mean_similarity(reference, means, variances, decoded)
        mean = ssim if scale == _SCALES - 1 else contrast
        product *= max(mean, 0.0) ** _SCALE_EXPONENTS[scale]
    return product


MS_SSIM_RGB = Metric(
    name="ms_ssim_rgb",
    version="1",
    unit="1",
    summary="MS-SSIM, mean of the three 8-bit RGB channels, as pytorch-msssim",
    label="MS-SSIM RGB",
    short="MS-SSIM",
    function=ms_ssim_rgb,
    digits=5,
    identical=1.0,
    decibels=SIMILARITY_DECIBELS,
    in_figures=True,
)
