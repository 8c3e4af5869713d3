"""The trellis search against brute force, against a plain reference, and its laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_model import NNCODEC8

from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.trellis import TCQ4, TCQ8, Trellis, rate_table

Floats = NDArray[np.float32]
MACHINES = [
    pytest.param(TCQ4, id="tcq4"),
    pytest.param(TCQ8, id="tcq8"),
    pytest.param(NNCODEC8, id="nncodec8"),
]
MAGNITUDES = 24


def random_costs(seed: int, weight: float = 0.3, scales: int = 64) -> Floats:
    """Return costs [2, scales, MAGNITUDES] that grow with the magnitude, as those of a unimodal pmf do."""
    steps = np.random.default_rng(seed).exponential(1.0, (2, scales, MAGNITUDES))
    return np.asarray(np.cumsum(weight * steps, axis=2), np.float32)


def units(seed: int, shape: tuple[int, ...], spread: float = 2.0) -> Floats:
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(np.float32)


def scales_of(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed + 1).integers(0, 64, shape).astype(np.uint8)


def search(
    u: Floats, scale: NDArray[np.uint8], costs: Floats, machine: Trellis, threads: int = 1
) -> NDArray[np.int32]:
    table = rate_table(costs, np.full(costs.shape[1], costs.shape[2], np.int32))
    return trellis.search(u, scale, 1.0, table, machine, threads)


def visited_states(indices: NDArray[np.int32], machine: Trellis) -> NDArray[np.int64]:
    """Return the states that a decoder is in, [C, L], from the definition."""
    states = np.zeros(indices.shape, np.int64)
    for t in range(1, indices.shape[1]):
        states[:, t] = machine.next_state[states[:, t - 1], indices[:, t - 1] & 1]
    return states


def path_cost(
    u: Floats, scale: NDArray[np.uint8], costs: Floats, machine: Trellis, indices: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return J of each channel in float64, from the definition of the reconstruction."""
    quantizer = machine.lattice[visited_states(indices, machine)].astype(np.int64)
    values = 2 * indices - quantizer * np.sign(indices)
    rate = costs[quantizer, scale, np.minimum(np.abs(indices), costs.shape[2] - 1)]
    return np.asarray(((u.astype(np.float64) - values) ** 2 + rate).sum(axis=1))


def reference_cost(
    u: Floats, scale: NDArray[np.uint8], costs: Floats, machine: Trellis
) -> NDArray[np.float64]:
    """Return the least J of each channel: dynamic programming over all magnitudes listed, in float64."""
    best = np.full((2, 2, *u.shape), np.inf)
    for k in range(-costs.shape[2] + 1, costs.shape[2]):
        for q in (0, 1):
            cost = (u.astype(np.float64) - (2 * k - q * np.sign(k))) ** 2 + costs[q, scale, abs(k)]
            best[q, k & 1] = np.minimum(best[q, k & 1], cost)
    before = machine.predecessors()
    origin, parity = before[:, :, 0], before[:, :, 1]
    steps = best[machine.lattice[origin], parity]
    cost = np.full((machine.states, len(u)), np.inf)
    cost[0] = 0.0
    for t in range(u.shape[1]):
        cost = (cost[origin] + steps[:, :, :, t]).min(axis=1)
    least_cost: NDArray[np.float64] = cost.min(axis=0)
    return least_cost


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_has_two_predecessors_of_one_quantizer(machine: Trellis) -> None:
    before = machine.predecessors()
    assert before.shape == (machine.states, 2, 2)
    for state, pair in enumerate(before):
        for origin, parity in pair:
            assert machine.next_state[origin, parity] == state
        assert machine.lattice[pair[0, 0]] == machine.lattice[pair[1, 0]]
        assert set(pair[:, 1]) == {0, 1}
    assert np.bincount(machine.lattice).tolist() == [machine.states // 2] * 2


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(6))
def test_equals_brute_force_over_all_index_sequences(machine: Trellis, seed: int) -> None:
    u, scale, costs = units(seed, (1, 5)), scales_of(seed, (1, 5)), random_costs(seed)
    every = np.array(list(itertools.product(range(-4, 5), repeat=5)), dtype=np.int32)
    least = path_cost(
        np.repeat(u, len(every), axis=0), np.repeat(scale, len(every), axis=0), costs, machine, every
    ).min()
    found = search(u, scale, costs, machine)
    assert path_cost(u, scale, costs, machine, found)[0] == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (3, 2), (15, 63), (16, 64), (17, 65), (33, 130)])
def test_equals_the_reference_at_the_edges_of_blocks_and_tiles(
    machine: Trellis, shape: tuple[int, int]
) -> None:
    u, scale, costs = units(sum(shape), shape, 3.0), scales_of(3, shape), random_costs(4)
    found = search(u, scale, costs, machine)
    np.testing.assert_allclose(
        path_cost(u, scale, costs, machine, found), reference_cost(u, scale, costs, machine), rtol=2e-5
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_long_paths_keep_their_precision(machine: Trellis) -> None:
    u, scale, costs = units(1, (2, 20_000), 5.0), scales_of(1, (2, 20_000)), random_costs(2)
    found = search(u, scale, costs, machine)
    np.testing.assert_allclose(
        path_cost(u, scale, costs, machine, found), reference_cost(u, scale, costs, machine), rtol=1e-6
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_the_decoder_visits_the_states_that_the_encoder_chose(machine: Trellis) -> None:
    u = units(5, (20, 300), 3.0)
    indices = search(u, scales_of(5, u.shape), random_costs(5), machine)
    quantizer = machine.lattice[visited_states(indices, machine)]
    np.testing.assert_array_equal(
        trellis.lattices_of(indices, machine.next_state, machine.lattice), quantizer
    )
    values = trellis.dequantize(indices, np.float32(0.7), machine.next_state, machine.lattice)
    expected = (2 * indices - quantizer * np.sign(indices)).astype(np.float32) * np.float32(0.7)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("threads", [2, 3, 64])
def test_threads_change_nothing(machine: Trellis, threads: int) -> None:
    u, scale, costs = units(6, (50, 257)), scales_of(6, (50, 257)), random_costs(6)
    np.testing.assert_array_equal(search(u, scale, costs, machine, threads), search(u, scale, costs, machine))


@pytest.mark.parametrize("machine", MACHINES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), channels=st.integers(1, 20), length=st.integers(1, 100))
def test_negating_the_input_negates_the_indices(
    machine: Trellis, seed: int, channels: int, length: int
) -> None:
    u = units(seed, (channels, length))
    scale, costs = scales_of(seed, u.shape), random_costs(seed)
    np.testing.assert_array_equal(search(-u, scale, costs, machine), -search(u, scale, costs, machine))


@pytest.mark.parametrize("machine", MACHINES)
def test_rate_that_outweighs_all_distortion_gives_zeros(machine: Trellis) -> None:
    u = units(7, (20, 100))
    costs = random_costs(7, weight=1e6)
    costs[:, :, 0] = 0.0
    assert not search(u, scales_of(7, u.shape), costs, machine).any()


@pytest.mark.parametrize("machine", MACHINES)
def test_more_states_never_cost_more_than_scalar_rounding(machine: Trellis) -> None:
    # every second point of Q0 keeps the machine in state 0: one path among those that the search compares
    u = units(8, (4, 400), 6.0)
    scale, costs = scales_of(8, u.shape), random_costs(8, weight=0.1)
    even = (2 * np.rint(u / 4)).astype(np.int32)
    found = search(u, scale, costs, machine)
    assert (
        path_cost(u, scale, costs, machine, found) <= path_cost(u, scale, costs, machine, even) + 1e-3
    ).all()
