"""Entropy coding: exact round trips, escapes, size against information content, damage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import decoded, tiny_network

from benchmark.errors import BitstreamError, CodecError
from benchmark.learned.architectures.mean_scale import HyperSynthesis
from benchmark.learned.coding.ans import AnsCoder, check_end, from_bytes, to_bytes
from benchmark.learned.coding.factorized import HyperLatents
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.exact.grid import scale_indices
from benchmark.learned.quantizers import QUANTIZERS, get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.tables import SCALE_TABLE

SEED = 0xDEADBEEF


def some_latents(channels: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scale_index = rng.integers(0, 64, (channels, length)).astype(np.uint8)
    residual = rng.standard_normal((channels, length)) * SCALE_TABLE[scale_index]
    return residual.astype(np.float32), scale_index


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_indices_survive_and_cost_what_the_model_says(name: str) -> None:
    residual, scale_index = some_latents(24, 700)
    quantizer = get_quantizer(name)
    setting = quantizer.default_settings()
    indices = quantizer.quantize(residual, scale_index, setting)
    coder = index_coder(get_quantizer(name), setting)
    stream = coder.encode([indices], [scale_index], SEED)
    assert np.array_equal(decoded(coder, stream, scale_index, SEED), indices)
    estimate = coder.entropy_bits(indices, scale_index) / 8
    assert estimate - 1 <= len(stream) <= estimate * 1.0005 + 6


@pytest.mark.parametrize("name", QUANTIZERS.names())
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_int32_survives(name: str, data: st.DataObject) -> None:
    """Indices that no quantizer would choose are coded without loss as well: nothing clips."""
    channels, length = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    size = channels * length
    wild = st.one_of(st.integers(-3, 3), st.integers(-600, 600), st.integers(-(2**31) + 1, 2**31 - 1))
    indices = np.array(data.draw(st.lists(wild, min_size=size, max_size=size)), np.int32).reshape(
        channels, length
    )
    scales = np.array(data.draw(st.lists(st.integers(0, 63), min_size=size, max_size=size)), np.uint8)
    scale_index = scales.reshape(channels, length)
    coder = index_coder(get_quantizer(name), QuantizerSettings(delta=0.7))
    stream = coder.encode([indices], [scale_index], SEED)
    assert np.array_equal(decoded(coder, stream, scale_index, SEED), indices)
    assert len(stream) <= coder.entropy_bits(indices, scale_index) / 8 * 1.005 + 8


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_one_wrong_scale_index_is_noticed(name: str) -> None:
    residual, scale_index = some_latents(16, 300)
    quantizer = get_quantizer(name)
    setting = quantizer.default_settings()
    indices = quantizer.quantize(residual, scale_index, setting)
    coder = index_coder(get_quantizer(name), setting)
    stream = coder.encode([indices], [scale_index], SEED)
    wrong = scale_index.copy()
    wrong[7, 150] ^= 1
    with pytest.raises(BitstreamError, match="damaged or foreign"):
        decoded(coder, stream, wrong, SEED)


def test_a_stream_of_another_seed_is_noticed() -> None:
    residual, scale_index = some_latents(4, 50)
    coder = index_coder(get_quantizer("scalar"), QuantizerSettings(1.0))
    stream = coder.encode([np.rint(residual).astype(np.int32)], [scale_index], SEED)
    with pytest.raises(BitstreamError, match="damaged or foreign"):
        decoded(coder, stream, scale_index, SEED ^ 1)


def test_streams_of_zeros_cost_next_to_nothing() -> None:
    indices = np.zeros((192, 1536), np.int32)
    scale_index = np.zeros(indices.shape, np.uint8)
    coder = index_coder(get_quantizer("tcq8"), QuantizerSettings(delta=0.6))
    stream = coder.encode([indices], [scale_index], SEED)
    assert len(stream) < coder.entropy_bits(indices, scale_index) / 8 * 1.005 + 5
    assert np.array_equal(decoded(coder, stream, scale_index, SEED), indices)


def test_frequencies_are_the_committed_integers() -> None:
    """Golden numbers: where they change, bitstream.VERSION must change too."""
    from zlib import crc32

    found = {}
    for name in ("scalar", "tcq8"):
        alphabets = index_coder(get_quantizer(name), QuantizerSettings(delta=0.625))._alphabets
        found[name] = crc32(b"".join(row.astype("<i8").tobytes() for row in alphabets.frequencies))
    assert found == GOLDEN_FREQUENCIES


def test_a_stream_that_ends_in_zero_is_refused() -> None:
    with pytest.raises(BitstreamError, match="zero byte"):
        from_bytes(b"\1\2\0")


def test_bytes_without_their_trailing_zeros_are_the_same_coder() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        indices = rng.integers(-2, 3, (1, seed % 9)).astype(np.int32)
        scale_index = np.full(indices.shape, 20, np.uint8)
        coder = index_coder(get_quantizer("scalar"), QuantizerSettings(1.0))
        assert np.array_equal(
            decoded(coder, coder.encode([indices], [scale_index], SEED), scale_index, SEED), indices
        )
    empty = AnsCoder()
    check_end(from_bytes(to_bytes(empty)), 0, "empty")


def test_hyper_latents_survive_and_cost_what_the_model_says() -> None:
    coder = HyperLatents(tiny_network().entropy_bottleneck)
    z = torch.randn(1, 8, 6, 9, generator=torch.Generator().manual_seed(0)) * 8
    z[0, 0, 0, 0], z[0, 3, 2, 2] = 5e5, -2000.0
    symbols = coder.symbols(z)
    stream = coder.encode(symbols)
    assert np.array_equal(coder.decode(stream, 54), symbols)
    estimate = coder.entropy_bits(symbols) / 8
    assert estimate - 1 <= len(stream) <= estimate * 1.0005 + 6
    assert 8 * len(stream) >= coder.least_bits(54)
    error = coder.dequantize(symbols) - z[0].flatten(1).numpy()
    assert np.abs(error).max() <= 0.5 + 1e-3


def test_hyper_tables_follow_compressai() -> None:
    """The cumulative distribution agrees with EntropyBottleneck's likelihood, which is float32."""
    network = tiny_network()
    coder = HyperLatents(network.entropy_bottleneck)
    symbols = np.repeat(np.arange(-8, 9, dtype=np.int32)[None], 8, axis=0)
    z_hat = torch.from_numpy(coder.dequantize(symbols)).float()[None, :, :, None]
    with torch.no_grad():
        likelihood = network.entropy_bottleneck(z_hat, training=False)[1]
    ours = coder.entropy_bits(symbols)
    assert ours == pytest.approx(float(-likelihood.log2().sum()), rel=2e-3)


