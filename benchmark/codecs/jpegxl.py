"""JPEG XL by libjxl's own programs, cjxl and djxl."""

from __future__ import annotations

from benchmark.codecs.base import CodecEntry, check_number
from benchmark.codecs.process import SubprocessCodec
from benchmark.codecs.programs import Program
from benchmark.errors import UsageError

_REMEDY = "install Debian's libjxl-tools, or a release of https://github.com/libjxl/libjxl"


def _program(name: str) -> Program:
    return Program((name,), _REMEDY, ("--version",), rf"{name} (\S+)", "BENCH_JXL_DIR")


class JpegXlCodec(SubprocessCodec):
    """Lossy JPEG XL at a butteraugli distance; `effort` 1 (fast) to 9 (thorough), 7 being cjxl's default.

    Both programs run without worker threads, so that times compare and streams do not depend on the machine.
    """

    encoder = _program("cjxl")
    decoder = _program("djxl")
    stream_name = "stream.jxl"

    def __init__(self, name: str, effort: int = 7, timeout_seconds: float = 3600.0) -> None:
        super().__init__(name, timeout_seconds)
        if effort not in range(1, 10):
            raise UsageError(f"{name}: effort {effort!r} does not exist; give 1 to 9")
        self.effort = effort

    def settings(self) -> str:
        """Return the effort."""
        return f"effort {self.effort}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a distance above 0 (0 is lossless) up to 25."""
        check_number(self.name, "distance", point, 0, 25, whole=False, above=True)

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return cjxl's arguments."""
        options = [f"--distance={point:g}", f"--effort={self.effort}", "--num_threads=0"]
        return [self.source_name, self.stream_name, *options]

    def decode_command(self) -> list[str]:
        """Return djxl's arguments."""
        return [self.stream_name, self.decoded_name, "--num_threads=0"]


JPEGXL = CodecEntry(
    f"{__name__}:JpegXlCodec",
    "JPEG XL by cjxl and djxl",
    "distance",
    (10, 8, 6, 4.5, 3.5, 2.5, 1.8, 1.2, 0.8, 0.5),
)
