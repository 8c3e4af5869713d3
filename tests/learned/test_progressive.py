"""Embedded quantization: laws of its cells against scipy, and of streams that are cut."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm, truncnorm
from tiny_model import photograph_like

from benchmark.arrays import I32, U8, Image
from benchmark.codecs import make_codec
from benchmark.codecs.base import collect_facts
from benchmark.errors import BitstreamError, CodecError, CodecUnavailableError
from benchmark.learned.coding.embedded import LISTED, Embedding
from benchmark.learned.coding.layers import layers, read_layers
from benchmark.learned.progressive import FINEST, LAYERS, PLANES, cut
from benchmark.learned.tables import ESCAPE_FLOOR, SCALE_TABLE

EMBEDDING = Embedding(FINEST, PLANES)


def samples(scales: range, amount: int = 20_000) -> tuple[I32, U8]:
    """Gaussian residuals of some scales as indices of the last plane, and their scale indices."""
    rng = np.random.default_rng(2)
    scale_index = rng.integers(scales.start, scales.stop, amount).astype(np.uint8)
    residual = rng.normal(0, SCALE_TABLE[scale_index]).astype(np.float32)
    return EMBEDDING.quantize(residual), scale_index


def test_indices_of_all_planes_are_those_of_the_definition() -> None:
    residual = np.random.default_rng(0).normal(0, 40, 5000).astype(np.float32)
    last = EMBEDDING.quantize(residual)
    for plane in range(PLANES + 1):
        step = FINEST * 2 ** (PLANES - plane)
        expected = np.sign(residual) * np.floor(np.abs(residual) / step)
        assert np.array_equal(EMBEDDING.at(last, plane), expected)
        if plane:
            before = EMBEDDING.at(last, plane - 1)
            split = EMBEDDING.split(before, EMBEDDING.at(last, plane))
            assert set(split[before == 0]) <= {-1, 0, 1}
            assert set(split[before != 0]) <= {0, 1}
            assert np.array_equal(EMBEDDING.refined(before, split), EMBEDDING.at(last, plane))


@pytest.mark.parametrize(("scales", "within"), [(range(0, 27), 2e-4), (range(27, 50), 5e-3)])
def test_ideal_lengths_of_the_layers_add_up_to_that_of_the_last_index(scales: range, within: float) -> None:
    """Within what 20-bit frequencies cost; beyond the listed cells, by the model that halves are alike."""
    indices, scale_index = samples(scales)
    lengths = [layer.entropy_bits() for layer in layers(EMBEDDING, indices, scale_index, LAYERS)]
    sigma, magnitude = SCALE_TABLE[scale_index], np.abs(indices)
    near, far = magnitude * FINEST / sigma, (magnitude + 1) * FINEST / sigma
    mass = np.where(indices == 0, 1 - 2 * norm.sf(far), norm.sf(near) - norm.sf(far))
    ideal = float(-np.log2(mass * (1 - ESCAPE_FLOOR)).sum())
    assert sum(lengths) == pytest.approx(ideal, rel=within)
    streams = [layer.encode(1) for layer in layers(EMBEDDING, indices, scale_index, LAYERS)]
    assert 8 * sum(map(len, streams)) < sum(lengths) * 1.001 + 64 * LAYERS


def test_cells_have_the_normal_distributions_masses_and_centroids() -> None:
    for plane, scale in ((0, 60), (3, 40), (PLANES, 25), (PLANES, 45)):
        step, sigma = EMBEDDING.step(plane), SCALE_TABLE[scale]
        edges = np.arange(1, 7) * step
        mass = norm.sf(edges[:-1] / sigma) - norm.sf(edges[1:] / sigma)
        assert EMBEDDING.masses[plane, scale, 1:6] == pytest.approx(mass, rel=1e-4)
        means = truncnorm.mean(edges[:-1] / sigma, edges[1:] / sigma, scale=sigma)
        assert EMBEDDING.centroids[plane, scale, 1:6] == pytest.approx(means, rel=1e-3)


def test_layers_are_of_falling_slope_and_no_plane_comes_before_the_one_above_it() -> None:
    assert (np.diff(EMBEDDING.layers, axis=0) >= 0).all()
    assert EMBEDDING.layers.min() == 0
    assert EMBEDDING.layers.max() == EMBEDDING.count - 1 == LAYERS - 1
    indices, scale_index = samples(range(20, 45))
    residual = np.random.default_rng(2)
    residual.integers(20, 45, len(indices))
    values = residual.normal(0, SCALE_TABLE[scale_index])
    errors, bits = [float(np.square(values).sum())], []
    for number, layer in enumerate(layers(EMBEDDING, indices, scale_index, LAYERS), 1):
        planes = EMBEDDING.planes_after(number)
        known = np.zeros(len(indices), np.int32)
        for plane in range(PLANES + 1):
            known = np.where(planes[scale_index] == plane, EMBEDDING.at(indices, plane), known)
        errors.append(float(np.square(values - EMBEDDING.dequantize(known, scale_index, planes)).sum()))
        bits.append(layer.entropy_bits())
    slopes = -np.diff(errors)[1:-1] / np.array(bits[1:-1])
    assert (slopes[1:] < slopes[:-1]).all()
    assert slopes[0] / slopes[-1] > 100


def test_tables_are_the_same_bits_everywhere() -> None:
    parts = [EMBEDDING.masses, EMBEDDING.centroids, EMBEDDING.layers]
    found = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
    assert found[:16] == "6caf667b383a181a"


def test_indices_far_beyond_the_listed_ones_come_back() -> None:
    indices = np.array([0, 1, -1, LISTED, -LISTED * 3, 100_000, -(2**20)], np.int32)
    scale_index = np.array([0, 0, 1, 5, 63, 30, 0], np.uint8)
    seed, streams = 1, []
    for layer in layers(EMBEDDING, indices, scale_index, LAYERS):
        seed = layer.checksum(seed)
        streams.append(layer.encode(seed))
    assert np.array_equal(read_layers(EMBEDDING, streams, scale_index, 1), indices)
    with pytest.raises(BitstreamError, match="layer 2"):
        read_layers(EMBEDDING, [streams[0], streams[2]], scale_index, 1)
    with pytest.raises(CodecError, match="absurdly large"):
        EMBEDDING.quantize(np.array([np.nan], np.float32))


@cache
def picture() -> Image:
    return photograph_like(64, 96)


@cache
def whole() -> bytes:
    return make_codec("progressive").encode(picture(), LAYERS)


def test_every_prefix_is_the_stream_of_so_many_layers_and_decodes_better_than_the_one_before() -> None:
    codec = make_codec("progressive")
    errors = []
    for number in range(1, LAYERS + 1):
        prefix = cut(whole(), number)
        assert whole().startswith(prefix)
        errors.append(float(np.square(codec.decode(prefix).astype(np.float64) - picture()).mean()))
    assert cut(whole(), LAYERS) == whole()
    with collect_facts() as facts:
        assert codec.encode(picture(), 9) == cut(whole(), 9)
    assert facts["entropy_bits"] < 8 * len(cut(whole(), 9)) < facts["entropy_bits"] * 1.1 + 64 * 12
    assert errors[-1] < 0.2 * errors[0]
    assert all(after < 1.03 * before for before, after in pairwise(errors))


def test_cuts_elsewhere_and_damage_are_refused() -> None:
    codec = make_codec("progressive")
    ends = {len(cut(whole(), number)) for number in range(1, LAYERS + 1)}
    for end in sorted({*range(0, len(whole()), 97), *(end - 1 for end in ends)} - ends):
        with pytest.raises(BitstreamError):
            codec.decode(whole()[:end])
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(whole()), 12):
        damaged = bytearray(whole())
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(BitstreamError):
            codec.decode(bytes(damaged))
    with pytest.raises(BitstreamError, match="behind the last of 14 layers"):
        codec.decode(whole() + b"\x01\x00")
    with pytest.raises(BitstreamError, match="has 14 layers, not 15"):
        cut(whole(), 15)


def test_a_network_whose_latents_hang_on_one_another_is_refused() -> None:
    codec = make_codec("progressive", {"variant": "patch"})
    with pytest.raises(CodecUnavailableError, match=r"'patch' codes its latents in \d+ steps"):
        codec.version()
