"""What every registered codec must do, run over all that can run on this machine."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmark.arrays import Image
from benchmark.codecs import CODECS, codec_entry, make_codec
from benchmark.codecs.base import Codec
from benchmark.errors import BitstreamError, CodecError, CodecUnavailableError, PointError

# Raised by torch on importing torchvision, which the learned codecs' layers do.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

SIZES = [(1, 1), (7, 13), (33, 9), (65, 1), (96, 64)]

CONCEALS_CUTS = ("bpg",)
"""Formats without length and checksum whose decoder makes up what is missing: documented with the codec."""


@cache
def _usable(name: str) -> Codec | str:
    """The codec, or why it cannot run here."""
    try:
        codec = make_codec(name)
        codec.version()
    except CodecUnavailableError as error:
        return str(error)
    return codec


@pytest.fixture(params=sorted(CODECS.names()))
def codec(request: pytest.FixtureRequest) -> Codec:
    found = _usable(request.param)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def _picture(width: int, height: int) -> Image:
    """Smooth shades, an edge and a little noise: what a photograph has."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 90 * np.sin(x / 11.0) * np.cos(y / 17.0)
    green = 60 + 120 * ((x + y) / max(width + height - 2, 1))
    blue = np.where(x > width / 2, 190, 70) + 20 * np.cos(y / 5.0)
    noise = np.random.default_rng(3).normal(0, 2, (height, width, 3))
    return np.clip(np.stack([red, green, blue], axis=-1) + noise, 0, 255).astype(np.uint8)


@cache
def _points(name: str) -> list[float]:
    """The default points at hand: all of them, but for learned codecs whose weights are not all shipped."""
    points = [float(point) for point in codec_entry(name).points]
    if not codec_entry(name).target.startswith("benchmark.learned"):
        return points
    return [point for point in points if _exists(make_codec(name), point)]


def _exists(codec: Codec, point: float) -> bool:
    try:
        codec.check_point(point)
    except PointError:
        return False
    return True


def _middle_point(codec: Codec) -> float:
    points = _points(codec.name)
    return points[len(points) // 2]


def _psnr(a: Image, b: Image) -> float:
    mse = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / mse) if mse else math.inf


@cache
def _stream(name: str, size: tuple[int, int] = (96, 64)) -> bytes:
    codec = _usable(name)
    assert isinstance(codec, Codec)
    point = _middle_point(codec)
    codec.prepare(point)
    return codec.encode(_picture(*size), point)


def test_version_is_told_and_stays(codec: Codec) -> None:
    assert codec.version().strip()
    assert codec.version() == make_codec(codec.name).version()


def test_default_points_exist_and_rise_in_quality(codec: Codec) -> None:
    points = _points(codec.name)
    assert points
    assert len(set(points)) == len(points)
    for point in points:
        codec.check_point(point)
    sizes = [len(codec.encode(_picture(96, 64), point)) for point in dict.fromkeys((points[0], points[-1]))]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_round_trip(codec: Codec, size: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    width, height = size
    try:
        stream = _stream(codec.name, size)
    except CodecError as error:
        # A codec may have a smallest size; then it says so, and a size that photographs have is not below it.
        assert f"{width}x{height}" in str(error)
        assert width < 64 or height < 64
        return
    decoded = codec.decode(stream)
    assert decoded.shape == (height, width, 3)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert _psnr(_picture(width, height), decoded) > (25 if min(size) > 16 else 15)
    assert capfd.readouterr() == ("", "")  # a codec never prints


def test_encoding_twice_gives_the_same_bytes(codec: Codec) -> None:
    assert codec.encode(_picture(96, 64), _middle_point(codec)) == _stream(codec.name)


def test_a_fresh_process_decodes_the_same_pixels(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "stream").write_bytes(_stream(codec.name))
    program = (
        "import sys, hashlib; from pathlib import Path; from benchmark.codecs import make_codec\n"
        "decoded = make_codec(sys.argv[1]).decode(Path(sys.argv[2]).read_bytes())\n"
        "print(decoded.shape, hashlib.sha256(decoded.tobytes()).hexdigest())"
    )
    argv = [sys.executable, "-c", program, codec.name, str(tmp_path / "stream")]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout.strip()
    here = codec.decode(_stream(codec.name))
    assert told == f"{here.shape} {hashlib.sha256(here.tobytes()).hexdigest()}"


@pytest.mark.parametrize("point", [-1.0, 1e9, math.nan, math.inf])
def test_a_wrong_point_is_named_before_any_work(codec: Codec, point: float) -> None:
    with pytest.raises(PointError, match=codec.name):
        codec.check_point(point)
    with pytest.raises(PointError):
        codec.encode(_picture(16, 16), point)


def test_foreign_bytes_are_refused(codec: Codec) -> None:
    noise = np.random.default_rng(5).bytes(2000)
    for garbage in (b"", b"\0", b"\xff" * 40, b"GIF89a", noise):
        with pytest.raises(CodecError):
            codec.decode(garbage)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_cut_stream_is_refused(codec: Codec, kept: float) -> None:
    stream = _stream(codec.name)
    cut = stream[: int(len(stream) * kept)]
    if codec.name in CONCEALS_CUTS and kept >= 0.1:
        assert codec.decode(cut).shape == codec.decode(stream).shape
        return
    with pytest.raises(BitstreamError):
        codec.decode(cut)


def test_a_stream_of_another_codec_is_refused(codec: Codec) -> None:
    other = "null" if codec.name != "null" else "jpeg"
    with pytest.raises(BitstreamError):
        codec.decode(_stream(other))


def test_flipped_bits_never_crash(codec: Codec) -> None:
    """A format without a checksum may decode them to another picture; it must not fall over."""
    stream = _stream(codec.name)
    rng = np.random.default_rng(7)
    for trial in range(6):
        damaged = bytearray(stream)
        end = 24 if trial < 3 else len(stream)  # three in the header, where sizes stand
        for place in rng.integers(0, min(end, len(stream)), 3):
            damaged[place] ^= 1 << int(rng.integers(8))
        try:
            decoded = codec.decode(bytes(damaged))
        except CodecError:
            continue
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3
