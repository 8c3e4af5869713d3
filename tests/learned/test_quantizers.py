"""The quantizers behind their common interface: laws, tables, exactness, and input that must not hurt."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from benchmark.errors import CodecError, UsageError
from benchmark.learned import tables
from benchmark.learned.quantizers import QUANTIZERS, get_quantizer
from benchmark.learned.quantizers.base import LARGEST_UNITS, Quantizer, QuantizerSettings
from benchmark.learned.quantizers.fitted import FittedQuantizer
from benchmark.learned.quantizers.scalar import DEADZONE_ROUNDING
from benchmark.learned.tables import ESCAPE_FLOOR, MAX_RADIUS, SCALE_TABLE, SCALES

SEARCHING = ("rdoq", "tcq4", "tcq8")
EXPANDED = ("rdoq", "tcq8")
"""Those that have a form with reconstruction offsets."""
TABLED = ("scalar", "deadzone", *SEARCHING)
"""The expanded quantizers have the tables of the plain ones."""
Residual = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def latent(seed: int, shape: tuple[int, int], scales: tuple[int, int] = (0, 40)) -> tuple[Residual, Bytes]:
    """Return Gaussian residuals and the scale indices that they were drawn with."""
    rng = np.random.default_rng(seed)
    scale_index = rng.integers(*scales, shape).astype(np.uint8)
    return (rng.standard_normal(shape) * SCALE_TABLE[scale_index]).astype(np.float32), scale_index


def table_bits(
    quantizer: Quantizer, indices: NDArray[np.int32], scale_index: Bytes, delta: float
) -> NDArray[np.float64]:
    """Return the bits of each index under the quantizer's tables; no index may be an escape."""
    pmf = quantizer.pmf_tables(QuantizerSettings(delta))
    assert (np.abs(indices) <= pmf.radius[scale_index]).all()
    used = quantizer.lattice_of(indices)
    return np.asarray(-np.log2(pmf.probabilities[used, scale_index, indices + pmf.max_radius]))


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_every_quantizer_has_its_machine_and_tables(name: str) -> None:
    quantizer = get_quantizer(name)
    assert quantizer.name == name
    states = 1 if quantizer.machine is None else quantizer.machine.states
    assert states == {"tcq4": 4, "tcq8": 8}.get(name.removesuffix("-expanded"), 1)
    assert quantizer.lattices == quantizer.pmf_tables(quantizer.default_settings()).escape.shape[0]
    quantizer.prepare()
    quantizer.prepare(QuantizerSettings(delta=0.5, trellis_lambda=0.1))


def test_an_unknown_name_offers_the_near_one() -> None:
    with pytest.raises(UsageError, match="'tcq8'"):
        get_quantizer("tqc8")


@pytest.mark.parametrize(
    ("delta", "trellis_lambda", "field"),
    [
        (0.0, 0.0, "delta"),
        (-1.0, 0.0, "delta"),
        (math.nan, 0.0, "delta"),
        (math.inf, 0.0, "delta"),
        (1.0, -0.1, "trellis_lambda"),
        (1.0, math.nan, "trellis_lambda"),
    ],
)
def test_settings_out_of_range_name_the_field(delta: float, trellis_lambda: float, field: str) -> None:
    with pytest.raises(UsageError, match=field):
        QuantizerSettings(delta, trellis_lambda)


