"""FLIP: the difference seen when two images alternate, by NVIDIA's library flip-evaluator."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import Image
from benchmark.metrics.base import Metric
from benchmark.metrics.libraries import requires, version_with

LIBRARY = "flip-evaluator"


def flip(reference: Image, decoded: Image) -> float:
    """Return the mean LDR-FLIP error, 0 to 1, of two 8-bit sRGB images of one shape.

    At 67 pixels per degree, the library's default: 0.7 m before a screen 0.7 m wide of 3840 pixels.
    """
    from flip_evaluator import nbflip

    images = [(image / 255).astype(np.float32) for image in (reference, decoded)]
    _, mean, _ = nbflip.evaluate(*images, False, True, False, True, {})
    return float(mean)


FLIP_RGB = Metric(
    name="flip_rgb",
    version=version_with("1", LIBRARY),
    unit="1",
    summary="LDR-FLIP at 67 pixels per degree (flip-evaluator); lower is better",
    label="FLIP RGB",
    short="FLIP",
    function=flip,
    digits=5,
    better="lower",
    identical=0.0,
    check=requires(LIBRARY),
)
"""Andersson et al., "FLIP: a difference evaluator for alternating images", Proc. ACM CGIT 3(2), 2020."""
