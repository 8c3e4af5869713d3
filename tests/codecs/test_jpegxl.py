"""JPEG XL in process: a current library, a smooth curve, sizes checked before anything is allocated."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from skimage import data

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.codecs.jpegxl import codestream_size
from benchmark.errors import BitstreamError, PointError, UsageError


def _picture(width: int, height: int) -> Image:
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([x * 2, y * 2, x + y], axis=-1) % 256
    noise = np.random.default_rng(1).normal(0, 6, shades.shape)
    return np.clip(shades + noise, 0, 255).astype(np.uint8)


def _psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def test_the_library_is_of_this_decade_and_on_record() -> None:
    library = imagecodecs.jpegxl_version()
    assert tuple(int(part) for part in library.split()[1].split(".")) >= (0, 11)
    assert make_codec("jpegxl").version() == f"{library}, imagecodecs {imagecodecs.__version__}, effort 7"


def test_the_curve_has_no_kink_at_distance_4() -> None:
    """What a factor in rate buys changes slowly: by less than 1.6 over a middle stretch of the curve.

    libjxl 0.7 buys 4.7 dB for a factor of e up to distance 4.5, 12.2 dB from there to 4.2, then 4.
    """
    codec, images = make_codec("jpegxl"), [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    sizes, psnrs = [], []
    for distance in (6, 5, 4.5, 4.2, 3.8, 3.5, 3):
        streams = [codec.encode(image, distance) for image in images]
        sizes.append(np.log(np.mean([len(s) / i.size for s, i in zip(streams, images, strict=True)])))
        psnrs.append(np.mean([_psnr(i, codec.decode(s)) for s, i in zip(streams, images, strict=True)]))
    slopes = np.diff(psnrs) / np.diff(sizes)
    assert slopes.max() < 1.6 * slopes.min()


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (1, 1),
        (64, 64),
        (256, 256),
        (96, 80),
        (64, 48),
        (72, 48),
        (128, 72),
        (80, 64),
        (96, 48),
        (24, 8),
        (768, 512),
        (33, 9),
        (601, 2),
    ],
)
def test_the_header_tells_the_size(width: int, height: int) -> None:
    stream = make_codec("jpegxl").encode(_picture(width, height), 10)
    assert codestream_size(stream, "jpegxl") == (width, height)


def test_bombs_and_other_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = make_codec("jpegxl")
    sides = (1 << 30) - 1
    huge = 3 << 1 | sides << 3 | 3 << 36 | sides << 38  # 30 bits a side, no ratio
    with pytest.raises(BitstreamError, match=r"header says 1073741824x1073741824 is .* over the limit"):
        codec.decode(b"\xff\x0a" + struct.pack("<QQ", huge & (2**64 - 1), huge >> 64))
    with pytest.raises(BitstreamError, match="not RGB"):
        codec.decode(bytes(imagecodecs.jpegxl_encode(_picture(64, 64)[..., 0], distance=1.0)))
    monkeypatch.setenv("BENCH_MAX_PIXELS", "100")
    with pytest.raises(BitstreamError, match="64x64 is 4,096 pixels, over the limit"):
        codec.decode(codec.encode(_picture(64, 64), 1))


def test_options_and_points() -> None:
    assert "effort 3" in make_codec("jpegxl", {"effort": 3}).version()
    with pytest.raises(UsageError, match="effort 10"):
        make_codec("jpegxl", {"effort": 10})
    with pytest.raises(PointError, match="above 0 and up to 25"):
        make_codec("jpegxl").check_point(0)
