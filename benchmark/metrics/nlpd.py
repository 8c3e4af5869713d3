"""NLPD: the distance of two images after local means and contrasts are taken out of them, as the eye does.

Computed here: of the maintained libraries plenoptic has another low-pass filter than the authors' program,
3 % of the value, and pyiqa, whose numbers these are, may not be used commercially.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from benchmark.arrays import F64, Image
from benchmark.metrics.base import Metric

_LOW_PASS = np.array([0.05, 0.25, 0.4, 0.25, 0.05])

# By scale: what the magnitudes above, left, right and below a sample add to its divisor, and the constant in
# that; fitted by the authors to photographs.
_SCALES = (
    (0.1011, 0.1493, 0.1460, 0.1015, 0.0248),
    (0.0757, 0.1986, 0.1846, 0.0837, 0.0185),
    (0.0477, 0.2138, 0.2243, 0.0467, 0.0179),
    (0, 0.2503, 0.2616, 0, 0.0191),
    (0, 0.2598, 0.2552, 0, 0.0220),
    (0, 0.2215, 0.0717, 0, 0.2782),
)


def nlpd(reference: Image, decoded: Image) -> float:
    """Return the NLPD of the BT.601 luma of two 8-bit RGB images of one shape, at least 0.

    The mean over six scales of the root mean squared differences: the number of pyiqa. (plenoptic's list of
    constants has a further weight, of .0072 two samples away in the finest band.) Source: Laparra, Ballé,
    Berardino and Simoncelli, "Perceptual image quality assessment using a normalized Laplacian pyramid", HVEI
    2016, with filters and constants of the authors' program NLP_dist.m.
    """
    pairs = zip(_normalized(reference), _normalized(decoded), strict=True)
    return float(np.mean([np.sqrt(np.mean((one - other) ** 2)) for one, other in pairs]))


def _normalized(image: Image) -> Iterator[F64]:
    """Yield the bands of the pyramid, fine to coarse, each over its local magnitude; the last is low-pass."""
    plane: F64 = image @ np.array([0.299, 0.587, 0.114]) / 255
    for above, left, right, below, constant in _SCALES[:-1]:
        low = _down(plane)
        band = plane - _up(low, plane.shape)
        yield band / (constant + _around(np.abs(band), above, left, right, below))
        plane = low
    above, left, right, below, constant = _SCALES[-1]
    yield plane / (constant + _around(np.abs(plane), above, left, right, below))


def _around(plane: F64, *weights: float) -> F64:
    """Return weighted sums of the four neighbours, zero beyond the sides.

    The weights are written as the program has them, whose convolution turns them round.
    """
    below, right, left, above = weights
    padded = np.pad(plane, 1)
    vertical = above * padded[:-2, 1:-1] + below * padded[2:, 1:-1]
    found: F64 = vertical + left * padded[1:-1, :-2] + right * padded[1:-1, 2:]
    return found


def _down(plane: F64) -> F64:
    return _filtered(plane, "reflect")[::2, ::2]


def _up(low: F64, shape: tuple[int, ...]) -> F64:
    """Return the low band between zeros, filtered; its own sides continued, zero beyond that."""
    low = np.pad(low, 1, mode="edge")
    spread = np.zeros((2 * low.shape[0], 2 * low.shape[1]))
    spread[::2, ::2] = 4 * low
    return _filtered(spread, "constant")[2 : 2 + shape[0], 2 : 2 + shape[1]]


def _filtered(plane: F64, sides: Literal["reflect", "constant"]) -> F64:
    from scipy.ndimage import correlate1d

    found: F64 = correlate1d(correlate1d(plane, _LOW_PASS, axis=0, mode=sides), _LOW_PASS, axis=1, mode=sides)
    return found


NLPD_Y = Metric(
    name="nlpd_y",
    version="1",
    unit="1",
    summary="normalized Laplacian pyramid distance of BT.601 luma; lower is better",
    label="NLPD Y",
    short="NLPD",
    function=nlpd,
    digits=5,
    better="lower",
    identical=0.0,
)
