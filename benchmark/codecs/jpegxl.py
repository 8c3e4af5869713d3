"""JPEG XL, in process, through imagecodecs' binding to libjxl."""

from __future__ import annotations

import imagecodecs
import numpy as np

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, CodecEntry, check_number
from benchmark.errors import BitstreamError, CodecError, ImageError, UsageError
from benchmark.images import check_image, check_pixels, pixel_limit

DISTANCES = (10, 8, 6, 4.5, 3.5, 2.5, 1.8, 1.2, 0.8, 0.5)
"""The default points, in butteraugli distance, quality rising."""

_CODESTREAM = b"\xff\x0a"
_HEADER_BYTES = 12
"""The signature and the longest SizeHeader: two dimensions of 2 + 30 bits with 1 + 3 bits of flags."""
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, for the codes 1 to 7 of the SizeHeader."""


class JpegXlCodec(Codec):
    """Lossy JPEG XL at a butteraugli distance; `effort` 1 (fast) to 9 (thorough), 7 being libjxl's default.

    One thread, so that times compare. libjxl optimizes for butteraugli alone: there is no tuning for PSNR.
    """

    def __init__(self, name: str, effort: int = 7) -> None:
        self.name = name
        self.effort = check_effort(name, effort)

    def version(self) -> str:
        """Return libjxl, the binding and the effort."""
        return f"{imagecodecs.jpegxl_version()}, imagecodecs {imagecodecs.__version__}, effort {self.effort}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a distance above 0 (0 is lossless) up to 25."""
        check_distance(self.name, point)

    def encode(self, image: Image, point: float) -> bytes:
        """Return the bare codestream. Raises CodecError if libjxl refuses the image."""
        self.check_point(point)
        check_image(image)
        try:
            return bytes(
                imagecodecs.jpegxl_encode(
                    image, distance=point, effort=self.effort, usecontainer=False, numthreads=1
                )
            )
        except (imagecodecs.JpegxlError, ValueError) as error:
            height, width = image.shape[:2]
            raise CodecError(f"{self.name}: cannot encode {width}x{height} at {point:g}: {error}") from error

    def decode(self, bitstream: bytes) -> Image:
        """Return the image of the codestream. Raises BitstreamError if it is cut, foreign or too large."""
        width, height = codestream_size(bitstream, self.name)
        try:
            check_pixels(width, height, pixel_limit())
            decoded = np.asarray(imagecodecs.jpegxl_decode(bitstream, numthreads=1))
        except ImageError as error:
            raise BitstreamError(f"{self.name}: the header says {error}") from error
        except Exception as error:  # damage surfaces as JpegxlError, ValueError or MemoryError
            raise BitstreamError(f"{self.name}: no valid stream ({type(error).__name__}: {error})") from error
        if decoded.shape != (height, width, 3) or decoded.dtype != np.uint8:
            raise BitstreamError(f"{self.name}: the stream holds {decoded.dtype} {decoded.shape}, not RGB")
        return decoded


JPEGXL = CodecEntry(
    f"{__name__}:JpegXlCodec", "JPEG XL by imagecodecs (libjxl)", "distance", DISTANCES, family="jpegxl"
)


def check_distance(codec: str, point: float) -> None:
    """Raise PointError unless `point` is a lossy butteraugli distance, above 0 and up to 25."""
    check_number(codec, "distance", point, 0, 25, whole=False, above=True)


def check_effort(codec: str, effort: int) -> int:
    """Return `effort` if it is one of libjxl's, 1 to 9, else raise UsageError."""
    if effort not in range(1, 10):
        raise UsageError(f"{codec}: effort {effort!r} does not exist; give 1 to 9")
    return effort


def codestream_size(bitstream: bytes, codec: str) -> tuple[int, int]:
    """Return width and height from a bare codestream's SizeHeader (ISO/IEC 18181-1, headers).

    libjxl allocates the picture before it reads its data, so a stranger's size is looked at before that.
    Raises BitstreamError, naming `codec`, for bytes that are no codestream.
    """
    if not bitstream.startswith(_CODESTREAM) or len(bitstream) < _HEADER_BYTES:
        raise BitstreamError(f"{codec}: no JPEG XL codestream (it starts with {bitstream[:4]!r})")
    bits = _Bits(bitstream[len(_CODESTREAM) : _HEADER_BYTES])
    small = bits.take(1)
    height = bits.dimension(small)
    ratio = bits.take(3)
    if ratio == 0:
        return bits.dimension(small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


class _Bits:
    """A reader of bits, the lowest bit of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value

    def dimension(self, small: int) -> int:
        """Read a side: 5 bits of eighths where the header is a small one, else 9, 13, 18 or 30 bits."""
        if small:
            return 8 * (self.take(5) + 1)
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1
