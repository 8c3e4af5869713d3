"""CIEDE2000: the mean colour difference of two images, by scikit-image."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import F64, Image
from benchmark.metrics.base import Metric
from benchmark.metrics.libraries import version_with

LIBRARY = "scikit-image"


def ciede2000(reference: Image, decoded: Image) -> float:
    """Return the mean over pixels of the CIEDE2000 difference of two 8-bit sRGB images, at least 0.

    White D65, 2 degrees; kL = kC = kH = 1. A difference of about 1 is just visible. Source: Sharma, Wu and
    Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005.
    """
    from skimage.color import rgb2lab

    return float(np.mean(difference(rgb2lab(reference), rgb2lab(decoded))))


def difference(one: F64, other: F64) -> F64:
    """Return the CIEDE2000 differences, shape [...], of colours L*, a*, b*, shape [..., 3]."""
    from skimage.color import deltaE_ciede2000

    found: F64 = deltaE_ciede2000(one, other)  # type: ignore[no-untyped-call]
    return found


CIEDE2000 = Metric(
    name="ciede2000",
    version=version_with("1", LIBRARY),
    unit="ΔE",
    summary="mean CIEDE2000 colour difference (scikit-image); lower is better",
    label="CIEDE2000",
    short="CIEDE2000",
    function=ciede2000,
    better="lower",
    identical=0.0,
)
