"""The state machines of trellis-coded quantization, and the search for the cheapest path through them.

Lengths are in units of Delta, the spacing of the union lattice, so an index k reconstructs to the lattice
point 2k in Q0 and 2k - sgn(k) in Q1. Magnitudes are enough: tables are symmetric, so the sign of an index is
that of its residual.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.errors import UsageError
from benchmark.jit import compile_kernel
from benchmark.learned.quantizers import kernel as trellis_kernel
from benchmark.learned.quantizers.kernel import EIGHT, FOUR, LANES, MOST_STATES, NOT_WIRED

_IMPOSSIBLE = 1e30
"""Rate of a magnitude below zero: a table row starts with two, where the search looks without asking."""


@dataclass(frozen=True)
class Trellis:
    """A state machine: it starts in state 0, and index k leads from state s to `next_state[s, k & 1]`."""

    next_state: U8
    """uint8 [states, 2]"""
    lattice: U8
    """uint8 [states]: 0 for Q0, 1 for Q1."""

    def __post_init__(self) -> None:
        if not 1 <= self.states <= MOST_STATES:
            raise UsageError(f"a trellis of {self.states} states: the search has room for {MOST_STATES}")

    @property
    def states(self) -> int:
        """The number of states."""
        return len(self.lattice)

    def predecessors(self) -> U8:
        """Return uint8 [states, 2, 2]: the two (state, parity) that lead to each state, lower state first."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(self.states)]
        for state in range(self.states):
            for parity in (0, 1):
                found[self.next_state[state, parity]].append((state, parity))
        return np.array(found, dtype=np.uint8)

    def links(self) -> np.uint64:
        """Return `predecessors` in one word: bits 8s + 4d and up hold state + 8 * parity of (s, d)."""
        packed = 0
        for state, pair in enumerate(self.predecessors().tolist()):
            for choice, (before, parity) in enumerate(pair):
                packed |= (before | parity << 3) << (8 * state + 4 * choice)
        return np.uint64(packed)

    def lattice_bits(self) -> np.uint64:
        """Return `lattice` in one word: bit s is 1 where state s uses Q1."""
        return np.uint64(sum(int(used) << state for state, used in enumerate(self.lattice)))


def _trellis(next_state: list[tuple[int, int]], lattice: list[int]) -> Trellis:
    return Trellis(np.array(next_state, dtype=np.uint8), np.array(lattice, dtype=np.uint8))


TCQ4 = _trellis([(0, 2), (2, 0), (1, 3), (3, 1)], [0, 0, 1, 1])
"""Four states, as in VVC."""
TCQ8 = _trellis([(0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5)], [0, 1] * 4)
"""Eight states, as in ECM."""


def _wired(machine: Trellis) -> int:
    """Return which machine the search has as straight code, if it is one of these."""
    for known, number in ((TCQ4, FOUR), (TCQ8, EIGHT)):
        if np.array_equal(machine.next_state, known.next_state) and np.array_equal(
            machine.lattice, known.lattice
        ):
            return number
    return NOT_WIRED


@dataclass(frozen=True)
class RateTable:
    """Costs of magnitudes, laid out for the search: one row a scale, just as long as that scale needs.

    `costs[start[s] + 2 * m + q]` is lam / Delta^2 times the bits of magnitude m in lattice q at scale s;
    entry `start[s] + last[s]` stands for all larger magnitudes of either lattice.
    """

    costs: F32
    start: I32
    last: I32


def rate_table(costs: F32, lengths: I32) -> RateTable:
    """Return the layout of `costs`, float32 [2, scales, magnitudes], of which lengths[s] count at scale s."""
    rows, start, at = [], [], 0
    for scale, length in enumerate(lengths):
        rows += [np.full(2, _IMPOSSIBLE, np.float32), costs[:, scale, :length].T.reshape(-1)]
        start.append(at + 2)
        at += 2 + 2 * int(length)
    last = 2 * np.asarray(lengths, np.int32) - 2
    return RateTable(np.concatenate(rows), np.array(start, np.int32), last.astype(np.int32))


