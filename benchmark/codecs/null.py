"""The null codec: colour conversion there and back and nothing else, the floor under every YCbCr codec."""

from __future__ import annotations

import struct

import numpy as np

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, CodecEntry, check_number
from benchmark.errors import BitstreamError
from benchmark.images import rgb_to_ycbcr, ycbcr_to_rgb

_HEADER = struct.Struct("<4sBII")
_MAGIC = b"NULL"


class NullCodec(Codec):
    """Stores the rounded full-range BT.709 4:4:4 planes as they are; the point is their bit depth.

    The stream is magic, bit depth, width, height, then the three planes in one byte a sample at 8 bits,
    in two (little-endian) above.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def version(self) -> str:
        """Return the version of the stream's layout."""
        return "1"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a bit depth, 8 to 16."""
        check_number(self.name, "bit depth", point, 8, 16)

    def encode(self, image: Image, point: float) -> bytes:
        """Return the planes of `image` at `point` bits."""
        self.check_point(point)
        depth = int(point)
        height, width = image.shape[:2]
        planes = rgb_to_ycbcr(image, depth).astype(_sample_type(depth))
        return _HEADER.pack(_MAGIC, depth, width, height) + planes.tobytes()

    def decode(self, bitstream: bytes) -> Image:
        """Return the image of the planes. Raises BitstreamError unless header, length and samples agree."""
        if len(bitstream) < _HEADER.size or not bitstream.startswith(_MAGIC):
            raise BitstreamError(f"{self.name}: no null stream (it starts with {bitstream[:4]!r})")
        _, depth, width, height = _HEADER.unpack_from(bitstream)
        if not 8 <= depth <= 16 or not width or not height:
            raise BitstreamError(f"{self.name}: the header says {width}x{height} at {depth} bits")
        sample = _sample_type(depth)
        expected = _HEADER.size + 3 * width * height * sample.itemsize
        if len(bitstream) != expected:
            raise BitstreamError(f"{self.name}: {len(bitstream)} bytes where the header asks for {expected}")
        planes = np.frombuffer(bitstream, sample, offset=_HEADER.size).reshape(3, height, width)
        if int(planes.max()) >= 1 << depth:
            raise BitstreamError(f"{self.name}: a sample does not fit into {depth} bits")
        return ycbcr_to_rgb(planes.astype(np.uint16), depth)


NULL = CodecEntry(
    f"{__name__}:NullCodec",
    "colour conversion there and back, no compression: the conversion floor",
    "bit depth",
    (8, 10),
)


def _sample_type(depth: int) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    return np.dtype(np.uint8) if depth == 8 else np.dtype("<u2")
