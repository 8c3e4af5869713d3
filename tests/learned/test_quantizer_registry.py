"""The registry of quantizers: the contract over all of it, and one of another package used end to end."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness import doc_block, install_package
from tiny_model import photograph_like

from benchmark.errors import BitstreamError, UsageError
from benchmark.learned.codec import LearnedCodec
from benchmark.learned.coding import bitstream
from benchmark.learned.coding.indices import IndexCoder
from benchmark.learned.quantizers import QUANTIZERS, find_stream_id, get_quantizer
from benchmark.learned.tables import SCALE_TABLE
from benchmark.training.recipe import FinetuneRecipe, load_recipe

OUTSIDE = doc_block("python", "class WideZero")
ENTRY_POINTS = tomllib.loads(doc_block("toml", "bench.quantizers"))["project"]["entry-points"][
    "bench.quantizers"
]
NAMES = (*QUANTIZERS.builtin, "wide-zero")


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    lines = ["[bench.quantizers]", *(f"{name} = {value}" for name, value in ENTRY_POINTS.items())]
    install_package(folder, "wide_zero", OUTSIDE, "\n".join(lines) + "\n")
    monkeypatch.delitem(sys.modules, "wide_zero", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    QUANTIZERS.forget()
    yield folder
    QUANTIZERS.forget()
    sys.modules.pop("wide_zero", None)


def test_names_and_stream_ids_are_unique() -> None:
    assert set(QUANTIZERS.names()) == set(NAMES)
    assert not QUANTIZERS.faults
    for name, quantizer in QUANTIZERS.items():
        assert quantizer.name == name
        assert find_stream_id(quantizer.stream_id) is quantizer
    assert find_stream_id(255) is None


@pytest.mark.parametrize("name", NAMES)
def test_steps_go_on_one_stream_and_come_off_in_order(name: str) -> None:
    """Steps of several sizes, as channel groups and checkerboards make them: one stream, no lengths."""
    quantizer = get_quantizer(name)
    settings = quantizer.default_settings()
    rng = np.random.default_rng(1)
    coder = IndexCoder(quantizer, settings)
    scales = [rng.integers(0, 40, shape).astype(np.uint8) for shape in ((3, 20), (5, 33), (1, 1))]
    residuals = [(rng.normal(size=index.shape) * SCALE_TABLE[index]).astype(np.float32) for index in scales]
    steps = [quantizer.quantize(x, index, settings) for x, index in zip(residuals, scales, strict=True)]
    stream = coder.encode(steps, scales, 77)
    reader = coder.read(stream)
    for indices, scale_index in zip(steps, scales, strict=True):
        assert np.array_equal(reader.step(scale_index), indices)
    reader.finish(77)
    short = coder.read(stream)
    short.step(scales[0])
    with pytest.raises(BitstreamError):
        short.finish(77)
    if name != "wide-zero":
        bits = sum(map(coder.entropy_bits, steps, scales))
        assert 8 * len(stream) == pytest.approx(bits, abs=80)


def test_a_quantizer_of_another_package_encodes_and_decodes_with_the_shipped_weights() -> None:
    codec = LearnedCodec(name="mine", variant="baseline", quantizer="wide-zero")
    rounding = LearnedCodec(name="baseline", variant="baseline", quantizer="scalar")
    image = photograph_like(96, 80)
    streams = [each.encode(image, 0.0035) for each in (codec, rounding)]
    assert codec.decode(streams[0]).shape == image.shape
    assert "wide-zero" in codec.version()
    assert len(streams[0]) < len(streams[1])  # a wider zero, fewer bits
    with pytest.raises(BitstreamError, match="was written with wide-zero; baseline reads scalar"):
        rounding.decode(streams[0])


def test_without_its_package_a_stream_says_what_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = LearnedCodec(name="mine", variant="baseline", quantizer="wide-zero")
    stream = codec.encode(photograph_like(64, 64), 0.0035)
    monkeypatch.setattr("benchmark.registry.entry_points", lambda group: ())
    QUANTIZERS.forget()
    with pytest.raises(BitstreamError, match="quantizer 200, which does not exist here; a package may be"):
        bitstream.unpack(stream)


def test_a_recipe_takes_every_quantizer_of_the_registry(tmp_path: Path) -> None:
    for name in NAMES:
        assert load_recipe(FinetuneRecipe, "finetune", {"lmbda": 0.01}, quantizer=name).quantizer == name


def test_two_quantizers_with_one_stream_id_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = tmp_path / "rival"
    rival.mkdir()
    source = OUTSIDE.replace('"wide-zero"', '"rival"').replace("stream_id = 200", "stream_id = 4")
    install_package(
        rival, "rival_quantizer", source, "[bench.quantizers]\nrival = rival_quantizer:WIDE_ZERO\n"
    )
    monkeypatch.syspath_prepend(str(rival))
    QUANTIZERS.forget()
    assert find_stream_id(4) is get_quantizer("tcq8")  # streams of the package's own decode as before
    with pytest.raises(UsageError, match="'rival' has the stream_id of 'tcq8', 4: give it another"):
        get_quantizer("rival")
