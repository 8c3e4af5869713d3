"""What information theory and the literature say a trellis of this kind reaches.

Figures by source: granular gains from Marcellin and Fischer (1990) and simulation; gaps to the Gaussian
rate-distortion function from a simulation of our own ahead of this implementation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from tiny_model import NNCODEC8

from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.trellis import TCQ4, TCQ8, Trellis, rate_table

Floats = NDArray[np.float64]
FREE = rate_table(np.zeros((2, 1, 1), np.float32), np.ones(1, np.int32))
BITS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
GAP_DB = {
    "scalar": (0.0, 0.19, 0.45, 0.89, 1.42, 1.52, 1.54),
    "tcq4": (0.0, 0.17, 0.42, 0.60, 0.74, 0.60, 0.59),
    "tcq8": (0.0, 0.16, 0.39, 0.58, 0.68, 0.52, 0.51),
}
MACHINES = {"tcq4": TCQ4, "tcq8": TCQ8}


def granular_gain_db(machine: Trellis, channels: int, length: int) -> float:
    """Return the gain over a scalar quantizer of step 2, Delta = 1, no rate, wide uniform source.

    The source keeps away from zero, around which Q1 has a point too many and the gain is larger.
    """
    u = np.random.default_rng(0).uniform(8.0, 264.0, (channels, length)).astype(np.float32)
    indices = trellis.search(u, np.zeros(u.shape, np.uint8), 1.0, FREE, machine)
    values = trellis.dequantize(indices, np.float32(1.0), machine.next_state, machine.lattice)
    return -10.0 * math.log10(float(np.mean((values.astype(np.float64) - u) ** 2)) * 3.0)


@pytest.mark.parametrize(("machine", "gain_db"), [(TCQ4, 0.995), (TCQ8, 1.085)])
def test_granular_gain(machine: Trellis, gain_db: float) -> None:
    assert granular_gain_db(machine, 256, 8192) == pytest.approx(gain_db, abs=0.01)


@pytest.mark.parametrize(
    ("machine", "length", "gain_db"),
    [
        (TCQ4, 16, 0.70),
        (TCQ8, 16, 0.663),  # eight states need a step more than four before all are in reach
        (TCQ4, 64, 0.92),
        (TCQ8, 64, 0.97),
        (TCQ4, 256, 0.97),
        (TCQ8, 256, 1.06),
    ],
)
def test_a_short_trellis_loses(machine: Trellis, length: int, gain_db: float) -> None:
    assert granular_gain_db(machine, 2**20 // length, length) == pytest.approx(gain_db, abs=0.015)


def subset_distances(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [2, 2, ...]: squared distance of u to the nearest point by quantizer and parity."""
    phases = np.array([[0.0, 2.0], [3.0, 1.0]]).reshape(2, 2, *(1,) * u.ndim)
    offset = np.abs(u) - phases
    return np.asarray((offset - 4.0 * np.rint(offset / 4.0)) ** 2)


def test_the_two_published_trellises_of_eight_states_are_equals() -> None:
    # ECM's and NNCodec's tables differ in four rows; distortion alone, far from zero, by plain Viterbi
    u = np.random.default_rng(1).uniform(8.0, 64.0, (4096, 256))
    distances = subset_distances(u)
    gains = []
    for machine in (TCQ8, NNCODEC8):
        cost = np.full((machine.states, len(u)), np.inf)
        cost[0] = 0.0
        for t in range(u.shape[1]):
            new = np.full_like(cost, np.inf)
            for state, parity in np.ndindex(machine.states, 2):
                after = machine.next_state[state, parity]
                step = distances[machine.lattice[state], parity, :, t]
                new[after] = np.minimum(new[after], cost[state] + step)
            cost = new
        gains.append(-10.0 * math.log10(float(cost.min(axis=0).mean()) / u.shape[1] * 3.0))
    assert gains[0] == pytest.approx(gains[1], abs=0.01)
    assert gains[0] == pytest.approx(1.06, abs=0.015)