def test_hyper_latents_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(CodecError, match="not finite"):
        HyperLatents(tiny_network().entropy_bottleneck).symbols(torch.full((1, 8, 2, 2), float("nan")))


def test_order_of_summation_has_no_influence_on_the_hyper_decoder() -> None:
    """The proof that scale indices cannot flip: hidden channels shuffled, all sums taken in another order."""
    network, shuffled = tiny_network(), tiny_network()
    generator = torch.Generator().manual_seed(1)
    channels = [torch.randperm(n, generator=generator) for n in (8, 12, 18)]
    with torch.no_grad():
        for layer, inside, outside in ((0, channels[0], channels[1]), (2, channels[1], channels[2])):
            shuffled.h_s[layer].weight.copy_(network.h_s[layer].weight[inside][:, outside])
            shuffled.h_s[layer].bias.copy_(network.h_s[layer].bias[outside])
        shuffled.h_s[4].weight.copy_(network.h_s[4].weight[:, channels[2]])
    z_hat = np.random.default_rng(0).integers(-4000, 4000, (8, 11, 5)) / 1024.0 * 64
    mu, scale_index = HyperSynthesis(network.h_s).parameters(z_hat)
    other_mu, other_scale_index = HyperSynthesis(shuffled.h_s).parameters(z_hat[channels[0].numpy()])
    assert np.array_equal(mu, other_mu)
    assert np.array_equal(scale_index, other_scale_index)
    assert len(np.unique(scale_index)) > 10


def test_exact_hyper_decoder_follows_the_float_one() -> None:
    network = tiny_network()
    z_hat = np.random.default_rng(0).integers(-20, 20, (8, 3, 21)).astype(np.float64)
    mu, scale_index = HyperSynthesis(network.h_s).parameters(z_hat)
    with torch.no_grad():
        float_mu, float_sigma = network.hyper_synthesis(torch.from_numpy(z_hat).float()[None])
    assert np.abs(mu - float_mu[0].numpy()).max() < 2e-3
    assert (scale_index != scale_indices(float_sigma[0].double().numpy())).mean() < 2e-3


def test_scale_indices_are_the_nearest_by_ratio() -> None:
    sigma = np.array([-1.0, 0.0, 0.11, 0.1169, 0.1171, 3.0, 256.0, 1e9])
    found = scale_indices(sigma)
    nearest = np.abs(np.log(np.maximum(sigma, 1e-9))[:, None] - np.log(SCALE_TABLE)).argmin(axis=1)
    assert np.array_equal(found, nearest)


GOLDEN_FREQUENCIES = {"scalar": 211135995, "tcq8": 1652341545}
