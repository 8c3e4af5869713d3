"""The reference encoders VTM (VVC) and HM (HEVC) on one intra picture, 4:4:4 at 10 bits."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark.arrays import Image
from benchmark.codecs.base import CodecEntry, check_number, note
from benchmark.codecs.process import HEVC_QPS, SubprocessCodec
from benchmark.codecs.programs import Program, file_sha256
from benchmark.errors import BitstreamError, CodecError, CodecUnavailableError, ImageError
from benchmark.images import check_pixels, pixel_limit, rgb_to_ycbcr, ycbcr_to_rgb

BIT_DEPTH = 10
"""At 10 bits the colour conversion loses next to nothing; at 8 it costs several percent of the rate."""

_SIZE = struct.Struct(">HH")
_CONFORMANCE = ("ConformanceWindowMode", "ConformanceMode")
_PARENTS_SEARCHED = 6  # deep enough for bin/umake/gcc-12.2/x86_64/release


class JvetCodec(SubprocessCodec):
    """One picture through a reference encoder, colour converted here (full-range BT.709, rounded).

    The bitstream is width and height as two big-endian 16-bit numbers, then the encoder's file: the decoder
    writes bare planes, from which the shape could not be told. The four bytes count like the others. The
    encoder pads to its block size and signals a conformance window, so that any size down to 1x1 works.
    """

    source_name = "source.yuv"
    stream_name = "stream.bin"
    decoded_name = "decoded.yuv"
    config_name: ClassVar[str]
    highest_qp: ClassVar[int]

    def config_path(self) -> Path:
        """Return the configuration file: beside the encoder, in a cfg/ near it, or in a folder of PATH.

        Raises CodecUnavailableError if there is none.
        """
        set_folder = os.environ.get(self.encoder.folder_variable or "", "")
        roots = [Path(set_folder).expanduser()] if set_folder else []
        roots += islice(self.encoder.path().resolve().parents, _PARENTS_SEARCHED)
        roots += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
        for root in roots:
            for file in (root / self.config_name, root / "cfg" / self.config_name):
                if file.is_file():
                    return file
        raise CodecUnavailableError(
            f"{self.name}: no {self.config_name} near {self.encoder.path()}; it is in cfg/ of the source, "
            f"to which {self.encoder.folder_variable} should point"
        )

    def settings(self) -> str:
        """Return the configuration and the format of the planes."""
        return f"{self.config_name} [{file_sha256(self.config_path())[:8]}], 4:4:4 {BIT_DEPTH}-bit BT.709"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a QP of the standard."""
        check_number(self.name, "QP", point, 0, self.highest_qp)

    def encode(self, image: Image, point: float) -> bytes:
        """Return the size and what the encoder wrote. Raises CodecError."""
        height, width = image.shape[:2]
        if max(width, height) > 0xFFFF:
            raise CodecError(f"{self.name}: {width}x{height} is too large; 65535 is the longest side")
        return _SIZE.pack(width, height) + super().encode(image, point)

    def stage(self, folder: Path) -> None:
        """Copy the configuration, so that the command line is the same on every machine."""
        config = self.config_path()
        shutil.copyfile(config, folder / self.config_name)
        note(config_sha256=file_sha256(config))

    def write_source(self, image: Image, path: Path) -> None:
        """Write the planes as 16-bit little-endian samples."""
        path.write_bytes(rgb_to_ycbcr(image, BIT_DEPTH).astype("<u2").tobytes())

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return the encoder's arguments, with the name that this version has for the conformance window."""
        files = ["-c", self.config_name, "-i", self.source_name, "-b", self.stream_name, "-o", "/dev/null"]
        picture = ["-wdt", str(width), "-hgt", str(height), "-fr", "1", "-f", "1", "-q", f"{point:.0f}"]
        planes = ["--InputChromaFormat=444", f"--InputBitDepth={BIT_DEPTH}", f"--OutputBitDepth={BIT_DEPTH}"]
        encoder = self.encoder.path()
        return [*files, *picture, *planes, f"--{_conformance(encoder, encoder.stat().st_mtime_ns)}=1"]

    def payload(self, bitstream: bytes) -> bytes:
        """Return the encoder's file. Raises BitstreamError unless a believable size stands before it."""
        if len(bitstream) <= _SIZE.size:
            raise BitstreamError(f"{self.name}: {len(bitstream)} bytes are no stream")
        width, height = _SIZE.unpack_from(bitstream)
        try:
            check_pixels(width, height, pixel_limit())
        except ImageError as error:
            raise BitstreamError(f"{self.name}: the header says {error}") from error
        if not width or not height:
            raise BitstreamError(f"{self.name}: the header says {width}x{height}")
        return bitstream[_SIZE.size :]

    def decode_command(self) -> list[str]:
        """Return the decoder's arguments."""
        return ["-b", self.stream_name, "-o", self.decoded_name, "-d", str(BIT_DEPTH)]

    def read_decoded(self, path: Path, bitstream: bytes) -> Image:
        """Return the planes as RGB. Raises BitstreamError unless they are one picture of the stated size."""
        width, height = _SIZE.unpack_from(bitstream)
        expected_bytes = 3 * width * height * 2
        if (found_bytes := path.stat().st_size) != expected_bytes:
            raise BitstreamError(
                f"{self.name}: {found_bytes} bytes of planes, but {width}x{height} has {expected_bytes}"
            )
        planes = np.fromfile(path, dtype="<u2").reshape(3, height, width)
        return ycbcr_to_rgb(planes.astype(np.uint16), BIT_DEPTH)


