"""Devices: what is recorded of them, and that rows of one do not stand for another's.

No graphics card is here: a fake device does the bookkeeping, and the processor the work.
"""

from __future__ import annotations

import json
from pathlib import Path

import harness
import numpy as np
import pytest
import torch
from tiny_model import IDENTITY, photograph_like, shipped_network, tiny_network
from typer.testing import CliRunner

from benchmark import devices
from benchmark.cli import build_app
from benchmark.codecs import make_codec
from benchmark.errors import CodecUnavailableError
from benchmark.learned.architectures.transforms import WholeImage
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.results.records import same_identity
from benchmark.runs.runner import find_codecs
from benchmark.runs.suite import parse_suite

CARD = "cuda (Fake Card 1)"
SUITE = """
name = "cards"
dataset = "folder:images"
metrics = ["psnr_rgb"]

[[codec]]
name = "jpeg"
points = [50]

[[codec]]
name = "baseline"
points = [0.013]
"""


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a graphics card, whose work the processor does."""
    monkeypatch.setattr(devices, "fault", lambda device: "")
    monkeypatch.setattr(devices, "hardware", lambda device: CARD if device == "cuda" else device)
    monkeypatch.setattr(devices, "place", lambda device: torch.device("cpu"))


def test_versions_say_the_device(card: None) -> None:
    there, here = make_codec("baseline", {"device": "cuda"}), make_codec("baseline")
    assert f", on {CARD}, models 0.013:" in there.version_at(0.013)
    assert there.version_at(0.013).replace(f", on {CARD}", "") == here.version_at(0.013)
    assert make_codec("baseline", {"device": "cpu"}).version() == here.version()


def test_rows_of_one_device_are_not_those_of_another(card: None, tmp_path: Path) -> None:
    (tmp_path / "cards.toml").write_text(SUITE)
    suite = parse_suite(tmp_path / "cards.toml")
    moved = suite.on_device("cuda")
    versions = [find_codecs(s).versions["baseline"][0.013] for s in (suite, moved)]
    options = [spec.options_json((), wanted=False) for s in (suite, moved) for spec in s.codec]
    assert options == ["{}", "{}", "{}", json.dumps({"device": "cuda"})]
    rows = [("baseline", options[2 * n + 1], versions[n], "00", "{}") for n in (0, 1)]
    assert not same_identity(rows[0], rows[1])
    # Nor are those of two cards, though they are asked for with the same words.
    other = (*rows[1][:2], versions[1].replace("Card 1", "Card 2"), *rows[1][3:])
    assert not same_identity(rows[1], other)


def test_streams_decode_to_the_same_latents_on_any_device(card: None) -> None:
    """Encoded on the processor, decoded with transforms elsewhere, and the reverse; mean-scale and groups."""
    image = photograph_like(64, 96)
    for network in (tiny_network(), shipped_network("patch")):
        here = CodingModel(network, IDENTITY)
        there = CodingModel(network, IDENTITY, "cuda")
        assert isinstance(there.transforms, WholeImage)
        settings = get_quantizer("tcq8").default_settings()
        for encoder, decoder in ((here, there), (there, here)):
            container = encoder.encode(image, "tcq8", settings).container
            assert np.array_equal(encoder.decode_latents(container), decoder.decode_latents(container))
            ours, theirs = (model.decode(container).astype(int) for model in (encoder, decoder))
            assert abs(ours - theirs).max() <= 1


def test_a_missing_device_is_said_before_any_work(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    with pytest.raises(
        CodecUnavailableError, match=r"device 'cuda' cannot be used: .*; give device = \"cpu\""
    ):
        make_codec("baseline", {"device": "cuda"}).version()
    harness.make_images(tmp_path / "images", 1, (32, 32))
    (tmp_path / "cards.toml").write_text(SUITE)
    arguments = ["run", "suite", str(tmp_path / "cards.toml"), "--out", str(tmp_path / "results")]
    done = CliRunner().invoke(build_app(), [*arguments, "--device", "cuda"])
    assert "--device cuda cannot be used here: " in str(done.exception)
    assert not (tmp_path / "results").exists()
