"""BPG, HEVC intra in a small container, by libbpg's programs bpgenc and bpgdec."""

from __future__ import annotations

from pathlib import Path

from benchmark.arrays import Image
from benchmark.codecs.base import CodecEntry, check_number
from benchmark.codecs.process import HEVC_QPS, SubprocessCodec
from benchmark.codecs.programs import Program
from benchmark.errors import BitstreamError, CodecError, ImageError
from benchmark.images import check_pixels, pixel_limit, save_png

MIN_WIDTH = 25
"""Below it bpgenc 0.9.8 is killed by a segmentation fault in x265, at any height."""

_MAGIC = b"BPG\xfb"

_REMEDY = "build libbpg 0.9.8 from https://bellard.org/bpg"


def _program(name: str) -> Program:
    return Program((name,), _REMEDY, ("-h",), r"version (\S+)", "BENCH_BPG_DIR")


class BpgCodec(SubprocessCodec):
    """BPG as this field runs it: 4:4:4, 8 bits, BPG's own YCbCr, the x265 encoder.

    The colour conversion is bpgenc's. Command lines: CompressAI's bench, whose published figures they give.
    The format carries neither length nor checksum, and bpgdec conceals what is missing: a stream cut in its
    picture data decodes to a damaged picture without a word.
    """

    encoder = _program("bpgenc")
    decoder = _program("bpgdec")
    source_name = "source.png"
    stream_name = "stream.bpg"

    def settings(self) -> str:
        """Return the options that shape the stream."""
        return "4:4:4 8-bit ycbcr x265"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a QP of HEVC."""
        check_number(self.name, "QP", point, 0, 51)

    def encode(self, image: Image, point: float) -> bytes:
        """Return what bpgenc wrote. Raises CodecError, also for an image narrower than it can take."""
        self.check_point(point)
        height, width = image.shape[:2]
        if width < MIN_WIDTH:
            raise CodecError(f"{self.name}: {width}x{height} is too narrow; bpgenc needs {MIN_WIDTH} columns")
        return super().encode(image, point)

    def payload(self, bitstream: bytes) -> bytes:
        """Return the bitstream. Raises BitstreamError unless it starts as BPG with a believable size."""
        if not bitstream.startswith(_MAGIC):
            raise BitstreamError(f"{self.name}: no BPG stream (it starts with {bitstream[:4]!r})")
        width, rest = _ue7(bitstream[6:])
        height, _ = _ue7(rest)
        if not width or not height:
            raise BitstreamError(f"{self.name}: the stream is cut in its header or says {width}x{height}")
        try:
            check_pixels(width, height, pixel_limit())
        except ImageError as error:
            raise BitstreamError(f"{self.name}: the header says {error}") from error
        return bitstream

    def write_source(self, image: Image, path: Path) -> None:
        """Write a PNG: bpgenc reads PNG and JPEG alone."""
        save_png(image, path, compress_level=1)

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return bpgenc's arguments."""
        options = ["-q", f"{point:.0f}", "-f", "444", "-e", "x265", "-c", "ycbcr", "-b", "8"]
        return ["-o", self.stream_name, *options, self.source_name]

    def decode_command(self) -> list[str]:
        """Return bpgdec's arguments."""
        return ["-o", self.decoded_name, self.stream_name]


BPG = CodecEntry(f"{__name__}:BpgCodec", "BPG 4:4:4 by bpgenc and bpgdec (x265)", "QP", HEVC_QPS)


def _ue7(data: bytes) -> tuple[int, bytes]:
    """Read one of BPG's variable-length numbers (7 bits a byte, the top bit says that more follow).

    Returns the number and the bytes after it; 0 where the data end before the number does.
    """
    value = 0
    for place, byte in enumerate(data[:5]):
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, data[place + 1 :]
    return 0, b""
