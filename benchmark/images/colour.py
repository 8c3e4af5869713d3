"""The colour planes: the only place that converts between RGB and luma and chroma."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import F64, U16, Image

# ITU-R BT.709-6, table 3, times 10000: whole numbers, so that a grey has exactly no chroma in floating point.
_KR, _KG, _KB = 2126.0, 7152.0, 722.0
_ONE = _KR + _KG + _KB
_CB_SCALE, _CR_SCALE = 2.0 * (_ONE - _KB), 2.0 * (_ONE - _KR)


def luma_chroma(image: Image) -> F64:
    """Return full-range BT.709 Y, Cb, Cr of an 8-bit RGB image, float64 [3, H, W], not rounded.

    Y lies in 0..255, Cb and Cr in -127.5..127.5 (no offset). Source: ITU-R BT.709-6, item 3.
    """
    # Plane by plane in float64, without BLAS: the same bits on every machine.
    red, green, blue = (image[..., i].astype(np.float64) for i in range(3))
    y = _KR * red + _KG * green + _KB * blue
    return np.stack([y / _ONE, (_ONE * blue - y) / _CB_SCALE, (_ONE * red - y) / _CR_SCALE])


def rgb_to_ycbcr(image: Image, bit_depth: int) -> U16:
    """Return the planes of an 8-bit RGB image as full-range BT.709 YCbCr 4:4:4, uint16 [3, H, W].

    All three planes span 0..peak, peak = 2^bit_depth - 1 (8 to 16 bits), and are rounded, halves upwards.
    Chroma is centred on peak / 2, as CompressAI's rgb2ycbcr and the published VTM anchors have it (with it
    they are met to the last digit); ITU-T H.273 would centre it half a code higher.
    """
    peak = _peak(bit_depth)
    planes = luma_chroma(image) * (peak / 255.0)
    planes[1:] += peak / 2.0
    samples: U16 = np.clip(np.floor(planes + 0.5), 0, peak).astype(np.uint16)
    return samples


def ycbcr_to_rgb(planes: U16, bit_depth: int) -> Image:
    """Return the 8-bit RGB image of full-range BT.709 YCbCr 4:4:4 planes, uint16 [3, H, W]; rounded, clipped.

    The inverse of `rgb_to_ycbcr`: lossless or nearly so from 10 bits on, about 53 dB at 8 bits (where even
    greys are one level off, their chroma lying between two codes).
    """
    peak = _peak(bit_depth)
    y = planes[0] * (255.0 / peak)
    blue_less_y = (planes[1] - peak / 2.0) * (255.0 / peak * _CB_SCALE / _ONE)
    red_less_y = (planes[2] - peak / 2.0) * (255.0 / peak * _CR_SCALE / _ONE)
    green = y - (_KR * red_less_y + _KB * blue_less_y) / _KG
    rgb = np.stack([y + red_less_y, green, y + blue_less_y], axis=-1)
    image: Image = np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)
    return image


def _peak(bit_depth: int) -> int:
    """Return the largest sample of full-range planes."""
    if not 8 <= bit_depth <= 16:
        raise ValueError(f"bit depth {bit_depth} is not in 8..16")
    return (1 << bit_depth) - 1
