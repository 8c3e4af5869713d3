"""The state machines of trellis-coded quantization, and the compiled kernels that search and walk them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trellis:
    """A state machine: state 0 at the start, `next_state[s, k & 1]` after index k, quantizer `quantizer[s]`."""

    next_state: NDArray[np.uint8]
    """uint8 [states, 2]"""
    quantizer: NDArray[np.uint8]
    """uint8 [states]: 0 for Q0, 1 for Q1."""

    @property
    def states(self) -> int:
        """The number of states."""
        return len(self.quantizer)

    def predecessors(self) -> NDArray[np.uint8]:
        """Return uint8 [states, 2, 2]: the two (state, parity) from which each state is reached."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(self.states)]
        for state in range(self.states):
            for parity in (0, 1):
                found[self.next_state[state, parity]].append((state, parity))
        return np.array(found, dtype=np.uint8)


def _trellis(next_state: list[tuple[int, int]], quantizer: list[int]) -> Trellis:
    return Trellis(np.array(next_state, dtype=np.uint8), np.array(quantizer, dtype=np.uint8))


TCQ4 = _trellis([(0, 2), (2, 0), (1, 3), (3, 1)], [0, 0, 1, 1])
"""Four states, as in VVC."""
TCQ8 = _trellis([(0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5)], [0, 1] * 4)
"""Eight states, as in ECM."""


@njit(cache=True)
def _best(a, quantizer, parity, rates, largest):  # type: ignore[no-untyped-def]
    """Return cost and magnitude of the cheapest index of one parity: next below, next above, or zero."""
    nearest = np.int32((a + np.float32(quantizer)) * np.float32(0.5))
    low = nearest - ((nearest ^ parity) & 1)
    best_cost = np.float32(np.inf)
    best = np.int32(0)
    for candidate in (low, low + 2, 0):
        if candidate < 0 or (candidate ^ parity) & 1:
            continue
        error = a - np.float32(2 * candidate - (quantizer if candidate > 0 else 0))
        cost = error * error + rates[min(candidate, largest)]
        if cost < best_cost:
            best_cost = cost
            best = np.int32(candidate)
    return best_cost, best


@njit(cache=True, parallel=True)
def search(units, scale_index, rates, predecessors, quantizer):  # type: ignore[no-untyped-def]
    """Return the indices of the cheapest path through each channel's trellis, int32 [C, L].

    units: float32 [C, L], residuals divided by Delta; scale_index: uint8 [C, L]; rates: float32
    [2, 64, magnitudes], lam / Delta^2 times bits of each magnitude, the last one standing for all beyond.
    """
    channels, length = units.shape
    states = len(quantizer)
    largest = rates.shape[2] - 1
    indices = np.empty((channels, length), np.int32)
    for channel in prange(channels):
        decisions = np.empty((length, states), np.int32)
        cost = np.full(states, np.float32(np.inf), np.float32)
        cost[0] = np.float32(0)
        new_cost = np.empty(states, np.float32)
        branch = np.empty(4, np.float32)
        chosen = np.empty(4, np.int32)
        for t in range(length):
            a = abs(units[channel, t])
            scale = scale_index[channel, t]
            for q in range(2):
                for parity in range(2):
                    branch[2 * q + parity], chosen[2 * q + parity] = _best(
                        a, q, parity, rates[q, scale], largest
                    )
            for s in range(states):
                from0, parity0 = predecessors[s, 0, 0], predecessors[s, 0, 1]
                from1, parity1 = predecessors[s, 1, 0], predecessors[s, 1, 1]
                branch0 = 2 * quantizer[from0] + parity0
                branch1 = 2 * quantizer[from1] + parity1
                cost0 = cost[from0] + branch[branch0]
                cost1 = cost[from1] + branch[branch1]
                if cost1 < cost0:
                    new_cost[s] = cost1
                    decisions[t, s] = 2 * chosen[branch1] + 1
                else:
                    new_cost[s] = cost0
                    decisions[t, s] = 2 * chosen[branch0]
            least = new_cost.min()
            for s in range(states):
                cost[s] = new_cost[s] - least
        state = np.argmin(cost)
        for t in range(length - 1, -1, -1):
            decision = decisions[t, state]
            magnitude = decision >> 1
            indices[channel, t] = -magnitude if units[channel, t] < 0 else magnitude
            state = predecessors[state, decision & 1, 0]
    return indices


@njit(cache=True, parallel=True)
def search_scalar(units, scale_index, rates):  # type: ignore[no-untyped-def]
    """Return int32 [C, L]: of the two nearest indices and zero, the one with the least cost, sample by sample.

    units: float32 [C, L], residuals divided by the step; scale_index: uint8 [C, L]; rates: float32
    [64, magnitudes], lam / step^2 times bits of each magnitude, the last one standing for all beyond.
    """
    channels, length = units.shape
    largest = rates.shape[1] - 1
    indices = np.empty((channels, length), np.int32)
    for channel in prange(channels):
        for t in range(length):
            a = abs(units[channel, t])
            row = rates[scale_index[channel, t]]
            below = np.int32(a)
            above_error = np.float32(below + 1) - a
            below_error = a - np.float32(below)
            above_cost = above_error * above_error + row[min(below + 1, largest)]
            cost = below_error * below_error + row[min(below, largest)]
            magnitude = below
            if above_cost < cost:
                cost = above_cost
                magnitude = below + 1
            if a * a + row[0] < cost:
                magnitude = 0
            indices[channel, t] = -magnitude if units[channel, t] < 0 else magnitude
    return indices


@njit(cache=True, parallel=True)
def dequantize(indices, delta, next_state, quantizer):  # type: ignore[no-untyped-def]
    """Return float32 [C, L]: the reconstruction of int32 [C, L] indices; one rounding, exact state work."""
    channels, length = indices.shape
    values = np.empty((channels, length), np.float32)
    for channel in prange(channels):
        state = 0
        for t in range(length):
            k = indices[channel, t]
            sign = np.int32(k > 0) - np.int32(k < 0)
            values[channel, t] = np.float32(2 * k - np.int32(quantizer[state]) * sign) * delta
            state = next_state[state, k & 1]
    return values


@njit(cache=True, parallel=True)
def quantizers(indices, next_state, quantizer):  # type: ignore[no-untyped-def]
    """Return uint8 [C, L]: which quantizer each of the int32 [C, L] indices belongs to."""
    channels, length = indices.shape
    used = np.empty((channels, length), np.uint8)
    for channel in prange(channels):
        state = 0
        for t in range(length):
            used[channel, t] = quantizer[state]
            state = next_state[state, indices[channel, t] & 1]
    return used
