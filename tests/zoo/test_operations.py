"""Operations of CompressAI's own classes, against what papers and torch's counter say of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import codec_of, picture

from benchmark.operations import SIDE, count
from benchmark.stopwatch import watching
from benchmark.zoo import model as zoo_model
from benchmark.zoo.architectures import architectures
from benchmark.zoo.model import ready


@pytest.mark.parametrize(
    ("arch", "sizes", "forward"),
    [
        ("mbt2018-mean", (128, 192), 91.106),
        ("mbt2018", (192, 192), 201.647),
        ("cheng2020-anchor", (128,), 426.627),
        ("elic2022-official", (), 585.905),
    ],
)
def test_forward_pass_is_what_papers_print(arch: str, sizes: tuple[int, ...], forward: float) -> None:
    """kMAC per pixel at 256x256 of each, as the issue has them."""
    model = architectures()[arch](*sizes).eval()
    found = count(model, {}, {}, lambda: model(torch.rand(1, 3, SIDE, SIDE)))
    assert found.forward_kmac_per_pixel == pytest.approx(forward, abs=0.001)


def test_modules_are_told_apart_and_add_up() -> None:
    """The mean-scale hyperprior: four 5x5 layers of stride 2 with GDN take 42.18 kMAC per pixel a side."""
    torch.manual_seed(0)
    found = ready(architectures()["mbt2018-mean"](128, 192), "cpu", 1, 0).operations()
    parts = {part.name: part for part in found.parts}
    assert parts["g_a"].encode_kmac_per_pixel == pytest.approx(42.18, abs=0.01)
    assert parts["g_s"].decode_kmac_per_pixel == pytest.approx(42.18, abs=0.01)
    assert parts["g_a"].decode_macs == parts["g_s"].encode_macs == 0
    assert parts["h_s"].encode_macs == parts["h_s"].decode_macs > 0
    assert found.encode_kmac_per_pixel == pytest.approx(48.928)
    assert found.decode_kmac_per_pixel == pytest.approx(47.564)
    assert found.parameters == 7_028_003


def test_context_that_is_no_module_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo_model, "SIDE", 64)
    found = codec_of("mbt2018", tmp_path).operations(3)
    assert found is not None
    outside = next(part for part in found.parts if part.name == "outside modules")
    # A 5x5 convolution from 12 to 24 channels at each of 4x4 positions.
    assert outside.encode_macs == outside.decode_macs == 4 * 4 * 25 * 12 * 24


@pytest.mark.parametrize("arch", ["mbt2018-mean", "mbt2018"])
def test_network_and_entropy_coder_are_timed_apart(arch: str, tmp_path: Path) -> None:
    codec, image = codec_of(arch, tmp_path), picture()
    with watching() as encoding:
        stream = codec.encode(image, 3)
    with watching() as decoding:
        codec.decode(stream)
    for watch in (encoding, decoding):
        assert watch.seconds.keys() == {"network", "entropy coder"}
        assert all(seconds > 0 for seconds in watch.seconds.values())
    assert codec.encode(image, 3) == stream