@pytest.mark.parametrize("name", QUANTIZERS.names())
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_residuals_that_are_no_latent_are_refused(name: str, value: float) -> None:
    quantizer = get_quantizer(name)
    residual, scale_index = latent(0, (3, 70))
    residual[2, 69] = value
    with pytest.raises(CodecError, match="not finite or absurdly large"):
        quantizer.quantize(residual, scale_index, quantizer.default_settings())


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_shapes_and_scale_indices_are_checked(name: str) -> None:
    quantizer = get_quantizer(name)
    residual, scale_index = latent(0, (3, 70))
    defaults = quantizer.default_settings()
    with pytest.raises(CodecError, match="scale_index"):
        quantizer.quantize(residual, scale_index[:, 1:], defaults)
    with pytest.raises(CodecError, match="below 64"):
        quantizer.quantize(residual, np.full(residual.shape, 64, np.uint8), defaults)
    empty = quantizer.quantize(residual[:, :0], scale_index[:, :0], defaults)
    assert empty.shape == (3, 0)
    assert empty.dtype == np.int32


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_layout_and_types(name: str) -> None:
    quantizer = get_quantizer(name)
    residual, scale_index = latent(1, (21, 100))
    defaults = quantizer.default_settings()
    indices = quantizer.quantize(residual, scale_index, defaults)
    turned = quantizer.quantize(np.asfortranarray(residual), np.asfortranarray(scale_index), defaults)
    np.testing.assert_array_equal(indices, turned)
    values = quantizer.dequantize(np.asfortranarray(indices), np.asfortranarray(scale_index), defaults)
    used = quantizer.lattice_of(indices)
    assert [indices.dtype.name, values.dtype.name, used.dtype.name] == ["int32", "float32", "uint8"]
    assert indices.shape == values.shape == used.shape == residual.shape
    np.testing.assert_array_equal(values, quantizer.dequantize(indices, scale_index, defaults))
    assert int(used.max()) == quantizer.lattices - 1


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_nothing_clips(name: str) -> None:
    quantizer = get_quantizer(name)
    defaults = quantizer.default_settings()
    residual = np.array([[-60_000.0, 700.0, 3.0, -1e6, 63.5] * 5], np.float32)
    scale_index = np.zeros(residual.shape, np.uint8)
    indices = quantizer.quantize(residual, scale_index, defaults)
    values = quantizer.dequantize(indices, scale_index, defaults)
    far = np.abs(residual) > 60
    # an escape costs at most 80 bits, so no index is further away than their worth in distortion
    # nor is any point moved by more than twice the step beyond that
    bound = 2 * defaults.delta + math.sqrt(80 * defaults.trellis_lambda) + 2 * defaults.delta
    assert (np.abs(values - residual)[far] <= bound).all()
    edge = np.full((1, 3), 0.999 * LARGEST_UNITS * defaults.delta, np.float32)
    assert quantizer.quantize(edge, np.zeros(edge.shape, np.uint8), defaults).min() > 0


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=50),
    delta=st.floats(0.125, 4.0),
)
def test_scalar_rounds_to_the_nearest_point(values: list[float], delta: float) -> None:
    residual = np.array([values], np.float32)
    quantizer, chosen = get_quantizer("scalar"), QuantizerSettings(delta)
    scale_index = np.zeros(residual.shape, np.uint8)
    indices = quantizer.quantize(residual, scale_index, chosen)
    error = np.abs(quantizer.dequantize(indices, scale_index, chosen) - residual)
    assert (error <= 0.5 * delta + 1e-3).all()


def test_scalar_rounds_half_to_even() -> None:
    residual = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5]], np.float32)
    indices = get_quantizer("scalar").quantize(
        residual, np.zeros(residual.shape, np.uint8), QuantizerSettings(1.0)
    )
    assert indices.tolist() == [[0, 2, 2, 0, -2, -2]]


def test_deadzone_truncates_after_adding_its_constant() -> None:
    edge = 1.0 - DEADZONE_ROUNDING
    residual = np.array([[edge - 0.01, edge + 0.01, -edge - 0.01, 1.66, 1.68]], np.float32)
    indices = get_quantizer("deadzone").quantize(
        residual, np.zeros(residual.shape, np.uint8), QuantizerSettings(1.0)
    )
    assert indices.tolist() == [[0, 1, -1, 1, 2]]


