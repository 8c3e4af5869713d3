"""BPG, HEVC intra in a small container, by libbpg's programs bpgenc and bpgdec."""

from __future__ import annotations

from pathlib import Path

from benchmark.codecs.base import Image, check_number
from benchmark.codecs.process import SubprocessCodec
from benchmark.codecs.programs import Program
from benchmark.images import save_png

_REMEDY = "build libbpg 0.9.8 from https://bellard.org/bpg"


def _program(name: str) -> Program:
    return Program((name,), _REMEDY, ("-h",), r"version (\S+)", "BENCH_BPG_DIR")


class BpgCodec(SubprocessCodec):
    """BPG as this field runs it: 4:4:4, 8 bits, BPG's own YCbCr, the x265 encoder.

    The colour conversion is bpgenc's. Command lines: CompressAI's bench, whose published figures they give.
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