class VtmCodec(JvetCodec):
    """VVC intra by VTM, versions 9 to 23. Slow: minutes an image."""

    _remedy = "build VTM from https://vcgit.hhi.fraunhofer.de/jvet/VVCSoftware_VTM"
    encoder = Program(
        ("EncoderAppStatic", "EncoderApp"),
        _remedy,
        ("--help",),
        r"VTM Encoder Version (\S+)",
        "BENCH_VTM_DIR",
    )
    decoder = Program(
        ("DecoderAppStatic", "DecoderApp"),
        _remedy,
        ("--help",),
        r"VTM Decoder Version (\S+)",
        "BENCH_VTM_DIR",
    )
    config_name = "encoder_intra_vtm.cfg"
    highest_qp = 63


VTM = CodecEntry(
    f"{__name__}:VtmCodec", "VVC intra 4:4:4 10-bit by the VTM reference software", "QP", HEVC_QPS
)


class HmCodec(JvetCodec):
    """HEVC range extensions, intra, by HM 16."""

    _remedy = "build HM from https://vcgit.hhi.fraunhofer.de/jvet/HM"
    encoder = Program(
        ("TAppEncoderStatic", "TAppEncoder"),
        _remedy,
        ("--help",),
        r"Encoder Version \[(.+?)\]",
        "BENCH_HM_DIR",
    )
    decoder = Program(
        ("TAppDecoderStatic", "TAppDecoder"),
        _remedy,
        ("--help",),
        r"Decoder Version \[(.+?)\]",
        "BENCH_HM_DIR",
    )
    config_name = "encoder_intra_main_rext.cfg"
    highest_qp = 51


HM = CodecEntry(f"{__name__}:HmCodec", "HEVC intra 4:4:4 10-bit by the HM reference software", "QP", HEVC_QPS)


@lru_cache(maxsize=16)
def _conformance(encoder: Path, _mtime_ns: int) -> str:
    """Return the encoder's name for "pad to whole blocks, signal the window", which changed over versions."""
    shown = subprocess.run([encoder, "--help"], capture_output=True, text=True, timeout=20, check=False)
    listed = shown.stdout + shown.stderr
    for option in _CONFORMANCE:
        if f"--{option} " in listed:
            return option
    raise CodecUnavailableError(f"{encoder} lists neither of {', '.join(_CONFORMANCE)} in its --help")
