"""Similarity indices that the library piq computes, in float64 and one thread: on any machine the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.arrays import Image
from benchmark.environment import torch_threads
from benchmark.metrics.base import SIMILARITY_DECIBELS, Metric, MetricUndefined
from benchmark.metrics.libraries import as_tensor, check_side, requires, version_with
from benchmark.torchvision_stub import make_compressai_importable

LIBRARY = "piq"
_VERSION = version_with("1", LIBRARY)


def _index(
    function: str, short: str, *, identical: float, min_side: int = 2
) -> Callable[[Image, Image], float]:
    """Return a function of piq as one of two 8-bit RGB images, with the exact value of identical images.

    It raises MetricUndefined for images with fewer than `min_side` pixels on a side, and for those whose
    content is too little to weight by (flat ones, in IW-SSIM).
    """

    def measured(reference: Image, decoded: Image) -> float:
        check_side(short, reference, min_side)
        if np.array_equal(reference, decoded):
            return identical
        make_compressai_importable()  # piq imports torchvision as compressai does
        import piq
        import torch

        with torch_threads(1):
            try:
                found = getattr(piq, function)(as_tensor(decoded), as_tensor(reference), data_range=255)
            except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
                raise MetricUndefined(f"{short}: the image has too little content: {error}") from error
        return float(found)

    return measured


def _at_most_one(function: Callable[[Image, Image], float]) -> Callable[[Image, Image], float]:
    """Return the function without rounding errors above 1, which is its maximum."""
    return lambda reference, decoded: min(1.0, function(reference, decoded))


FSIM_RGB = Metric(
    name="fsim_rgb",
    version=_VERSION,
    unit="1",
    summary="FSIMc: phase congruency, gradient and colour similarity (piq)",
    label="FSIMc RGB",
    short="FSIMc",
    function=_at_most_one(_index("fsim", "FSIMc", identical=1.0)),
    digits=5,
    identical=1.0,
    decibels=SIMILARITY_DECIBELS,
    check=requires(LIBRARY),
)
"""Zhang, Zhang, Mou and Zhang, "FSIM: a feature similarity index", IEEE Trans. Image Proc. 20(8), 2011."""

VIF_Y = Metric(
    name="vif_y",
    version=_VERSION,
    unit="1",
    summary="VIF in the pixel domain, of BT.601 luma (piq)",
    label="VIF Y",
    short="VIF",
    function=_index("vif_p", "VIF", identical=1.0, min_side=41),
    digits=5,
    identical=1.0,
    check=requires(LIBRARY),
)
"""Sheikh and Bovik, "Image information and visual quality", IEEE Trans. Image Processing 15(2), 2006.

An information ratio, not a similarity: compared as it is.
"""

GMSD_Y = Metric(
    name="gmsd_y",
    version=_VERSION,
    unit="1",
    summary="GMSD: deviation of the gradient magnitude similarity, of luma (piq); lower is better",
    label="GMSD Y",
    short="GMSD",
    function=_index("gmsd", "GMSD", identical=0.0),
    digits=5,
    better="lower",
    identical=0.0,
    check=requires(LIBRARY),
)
"""Xue, Zhang, Mou and Bovik, "Gradient magnitude similarity deviation", IEEE Trans. IP 23(2), 2014."""

HAARPSI_RGB = Metric(
    name="haarpsi_rgb",
    version=_VERSION,
    unit="1",
    summary="HaarPSI: similarity of Haar wavelet coefficients and colour (piq)",
    label="HaarPSI RGB",
    short="HaarPSI",
    function=_at_most_one(_index("haarpsi", "HaarPSI", identical=1.0, min_side=16)),
    digits=5,
    identical=1.0,
    decibels=SIMILARITY_DECIBELS,
    check=requires(LIBRARY),
)
"""Reisenhofer et al., "A Haar wavelet-based perceptual similarity index", Signal Proc. IC 61, 2018."""

IW_SSIM_Y = Metric(
    name="iw_ssim_y",
    version=_VERSION,
    unit="1",
    summary="IW-SSIM: multi-scale SSIM weighted by information content, of luma (piq)",
    label="IW-SSIM Y",
    short="IW-SSIM",
    function=_at_most_one(_index("information_weighted_ssim", "IW-SSIM", identical=1.0, min_side=161)),
    digits=5,
    identical=1.0,
    decibels=SIMILARITY_DECIBELS,
    check=requires(LIBRARY),
)
"""Wang and Li, "Information content weighting", IEEE Trans. Image Processing 20(5), 2011."""