def gaussian_cells(sigma: float, magnitudes: int) -> Floats:
    """Return P(k), k = 0 .. magnitudes - 1, of Q0 and Q1 for cells cut halfway between their points."""
    k = np.arange(magnitudes)
    tails = norm.sf(np.stack([2.0 * k + 1.0, np.where(k == 0, 0.5, 2.0 * k)]) / sigma)
    return np.concatenate([1.0 - 2.0 * tails[:, :1], tails[:, :-1] - tails[:, 1:]], axis=1)


def converge(machine: Trellis, sigma: float, slope: float, rounds: int = 20) -> tuple[float, float]:
    """Return (bits, gap in dB) after tables and decisions were iterated, Delta = 1, slope = lam."""
    magnitudes = math.ceil(3.0 * sigma) + 4
    u = (np.random.default_rng(1).standard_normal((64, 4096)) * sigma).astype(np.float32)
    pmf, bits, distortion = gaussian_cells(sigma, magnitudes), 0.0, 0.0
    for _ in range(rounds):
        information = -np.log2(np.maximum(pmf, 2.0**-22))
        table = rate_table(
            (slope * information)[:, None].astype(np.float32), np.array([magnitudes], np.int32)
        )
        indices = trellis.search(u, np.zeros(u.shape, np.uint8), 1.0, table, machine)
        used = trellis.lattices_of(indices, machine.next_state, machine.lattice)
        values = trellis.dequantize(indices, np.float32(1.0), machine.next_state, machine.lattice)
        magnitude = np.minimum(np.abs(indices), magnitudes - 1)
        counts = np.stack([np.bincount(magnitude[used == q], minlength=magnitudes) for q in (0, 1)])
        bits = float((counts * information).sum()) / u.size
        distortion = float(np.mean((values.astype(np.float64) - u) ** 2)) / sigma**2
        smoothed = counts + 0.25
        pmf = smoothed / smoothed.sum(axis=1, keepdims=True) / np.where(np.arange(magnitudes) > 0, 2.0, 1.0)
    return bits, 10.0 * math.log10(distortion) + 20.0 * math.log10(2.0) * bits


# sigma / Delta and lam / Delta^2 near the best for 0.1, 0.25, 1, 2 and 3 bits
@pytest.mark.parametrize(
    ("sigma", "slope"), [(0.85, 0.63), (0.85, 0.59), (1.2, 0.6), (2.02, 0.4), (4.0, 0.4)]
)
@pytest.mark.parametrize("name", ["tcq4", "tcq8"])
def test_gap_to_the_rate_distortion_function(name: str, sigma: float, slope: float) -> None:
    bits, gap_db = converge(MACHINES[name], sigma, slope)
    known = float(np.interp(bits, BITS, GAP_DB[name]))
    assert gap_db <= known + 0.05  # better than the table is no fault: 3 bits come out 0.04 below
    assert gap_db >= known - 0.10


@pytest.mark.parametrize("name", ["tcq4", "tcq8"])
def test_gap_at_half_a_bit(name: str) -> None:
    # two tables a scale, as the format has them, miss the expectation; the next test has one a state
    bits, gap_db = converge(MACHINES[name], 0.95, 0.66)
    assert bits == pytest.approx(0.5, abs=0.03)
    assert gap_db == pytest.approx(float(np.interp(bits, BITS, GAP_DB[name])) + 0.09, abs=0.03)


