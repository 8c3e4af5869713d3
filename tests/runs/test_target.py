"""The search for the operating point that meets a target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmark.arrays import Image
from benchmark.codecs import codec_entry, make_codec
from benchmark.codecs.base import Codec, check_number
from benchmark.errors import CodecError, PointError, UsageError
from benchmark.runs.target import MOST_PROBES, BitsPerPixel, MaxBytes, Probe, Psnr, Target, search

IMAGE = np.zeros((100, 80, 3), np.uint8)


class Sized(Codec):
    """Streams of exp(slope * point) * 100 bytes; decoding gives a picture of rising quality."""

    name = "sized"

    def __init__(self, slope: float, low: float, high: float, *, whole: bool) -> None:
        self.slope, self.low, self.high, self.whole = slope, low, high, whole
        self.encoded: list[float] = []

    def version(self) -> str:
        return "1"

    def check_point(self, point: float) -> None:
        check_number(self.name, "quality", point, self.low, self.high, whole=self.whole)

    def encode(self, image: Image, point: float) -> bytes:
        self.check_point(point)
        self.encoded.append(point)
        return bytes(round(100 * math.exp(self.slope * point)))

    def decode(self, bitstream: bytes) -> Image:
        error = round(255 / math.log2(2 + len(bitstream)))
        return np.full_like(IMAGE, error)


def found(codec: Sized, points: Sequence[float], target: Target) -> Probe:
    probe = search(codec, points, IMAGE, target)
    assert len(codec.encoded) == len(set(codec.encoded)) <= MOST_PROBES
    return probe


@pytest.mark.parametrize("wanted", [0.15, 0.5, 1.0, 1.7, 3.0])
def test_a_rate_is_met_inside_and_beyond_the_default_points(wanted: float) -> None:
    codec = Sized(0.04, 0, 100, whole=False)
    probe = found(codec, (20, 40, 60), BitsPerPixel(wanted))
    assert probe.bpp == pytest.approx(wanted, rel=2e-3 if wanted > 0.2 else 6e-3)
    assert len(codec.encoded) <= 12


def test_whole_points_give_the_nearest_there_is() -> None:
    codec = Sized(-0.1, 0, 51, whole=True)
    probe = found(codec, (40, 32, 24, 16), BitsPerPixel(0.0195))
    sizes = {qp: round(100 * math.exp(-0.1 * qp)) / 1000 for qp in range(52)}
    assert probe.bpp == min(sizes.values(), key=lambda bpp: abs(math.log(bpp / 0.0195)))


def test_the_most_bytes_are_not_exceeded_and_nearly_used() -> None:
    codec = Sized(0.04, 0, 100, whole=False)
    probe = found(codec, (20, 40, 60), MaxBytes(777))
    assert 774 <= len(probe.stream) <= 777
    whole = found(Sized(0.04, 0, 100, whole=True), (20, 40, 60), MaxBytes(777))
    assert (whole.point, len(whole.stream)) == (51, 769)
    with pytest.raises(CodecError, match="the smallest, at point 0, has 100"):
        found(Sized(0.04, 0, 100, whole=True), (20, 40, 60), MaxBytes(99))


def test_psnr_takes_the_smallest_stream_that_is_good_enough() -> None:
    codec = make_codec("jpeg")
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (8, 8, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    probe = search(codec, codec_entry("jpeg").points, image, Psnr(30.0))
    sizes, psnrs = {}, []
    for quality in range(1, 101):
        other = Probe(codec, image, quality, codec.encode(image, quality))
        psnrs.append(other.psnr)
        if other.psnr >= 30:
            sizes[quality] = len(other.stream)
    assert probe.psnr >= 30
    assert len(probe.stream) <= 1.02 * min(sizes.values())
    best = search(codec, codec_entry("jpeg").points, image, Psnr(90.0))
    assert best.psnr == max(psnrs)


def test_a_codec_without_points_between_gives_the_best_of_those_it_has() -> None:
    class Three(Sized):
        def check_point(self, point: float) -> None:
            if point not in (1.5, 7.5, 31.5):
                raise PointError(f"{point}")

    probe = found(Three(0.1, 0, 0, whole=False), (1.5, 7.5, 31.5), BitsPerPixel(0.2))
    assert probe.point == 7.5


@pytest.mark.parametrize("wanted", [0, -1, math.nan, math.inf])
def test_absurd_targets_are_refused(wanted: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        BitsPerPixel(wanted)
