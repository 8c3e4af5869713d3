"""The learned codecs end to end on tiny random networks: any size, exact decoding, damage of all kinds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_model import photograph_like, tiny_network

from benchmark.codecs import make_codec
from benchmark.codecs.base import collect_facts
from benchmark.errors import BitstreamError, CodecUnavailableError, PointError
from benchmark.learned.architectures.loading import described
from benchmark.learned.coding import bitstream
from benchmark.learned.coding.bitstream import CodedImage, pack, unpack
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.learned.weights import update_settings, write_weights

QUANTIZERS = ("scalar", "rdoq", "tcq4", "tcq8")
POINTS = (0.0067, 0.013)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for seed, lmbda in enumerate(POINTS):
        write_tiny(folder, seed, lmbda)
    return folder


@pytest.fixture(autouse=True)
def _use_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(weights))
    yield


def write_tiny(folder: Path, seed: int, lmbda: float) -> None:
    settings = {"tcq8": CalibratedSettings({lmbda: get_quantizer("tcq8").default_settings()})}
    network = tiny_network(seed)
    state = network.state_dict()
    # through float16 beforehand, and no negative zeros: then writing and reading give the same bits
    state = {name: value.half().float() + 0.0 for name, value in state.items() if value.is_floating_point()}
    write_weights(
        folder,
        state,
        network=described(network),
        variant="baseline",
        lmbda=lmbda,
        settings=settings,
        provenance={"seed": seed},
    )


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 64), (65, 128), (200, 70)])
def test_any_size_comes_back_alike(quantizer: str, size: tuple[int, int]) -> None:
    codec = make_codec("baseline", {"quantizer": quantizer})
    image = photograph_like(*size)
    stream = codec.encode(image, 0.013)
    decoded = codec.decode(stream)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert decoded.flags["C_CONTIGUOUS"]
    assert np.array_equal(codec.decode(stream), decoded)
    error = decoded.astype(float) - image
    assert (error**2).mean() < 0.5 * image.astype(float).var() + 900


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_bytes_stay_within_half_a_percent_and_32_bytes_of_the_estimate(quantizer: str) -> None:
    codec = make_codec("baseline", {"quantizer": quantizer})
    for size in ((1, 1), (64, 64), (192, 256)):
        with collect_facts() as facts:
            stream = codec.encode(photograph_like(*size), 0.013)
        estimate = facts["entropy_bits"] / 8
        assert estimate - 1 <= len(stream) <= estimate * 1.005 + 32


def test_the_four_quantizers_write_different_streams_of_falling_cost() -> None:
    image = photograph_like(256, 256)
    rows = {}
    for name in QUANTIZERS:
        codec = make_codec("baseline", {"quantizer": name})
        stream = codec.encode(image, 0.013)
        mse = ((codec.decode(stream).astype(float) - image) ** 2).mean()
        rows[name] = (len(stream), mse)
    assert len(set(rows.values())) == 4
    assert rows["rdoq"][0] < rows["scalar"][0]


def test_a_point_without_weights_says_which_exist() -> None:
    codec = make_codec("baseline-tcq8")
    with pytest.raises(PointError, match=r"no weights for lmbda 0.5; it has: 0.0067, 0.013"):
        codec.encode(photograph_like(8, 8), 0.5)


def test_a_variant_without_weights_is_unavailable(tmp_path: Path) -> None:
    codec = make_codec("baseline", {"weights": str(tmp_path)})
    for use in (codec.version, lambda: codec.check_point(0.013), lambda: codec.prepare(0.013)):
        with pytest.raises(CodecUnavailableError, match="BENCH_WEIGHTS_DIR"):
            use()


def test_the_version_changes_with_the_weights_and_needs_no_torch(weights: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path, 5, 0.013)
    before = make_codec("baseline", {"weights": str(tmp_path)}).version()
    image = photograph_like(64, 64)
    old = make_codec("baseline", {"weights": str(tmp_path)}).encode(image, 0.013)
    write_tiny(tmp_path, 6, 0.013)
    codec = make_codec("baseline", {"weights": str(tmp_path)})
    assert codec.version() != before
    with pytest.raises(BitstreamError, match="written by model"):
        codec.decode(old)
    assert codec.decode(codec.encode(image, 0.013)).shape == image.shape
    program = (
        "import sys; from benchmark.codecs import make_codec; make_codec('baseline').version(); "
        "make_codec('baseline').check_point(0.013); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_version_and_the_streams_change_with_calibrated_settings(tmp_path: Path) -> None:
    write_tiny(tmp_path, 5, 0.013)
    image = photograph_like(64, 64)
    tcq, scalar = (make_codec(name, {"weights": str(tmp_path)}) for name in ("baseline-tcq8", "baseline"))
    versions, streams = (tcq.version(), scalar.version()), tcq.encode(image, 0.013)
    update_settings(
        tmp_path, "baseline", 0.013, {"tcq8": CalibratedSettings({0.013: QuantizerSettings(1.5, 0.3)})}
    )
    assert tcq.version() != versions[0]
    assert tcq.version().endswith("(1.5, 0.3)")
    assert scalar.version() == versions[1]
    assert len(tcq.encode(image, 0.013)) < len(streams)  # in the same process too
    assert tcq.decode(streams).shape == image.shape  # the old stream says its step itself


def test_a_stream_of_another_model_or_quantizer_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path, 9, 0.013)
    image = photograph_like(64, 64)
    foreign = make_codec("baseline", {"weights": str(tmp_path)}).encode(image, 0.013)
    with pytest.raises(BitstreamError, match="written by model"):
        make_codec("baseline").decode(foreign)
    with pytest.raises(BitstreamError, match="written with scalar; baseline-tcq8 reads tcq8"):
        make_codec("baseline-tcq8").decode(make_codec("baseline").encode(image, 0.013))


@pytest.mark.parametrize("name", ["baseline", "baseline-tcq8"])
def test_swapped_cut_and_empty_streams_behind_a_right_checksum_are_refused(name: str) -> None:
    codec = make_codec(name)
    one, two = (unpack(codec.encode(photograph_like(128, 128, seed), 0.013)) for seed in (1, 2))
    assert one.hyper_stream != two.hyper_stream
    for hyper, latent in (
        (one.hyper_stream, two.latent_stream),
        (two.hyper_stream, one.latent_stream),
        (one.latent_stream, one.hyper_stream),
        (one.hyper_stream, b""),
        (b"", one.latent_stream),
        (b"", b""),
        (one.hyper_stream, one.latent_stream[:-1]),
        (one.hyper_stream, one.latent_stream + b"\1"),
        (one.hyper_stream[:-1], one.latent_stream),
    ):
        with pytest.raises(BitstreamError):
            codec.decode(pack(CodedImage(one.header, hyper, latent)))


def test_absurd_sizes_are_refused_at_once() -> None:
    """A header of 134 megapixels over a small stream: the streams cannot hold it, nothing is allocated."""
    codec = make_codec("baseline")
    container = unpack(codec.encode(photograph_like(64, 64), 0.013))
    header = bitstream.Header(container.header.model_id, 11585, 11585, "scalar", 1.0)
    start = time.perf_counter()
    with pytest.raises(BitstreamError, match="too few for the claimed 11585x11585"):
        codec.decode(pack(CodedImage(header, container.hyper_stream, container.latent_stream)))
    assert time.perf_counter() - start < 1.0
