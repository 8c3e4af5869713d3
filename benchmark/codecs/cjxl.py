"""JPEG XL by libjxl's own programs, cjxl and djxl: for another version than `jpegxl` has."""

from __future__ import annotations

from benchmark.codecs.base import CodecEntry
from benchmark.codecs.jpegxl import DISTANCES, check_distance, check_effort
from benchmark.codecs.process import SubprocessCodec
from benchmark.codecs.programs import Program

_REMEDY = "install Debian's libjxl-tools, or a release of https://github.com/libjxl/libjxl"


def _program(name: str) -> Program:
    return Program((name,), _REMEDY, ("--version",), rf"{name} (\S+)", "BENCH_JXL_DIR")


class CjxlCodec(SubprocessCodec):
    """Lossy JPEG XL at a butteraugli distance; `effort` 1 (fast) to 9 (thorough), 7 being cjxl's default.

    Both programs run without worker threads, so that times compare and streams do not depend on the machine.
    """

    encoder = _program("cjxl")
    decoder = _program("djxl")
    stream_name = "stream.jxl"

    def __init__(self, name: str, effort: int = 7, timeout_seconds: float = 3600.0) -> None:
        super().__init__(name, timeout_seconds)
        self.effort = check_effort(name, effort)

    def settings(self) -> str:
        """Return the effort."""
        return f"effort {self.effort}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a distance above 0 (0 is lossless) up to 25."""
        check_distance(self.name, point)

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return cjxl's arguments."""
        options = [f"--distance={point:g}", f"--effort={self.effort}", "--num_threads=0"]
        return [self.source_name, self.stream_name, *options]

    def decode_command(self) -> list[str]:
        """Return djxl's arguments."""
        return [self.stream_name, self.decoded_name, "--num_threads=0"]


CJXL = CodecEntry(f"{__name__}:CjxlCodec", "JPEG XL by cjxl and djxl", "distance", DISTANCES, family="jpegxl")