@pytest.mark.parametrize("slope", [0.0, 0.05, 0.1])
def test_rdoq_finds_the_least_cost_of_all_indices(slope: float) -> None:
    residual, scale_index = latent(2, (8, 500), (10, 36))
    quantizer, chosen = get_quantizer("rdoq"), QuantizerSettings(0.8, slope)
    pmf = quantizer.pmf_tables(chosen)
    k = np.arange(-pmf.max_radius, pmf.max_radius + 1)
    listed = np.maximum(pmf.probabilities[0, scale_index], 1e-300)
    cost = (residual[:, :, None] - 0.8 * k) ** 2 - slope * np.log2(listed)
    cost = np.where(np.abs(k) <= pmf.radius[scale_index][:, :, None], cost, np.inf)
    indices = quantizer.quantize(residual, scale_index, chosen)
    inside = np.abs(residual) < 3.0 * SCALE_TABLE[scale_index]
    found = np.take_along_axis(cost, (indices + pmf.max_radius)[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(found[inside], cost.min(axis=2)[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", QUANTIZERS.names())
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), delta=st.floats(0.2, 3.0), slope=st.floats(0.0, 1.0))
def test_negating_the_residual_negates_the_indices(name: str, seed: int, delta: float, slope: float) -> None:
    residual, scale_index = latent(seed, (3, 80))
    quantizer, chosen = get_quantizer(name), QuantizerSettings(delta, slope * delta**2)
    indices = quantizer.quantize(residual, scale_index, chosen)
    np.testing.assert_array_equal(quantizer.quantize(-residual, scale_index, chosen), -indices)


@pytest.mark.parametrize("name", SEARCHING)
def test_more_lambda_means_fewer_bits_and_more_distortion(name: str) -> None:
    residual, scale_index = latent(3, (32, 1000), (12, 30))
    quantizer = get_quantizer(name)
    delta = quantizer.default_settings().delta
    bits, distortion = [], []
    for slope in (0.0, 0.1, 0.3, 1.0):
        chosen = QuantizerSettings(delta, slope * delta**2)
        indices = np.clip(quantizer.quantize(residual, scale_index, chosen), -MAX_RADIUS, MAX_RADIUS)
        pmf = quantizer.pmf_tables(chosen)
        every = np.maximum(pmf.probabilities, 2.0**-16)
        column = np.clip(indices, -pmf.max_radius, pmf.max_radius) + pmf.max_radius
        bits.append(float(-np.log2(every[quantizer.lattice_of(indices), scale_index, column]).sum()))
        distortion.append(float(((quantizer.points(indices, chosen) - residual) ** 2).sum()))
    assert bits == sorted(bits, reverse=True)
    assert distortion == sorted(distortion)


@pytest.mark.parametrize("name", EXPANDED)
def test_the_points_of_an_expanded_quantizer_are_moved_after_the_search(name: str) -> None:
    expanded, chosen = get_quantizer(f"{name}-expanded"), QuantizerSettings(0.7, 0.1)
    assert isinstance(expanded, FittedQuantizer)
    zero = (0.0,) * len(expanded.fit.shift)
    plain = expanded.refitted(replace(expanded.fit, stretch=zero, shift=zero))
    residual, scale_index = latent(3, (20, 300))
    indices = plain.quantize(residual, scale_index, chosen)
    np.testing.assert_array_equal(expanded.quantize(residual, scale_index, chosen), indices)
    values = plain.dequantize(indices, scale_index, chosen)
    np.testing.assert_array_equal(values, get_quantizer(name).points(indices, chosen))
    moved = expanded.dequantize(indices, scale_index, chosen) - values
    assert (
        moved[(indices != 0) & (scale_index < 16)] * values[(indices != 0) & (scale_index < 16)] > 0
    ).all()
    assert not moved[indices == 0].any()


@pytest.mark.parametrize("name", EXPANDED)
def test_points_move_away_from_zero_as_fitted(name: str) -> None:
    quantizer, chosen = get_quantizer(f"{name}-expanded"), QuantizerSettings(0.75)
    assert isinstance(quantizer, FittedQuantizer)
    stretch, shift = quantizer.fit.expansion()
    k = np.arange(-12, 13, dtype=np.int32) * 2  # even: a trellis stays in state 0
    indices, scale_index = np.broadcast_to(k, (SCALES, 25)), np.arange(SCALES, dtype=np.uint8)[:, None]
    scale_index = np.broadcast_to(scale_index, indices.shape)
    points = indices * 0.75 * quantizer.lattices
    move = np.minimum(np.abs(points), 4 * 0.75) * stretch[:, None] + 0.75 * shift[:, None]
    values = quantizer.dequantize(np.ascontiguousarray(indices), scale_index, chosen)
    np.testing.assert_allclose(values, points + np.sign(points) * move, rtol=1e-6)
    assert (np.diff(values, axis=1) > 0).all()
    # the finest scales are expanded, the coarse ones left alone
    assert (values[:16, -1] - points[0, -1] > 0.05).all()
    np.testing.assert_allclose(values[40:], points[40:], rtol=0.01)


@pytest.mark.parametrize("name", SEARCHING)
def test_lambda_beyond_all_distortion_gives_zeros(name: str) -> None:
    residual, scale_index = latent(4, (20, 200))
    assert not get_quantizer(name).quantize(residual, scale_index, QuantizerSettings(0.6, 1e9)).any()


@pytest.mark.parametrize("name", TABLED)
@pytest.mark.parametrize("delta", [0.01, 0.3, 0.6, 1.0, 7.0])
def test_tables_are_distributions(name: str, delta: float) -> None:
    pmf = get_quantizer(name).pmf_tables(QuantizerSettings(delta))
    listed = np.abs(np.arange(-pmf.max_radius, pmf.max_radius + 1)) <= pmf.radius[:, None]
    assert (pmf.probabilities[:, ~listed] == 0).all()
    assert (pmf.probabilities >= 0).all()
    np.testing.assert_array_equal(pmf.probabilities, pmf.probabilities[:, :, ::-1])
    np.testing.assert_allclose(pmf.probabilities.sum(axis=2) + pmf.escape, 1.0, atol=1e-12)
    assert (pmf.escape >= ESCAPE_FLOOR).all()
    assert pmf.radius.min() >= 1
    assert pmf.radius.max() <= MAX_RADIUS
    # what makes "all zeros" the cheapest path of a trellis: no index costs less than the zero of Q0
    # by more than 0.002 bit
    zero = pmf.probabilities[:1, :, pmf.max_radius][:, :, None]
    assert (pmf.probabilities <= 1.001 * zero + 3e-7).all()


@pytest.mark.parametrize("name", QUANTIZERS.names())
def test_tables_depend_on_delta_alone(name: str) -> None:
    quantizer = get_quantizer(name)
    tables_of = quantizer.pmf_tables
    assert tables_of(QuantizerSettings(0.7, 0.0)) is tables_of(QuantizerSettings(0.7, 3.0))


@pytest.mark.parametrize("name", TABLED)
@pytest.mark.parametrize("ratio", [0.45, 0.8, 1.2, 2.5, 6.0])
def test_tables_match_what_the_quantizer_picks(name: str, ratio: float) -> None:
    # at the default slope, on Gaussian residuals, the tables lose next to nothing to the true frequencies
    quantizer = get_quantizer(name)
    defaults = quantizer.default_settings()
    scale = int(np.abs(np.log(SCALE_TABLE / (ratio * defaults.delta))).argmin())
    residual, scale_index = latent(5, (64, 4096), (scale, scale + 1))
    indices = quantizer.quantize(residual, scale_index, defaults)
    radius = int(quantizer.pmf_tables(defaults).radius[scale])
    indices = np.clip(indices, -radius, radius)
    used = quantizer.lattice_of(indices)
    entropy = 0.0
    for number in range(quantizer.lattices):
        counts = np.bincount(indices[used == number] + radius, minlength=1)
        counts = counts[counts > 0]
        entropy -= float((counts * np.log2(counts / counts.sum())).sum())
    bits = float(table_bits(quantizer, indices, scale_index, defaults.delta).sum())
    # the tables of those that search are fitted to latents, whose tails are heavier than a Gaussian's
    allowed = 0.035 if name in SEARCHING else 0.012
    assert 0.0 <= (bits - entropy) / indices.size < allowed


def test_the_built_functions_are_the_true_ones() -> None:
    x = np.linspace(0.0, 35.0, 10_001)
    np.testing.assert_allclose(tables.normal_tail(x), norm.sf(x), rtol=1.3e-7)
    y = np.linspace(-700.0, 700.0, 10_001)
    np.testing.assert_allclose(tables.exact_exp(y), np.exp(y), rtol=1e-15)
    z = np.exp(np.linspace(-600.0, 600.0, 10_001))
    np.testing.assert_allclose(tables.exact_log2(z), np.log2(z), atol=2e-13)
    knots = (1.0, 3.0, 2.0)
    at = np.linspace(0.0, 5.0, 101)
    np.testing.assert_allclose(
        tables.interpolate(at, 0.5, 1.25, knots), np.interp(at, [0.5, 1.75, 3.0], knots)
    )


def test_the_scale_table_is_compressais() -> None:
    expected = np.exp(np.linspace(math.log(0.11), math.log(256), SCALES))
    np.testing.assert_allclose(SCALE_TABLE, expected, rtol=2e-7)


# These bits are the format: a change makes old streams unreadable. Remake with
#   python -c "from test_quantizers import fingerprint as f; print(f('tcq8'))"  (in this folder)
FINGERPRINTS = {
    "scalar": "fcf31ccf3aec2701",
    "deadzone": "142a88443972b605",
    "rdoq": "171495f9b94d1e04",
    "tcq4": "af82b6f5fea6540b",
    "tcq8": "46c8ff48e298dfde",
}


def fingerprint(name: str) -> str:
    """Return the first 16 hex digits of the sha256 of all table bits at two steps."""
    digest = hashlib.sha256()
    for delta in (0.6, 1.0):
        pmf = get_quantizer(name).pmf_tables(QuantizerSettings(delta))
        for array in (pmf.probabilities, pmf.escape, pmf.radius):
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("name", TABLED)
def test_tables_have_the_same_bits_on_every_machine(name: str) -> None:
    assert fingerprint(name) == FINGERPRINTS[name]