def plain_viterbi(cost_of: Floats, machine: Trellis) -> NDArray[np.int64]:
    """Return the cheapest (state, parity) at each position, [2, L, C], of step costs [states, 2, L, C]."""
    before = machine.predecessors().astype(np.intp)
    origin, parity = before[:, :, 0], before[:, :, 1]
    _, _, length, channels = cost_of.shape
    cost = np.full((machine.states, channels), np.inf)
    cost[0] = 0.0
    upper = np.empty((length, machine.states, channels), np.intp)
    for t in range(length):
        both = cost[origin] + cost_of[origin, parity, t]
        upper[t] = both.argmin(axis=1)
        cost = both.min(axis=1)
    state, every = cost.argmin(axis=0), np.arange(channels)
    path = np.empty((2, length, channels), np.int64)
    for t in range(length - 1, -1, -1):
        which = upper[t, state, every]
        path[:, t] = origin[state, which], parity[state, which]
        state = path[0, t]
    return path


def converge_by_state(machine: Trellis, sigma: float, slope: float, rounds: int = 20) -> tuple[float, float]:
    """Return (bits, gap in dB) as `converge` does, with a table for each state instead of each quantizer."""
    magnitudes = math.ceil(3.0 * sigma) + 4
    u = np.abs(np.random.default_rng(1).standard_normal((1024, 128)) * sigma)
    k = np.arange(magnitudes)
    points = 2.0 * k - machine.lattice[:, None] * (k > 0)
    pmf, bits, distortion = gaussian_cells(sigma, magnitudes)[machine.lattice], 0.0, 0.0
    for _ in range(rounds):
        information = -np.log2(np.maximum(pmf, 2.0**-22))
        every = (u - points[:, :, None, None]) ** 2 + slope * information[:, :, None, None]
        halves = [every[:, parity::2] for parity in (0, 1)]
        state, parity = plain_viterbi(np.stack([half.min(axis=1) for half in halves], axis=1), machine)
        best = np.stack([half.argmin(axis=1) for half in halves], axis=1)
        rows, columns = np.indices(u.shape)
        magnitude = 2 * best[state, parity, rows, columns] + parity
        bits = float(information[state, magnitude].mean())
        distortion = float(np.mean((points[state, magnitude] - u) ** 2)) / sigma**2
        counts = np.full((machine.states, magnitudes), 0.25)
        np.add.at(counts, (state, magnitude), 1.0)
        pmf = counts / counts.sum(axis=1, keepdims=True) / np.where(k > 0, 2.0, 1.0)
    return bits, 10.0 * math.log10(distortion) + 20.0 * math.log10(2.0) * bits


@pytest.mark.parametrize("name", ["tcq4", "tcq8"])
def test_gap_at_half_a_bit_with_a_table_for_each_state(name: str) -> None:
    bits, gap_db = converge_by_state(MACHINES[name], 0.95, 0.66)
    assert bits == pytest.approx(0.46, abs=0.05)
    assert gap_db <= float(np.interp(bits, BITS, GAP_DB[name])) + 0.05
    assert gap_db < converge(MACHINES[name], 0.95, 0.66)[1] - 0.08


def scalar_gap(step: float) -> tuple[float, float]:
    """Return (bits, gap in dB) of uniform thresholds with centroids, unit Gaussian, by formula."""
    k = np.arange(math.floor(-12.0 / step), math.ceil(12.0 / step) + 1)
    low, high = (k - 0.5) * step, (k + 0.5) * step
    probability = norm.cdf(high) - norm.cdf(low)
    seen = probability > 1e-290
    first_moment = (norm.pdf(low) - norm.pdf(high))[seen]
    probability = probability[seen]
    bits = -float(np.sum(probability * np.log2(probability)))
    distortion = 1.0 - float(np.sum(first_moment**2 / probability))
    return bits, 10.0 * math.log10(distortion) + 20.0 * math.log10(2.0) * bits


@pytest.mark.parametrize("step", [5.0715, 4.2323, 3.4562, 2.4216, 1.0824, 0.5224])
def test_gap_of_the_scalar_quantizer(step: float) -> None:
    bits, gap_db = scalar_gap(step)
    assert gap_db == pytest.approx(float(np.interp(bits, BITS, GAP_DB["scalar"])), abs=0.05)