def search(  # noqa: PLR0917
    residual: F32, scale_index: U8, delta: float, table: RateTable, machine: Trellis, threads: int = 1
) -> I32:
    """Return int32 [C, L]: in each channel the indices with the least sum of (u - x)^2 + cost (Viterbi).

    residual: float32 [C, L], C-contiguous, finite and below 2^22 * delta; u is residual / delta. scale_index:
    uint8 [C, L], a row of `table` each. Every channel has its own trellis, with fixed start and free end. The
    result is the same for any number of threads, and on every IEEE-754 machine. Memory beyond the arguments
    and the result: 32 bytes for each of the L positions, for each thread.
    """
    channels, length = residual.shape
    indices = np.empty((channels, length), np.int32)
    blocks = -(-channels // LANES)
    threads = max(1, min(threads, blocks))
    bounds = [blocks * part // threads for part in range(threads + 1)]

    def part(number: int) -> None:
        trellis_kernel.search_blocks(
            residual,
            scale_index,
            np.float32(1.0 / delta),
            table.costs,
            table.start,
            table.last,
            machine.states,
            _wired(machine),
            machine.links(),
            machine.lattice_bits(),
            bounds[number],
            bounds[number + 1],
            indices,
        )

    if threads == 1:
        part(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, range(threads)))
    return indices


@compile_kernel(nogil=True)
def search_scalar(residual: F32, scale_index: U8, inverse: np.float32, costs: F32) -> I32:
    """Return int32 [C, L]: of the two nearest indices and zero, the one with the least cost.

    residual: float32 [C, L]; inverse: 1 / step; scale_index: uint8 [C, L]; costs: float32 [64, magnitudes],
    lam / step^2 times the bits of each magnitude, the last standing for all beyond. Ties go to the smaller.
    """
    channels, length = residual.shape
    largest = costs.shape[1] - 1
    indices = np.empty((channels, length), np.int32)
    for channel in range(channels):
        for t in range(length):
            x = residual[channel, t] * inverse
            a = abs(x)
            row = costs[scale_index[channel, t]]
            below = np.int32(a)
            error = a - np.float32(below)
            cost = error * error + row[min(below, largest)]
            error = error - np.float32(1)
            above_cost = error * error + row[min(below + 1, largest)]
            magnitude = np.int32(below + 1) if above_cost < cost else below
            zero_cost = a * a + row[0]
            magnitude = np.int32(0) if zero_cost <= min(cost, above_cost) else magnitude
            indices[channel, t] = -magnitude if x < 0 else magnitude
    return indices


@compile_kernel(nogil=True)
def dequantize(indices: I32, delta: np.float32, next_state: U8, lattice: U8) -> F32:
    """Return float32 [C, L]: the reconstruction of int32 [C, L] indices; exact but for one rounding."""
    channels, length = indices.shape
    values = np.empty((channels, length), np.float32)
    successor = next_state.reshape(-1)
    for channel in range(channels):
        state = np.uint64(0)
        for t in range(length):
            k = indices[channel, t]
            sign = np.int64(k > 0) - np.int64(k < 0)
            point = 2 * np.int64(k) - np.int64(lattice[state]) * sign
            values[channel, t] = np.float32(point) * delta
            state = np.uint64(successor[np.uint64(2) * state + np.uint64(k & 1)])
    return values


@compile_kernel(nogil=True)
def expand(values: F32, scale_index: U8, stretch: F32, shift: F32, reach: np.float32) -> None:
    """Add the reconstruction offset to float32 [C, L] values, away from zero, in place; zeros stay.

    By min(|x|, reach) * stretch[scale] + shift[scale], three operations, each rounded to float32.
    """
    channels, length = values.shape
    for channel in range(channels):
        for t in range(length):
            x = values[channel, t]
            scale = scale_index[channel, t]
            move = min(abs(x), reach) * stretch[scale]
            move = move + shift[scale]
            move = move if x > 0 else -move
            values[channel, t] = x + (move if x != 0 else np.float32(0))


@compile_kernel(nogil=True)
def lattices_of(indices: I32, next_state: U8, lattice: U8) -> U8:
    """Return uint8 [C, L]: which lattice each of the int32 [C, L] indices belongs to."""
    channels, length = indices.shape
    used = np.empty((channels, length), np.uint8)
    successor = next_state.reshape(-1)
    for channel in range(channels):
        state = np.uint64(0)
        for t in range(length):
            used[channel, t] = lattice[state]
            state = np.uint64(successor[np.uint64(2) * state + np.uint64(indices[channel, t] & 1)])
    return used
