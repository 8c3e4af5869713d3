"""Refinement of latents at the encoder: less rate and distortion for the same decoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.errors import UsageError
from benchmark.runs.target import Probe


def picture(height: int, width: int) -> Image:
    """Return edges, ramps and a little noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    discs = ((rows - 40) ** 2 + (columns - 50) ** 2 < 900) * 90.0 + (rows + columns) % 64
    noise = np.random.default_rng(2).normal(0, 4, (height, width, 3))
    return np.asarray(np.clip(discs[:, :, None] * [1.0, 0.8, 0.6] + 40 + noise, 0, 255), np.uint8)


def cost(codec_name: str, refine: int, lmbda: float, image: Image) -> float:
    codec = make_codec(codec_name, {"refine": refine})
    probe = Probe(codec, image, lmbda, codec.encode(image, lmbda))
    return probe.bpp + lmbda * 255**2 * 10 ** (-probe.psnr / 10)


@pytest.mark.parametrize(
    ("name", "share"), [("patch", 0.99), ("patch-rdoq", 0.995), ("patch-tcq8", 1), ("baseline", 0.99)]
)
def test_refined_streams_cost_less(name: str, share: float) -> None:
    image = picture(112, 144)
    assert cost(name, 40, 0.013, image) < share * cost(name, 0, 0.013, image)


def test_any_decoder_of_the_codec_reads_a_refined_stream_and_the_same_comes_again() -> None:
    image = picture(70, 65)
    refined = make_codec("patch-tcq8", {"refine": 5})
    torch.rand(7)  # what is drawn elsewhere has no influence
    stream = refined.encode(image, 0.03)
    torch.rand(7)
    assert refined.encode(image, 0.03) == stream
    plain = make_codec("patch-tcq8")
    assert np.array_equal(plain.decode(stream), refined.decode(stream))
    assert plain.encode(image, 0.03) != stream


def test_the_version_says_how_many_steps() -> None:
    assert "refined in 30 steps" in make_codec("patch", {"refine": 30}).version()
    assert make_codec("patch", {"refine": 0}).version() == make_codec("patch").version()
    for wrong in (-1, 1.5, "many", 10**9):
        with pytest.raises(UsageError, match="give a number of steps"):
            make_codec("patch", {"refine": wrong})
