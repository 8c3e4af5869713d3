"""VMAF of one image pair: Netflix's model v0.6.1 without motion, computed by the library vmaf-torch."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import Image
from benchmark.environment import torch_threads
from benchmark.metrics.base import IDENTICAL, Metric, MetricUndefined
from benchmark.metrics.libraries import check_side, requires, version_with

LIBRARY = "vmaf-torch"
_LUMA = np.array([65.481, 128.553, 24.966]) / 255
_MIN_SIDE = 64
"""Below it the coarsest scales of its features have no samples inside their borders."""


def vmaf(reference: Image, decoded: Image) -> float:
    """Return VMAF, 0 to 100, of the luma of two 8-bit RGB images of one shape.

    The model is vmaf_v0.6.1 of Netflix for 1080p, with motion 0, as for a still video, and its score clipped
    to 0 to 100 as its program does; luma is BT.601's, 16 to 235 in whole numbers, as ffmpeg gives it to the
    program. The model gives identical images about 97.4, no upper bound of what others get: MetricUndefined
    is raised for them, and for images with fewer than 64 pixels on a side.
    """
    if np.array_equal(reference, decoded):
        raise MetricUndefined(IDENTICAL)
    check_side("VMAF", reference, _MIN_SIDE)
    import torch
    from vmaf_torch import VMAF

    planes = [torch.from_numpy(_luma(image))[None, None] for image in (reference, decoded)]
    with torch_threads(1), torch.no_grad():
        model = VMAF(enable_motion=False, clip_score=True).double()
        return float(model(*planes))


def _luma(image: Image) -> np.typing.NDArray[np.float64]:
    luma: np.typing.NDArray[np.float64] = np.rint(image @ _LUMA + 16)
    return luma


VMAF_Y = Metric(
    name="vmaf_y",
    version=version_with("1", LIBRARY),
    unit="1",
    summary="VMAF v0.6.1 of a still image, of BT.601 luma (vmaf-torch)",
    label="VMAF Y",
    short="VMAF",
    function=vmaf,
    digits=2,
    check=requires(LIBRARY),
)
"""Li et al., "Toward a practical perceptual video quality metric", Netflix, 2016."""
