"""The Viterbi search of trellis-coded quantization, compiled, on sixteen channels at a time.

Sixteen channels walk side by side so that the compiler turns the add-compare-select step into vector
instructions. A block of channels goes through in tiles of 64 positions: transpose, cost of the four subsets
of the lattice, then the trellis; at the end the survivors are traced back. What is kept for that is two bytes
a sample: one decision bit for each state, and which candidate won in each subset.

The subsets are even and odd indices of Q0 (lattice points 0 and 2 modulo 4) and of Q1 (3 and 1), numbered
2 * lattice + parity. In each, candidates are the nearest point below |u|, the nearest above, and zero on
the even side: `low`, `high`, `zero`, coded 1, 2, 0. No fast-math here: `_magnitudes` must find the candidates
that `_subset_costs` meant, to the bit.
"""

# ruff: noqa: PLR0917 (a compiled kernel takes arrays, one by one)
from __future__ import annotations

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.jit import compile_kernel

LANES = 16
_TILE = 64
_SPAN = _TILE * LANES
MOST_STATES = 8
NOT_WIRED, FOUR, EIGHT = 0, 4, 8
"""Machines whose step is straight code below; any other walks its links."""
_FAR = np.float32(1e30)
_QUARTER = np.float32(0.25)
_ONE, _TWO, _THREE, _FOUR = np.float32(1), np.float32(2), np.float32(3), np.float32(4)


@compile_kernel(nogil=True)
def _load(
    residual: F32,
    scale_index: U8,
    inverse: np.float32,
    start: I32,
    last: I32,
    first: int,
    position: int,
    count: int,
    magnitude: F32,
    row: I32,
    end: I32,
) -> None:
    """Transpose one tile; lanes beyond the last channel repeat it."""
    for lane in range(LANES):
        channel = min(first + lane, residual.shape[0] - 1)
        for t in range(count):
            scale = scale_index[channel, position + t]
            magnitude[t * LANES + lane] = abs(residual[channel, position + t]) * inverse
            row[t * LANES + lane] = start[scale]
            end[t * LANES + lane] = last[scale]


@compile_kernel(nogil=True)
def _subset_costs(magnitude: F32, row: I32, end: I32, costs: F32, count: int, best: F32, chosen: U8) -> None:
    """Fill best[_SPAN * subset + i] with the least cost of each subset, chosen[i] with the four winners."""
    for i in range(count * LANES):
        a, r, e = magnitude[i], row[i], end[i]
        a_squared = a * a

        step = np.int32(a * _QUARTER)
        error = a - _FOUR * np.float32(step)
        low = error * error + costs[r + min(4 * step, e)]
        error = error - _FOUR
        high = error * error + costs[r + min(4 * step + 4, e)]
        zero = a_squared + costs[r]
        code0 = 1 if low < zero else 0
        low = min(low, zero)
        code0 = 2 if high < low else code0
        best[i] = min(low, high)

        step = np.int32((a + _TWO) * _QUARTER)
        error = a - (_FOUR * np.float32(step) - _TWO)
        low = error * error + costs[r + min(4 * step - 2, e)]
        error = error - _FOUR
        high = error * error + costs[r + min(4 * step + 2, e)]
        code1 = 2 if high < low else 1
        best[_SPAN + i] = min(low, high)

        step = np.int32((a + _ONE) * _QUARTER)
        error = a - (_FOUR * np.float32(step) - _ONE)
        low = error * error + costs[r + min(4 * step + 1, e)]
        error = error - _FOUR
        high = error * error + costs[r + min(4 * step + 5, e)]
        zero = a_squared + costs[r + 1]
        code2 = 1 if low < zero else 0
        low = min(low, zero)
        code2 = 2 if high < low else code2
        best[2 * _SPAN + i] = min(low, high)

        step = np.int32((a + _THREE) * _QUARTER)
        error = a - (_FOUR * np.float32(step) - _THREE)
        low = error * error + costs[r + min(4 * step - 1, e)]
        error = error - _FOUR
        high = error * error + costs[r + min(4 * step + 3, e)]
        code3 = 2 if high < low else 1
        best[3 * _SPAN + i] = min(low, high)
        chosen[i] = np.uint8(code0 | code1 << 2 | code2 << 4 | code3 << 6)


@compile_kernel(nogil=True)
def _step(
    cost: F32, best: F32, at: int, states: int, links: np.uint64, lattice_bits: np.uint64, decisions: U8
) -> None:
    """Extend all paths by one position; bit s of a decision says that the upper predecessor of s won."""
    one, two, three, four, eight = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(8)
    before, low_four = cost[: states * LANES].copy(), np.uint64(15)
    decisions[:] = 0
    for s in range(states):
        lower = (links >> (eight * np.uint64(s))) & low_four
        upper = (links >> (eight * np.uint64(s) + four)) & low_four
        state0, state1 = lower & np.uint64(7), upper & np.uint64(7)
        subset0 = np.int64(two * ((lattice_bits >> state0) & one) + (lower >> three))
        subset1 = np.int64(two * ((lattice_bits >> state1) & one) + (upper >> three))
        for lane in range(LANES):
            x = before[np.int64(state0) * LANES + lane] + best[_SPAN * subset0 + at + lane]
            y = before[np.int64(state1) * LANES + lane] + best[_SPAN * subset1 + at + lane]
            cost[s * LANES + lane] = min(x, y)
            decisions[lane] |= np.uint8((1 << s) if y < x else 0)


@compile_kernel(nogil=True)
def _step8(cost: F32, best: F32, at: int, decisions: U8) -> None:
    """Extend all paths by one position, with the eight states of ECM."""
    for lane in range(LANES):
        even0, odd0 = best[at + lane], best[_SPAN + at + lane]
        even1, odd1 = best[2 * _SPAN + at + lane], best[3 * _SPAN + at + lane]
        c0, c1 = cost[lane], cost[LANES + lane]
        c2, c3 = cost[2 * LANES + lane], cost[3 * LANES + lane]
        c4, c5 = cost[4 * LANES + lane], cost[5 * LANES + lane]
        c6, c7 = cost[6 * LANES + lane], cost[7 * LANES + lane]
        x0, y0 = c0 + even0, c4 + odd0
        x1, y1 = c2 + even0, c6 + odd0
        x2, y2 = c0 + odd0, c4 + even0
        x3, y3 = c2 + odd0, c6 + even0
        x4, y4 = c3 + odd1, c5 + even1
        x5, y5 = c1 + even1, c7 + odd1
        x6, y6 = c3 + even1, c5 + odd1
        x7, y7 = c1 + odd1, c7 + even1
        cost[lane], cost[LANES + lane] = min(x0, y0), min(x1, y1)
        cost[2 * LANES + lane], cost[3 * LANES + lane] = min(x2, y2), min(x3, y3)
        cost[4 * LANES + lane], cost[5 * LANES + lane] = min(x4, y4), min(x5, y5)
        cost[6 * LANES + lane], cost[7 * LANES + lane] = min(x6, y6), min(x7, y7)
        bits = np.int32(1) if y0 < x0 else np.int32(0)
        bits |= np.int32(2) if y1 < x1 else np.int32(0)
        bits |= np.int32(4) if y2 < x2 else np.int32(0)
        bits |= np.int32(8) if y3 < x3 else np.int32(0)
        bits |= np.int32(16) if y4 < x4 else np.int32(0)
        bits |= np.int32(32) if y5 < x5 else np.int32(0)
        bits |= np.int32(64) if y6 < x6 else np.int32(0)
        bits |= np.int32(128) if y7 < x7 else np.int32(0)
        decisions[lane] = np.uint8(bits)


@compile_kernel(nogil=True)
def _step4(cost: F32, best: F32, at: int, decisions: U8) -> None:
    """Extend all paths by one position, with the four states of VVC."""
    for lane in range(LANES):
        even0, odd0 = best[at + lane], best[_SPAN + at + lane]
        even1, odd1 = best[2 * _SPAN + at + lane], best[3 * _SPAN + at + lane]
        c0, c1 = cost[lane], cost[LANES + lane]
        c2, c3 = cost[2 * LANES + lane], cost[3 * LANES + lane]
        x0, y0 = c0 + even0, c1 + odd0
        x1, y1 = c2 + even1, c3 + odd1
        x2, y2 = c0 + odd0, c1 + even0
        x3, y3 = c2 + odd1, c3 + even1
        cost[lane], cost[LANES + lane] = min(x0, y0), min(x1, y1)
        cost[2 * LANES + lane], cost[3 * LANES + lane] = min(x2, y2), min(x3, y3)
        bits = np.int32(1) if y0 < x0 else np.int32(0)
        bits |= np.int32(2) if y1 < x1 else np.int32(0)
        bits |= np.int32(4) if y2 < x2 else np.int32(0)
        bits |= np.int32(8) if y3 < x3 else np.int32(0)
        decisions[lane] = np.uint8(bits)


@compile_kernel(nogil=True)
def _forward(
    cost: F32,
    best: F32,
    decisions: U8,
    states: int,
    wired: int,
    links: np.uint64,
    lattice_bits: np.uint64,
    position: int,
    count: int,
) -> None:
    """Walk one tile, then take each channel's least cost off, so that float32 stays exact enough."""
    for t in range(count):
        here = decisions[(position + t) * LANES : (position + t + 1) * LANES]
        if wired == EIGHT:
            _step8(cost, best, t * LANES, here)
        elif wired == FOUR:
            _step4(cost, best, t * LANES, here)
        else:
            _step(cost, best, t * LANES, states, links, lattice_bits, here)
    for lane in range(LANES):
        least = cost[lane]
        for s in range(1, states):
            least = min(least, cost[s * LANES + lane])
        for s in range(states):
            cost[s * LANES + lane] -= least


@compile_kernel(nogil=True)
def _trace_back(
    cost: F32, decisions: U8, chosen: U8, states: int, links: np.uint64, lattice_bits: np.uint64
) -> None:
    """Follow each channel's best path to its start; leave candidate + 4 * subset of that path in `chosen`."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    state = np.empty(LANES, np.uint64)
    for lane in range(LANES):
        best = 0
        for s in range(1, states):
            best = s if cost[s * LANES + lane] < cost[best * LANES + lane] else best
        state[lane] = best
    for t in range(len(decisions) // LANES - 1, -1, -1):
        for lane in range(LANES):
            i = t * LANES + lane
            s = state[lane]
            upper = (np.uint64(decisions[i]) >> s) & one
            link = (links >> (np.uint64(8) * s + four * upper)) & np.uint64(15)
            s = link & np.uint64(7)
            subset = two * ((lattice_bits >> s) & one) + (link >> three)
            candidate = (np.uint64(chosen[i]) >> (two * subset)) & three
            state[lane] = s
            chosen[i] = np.uint8(candidate + four * subset)


@compile_kernel(nogil=True)
def _magnitudes(residual: F32, inverse: np.float32, first: int, chosen: U8, indices: I32) -> None:
    """Write the indices of one block of channels from the candidates on the best path."""
    channels, length = residual.shape
    for lane in range(min(LANES, channels - first)):
        for t in range(length):
            x = residual[first + lane, t]
            choice = np.int32(chosen[t * LANES + lane])
            candidate, parity, lattice = choice & 3, (choice >> 2) & 1, choice >> 3
            step = np.int32((abs(x) * inverse + np.float32(2 * parity + lattice)) * _QUARTER)
            k = np.int32(2 * step - parity + (candidate & 2))
            k = k if candidate != 0 else np.int32(0)
            indices[first + lane, t] = -k if x < 0 else k


@compile_kernel(nogil=True)
def search_blocks(
    residual: F32,
    scale_index: U8,
    inverse: np.float32,
    costs: F32,
    start: I32,
    last: I32,
    states: int,
    wired: int,
    links: np.uint64,
    lattice_bits: np.uint64,
    first_block: int,
    end_block: int,
    indices: I32,
) -> None:
    """Fill the channels of some blocks of `indices`; see `trellis.search` for the meaning of all this."""
    length = residual.shape[1]
    magnitude = np.empty(_SPAN, np.float32)
    row, end = np.empty(_SPAN, np.int32), np.empty(_SPAN, np.int32)
    best = np.empty(4 * _SPAN, np.float32)
    cost = np.empty(MOST_STATES * LANES, np.float32)
    chosen, decisions = np.empty(length * LANES, np.uint8), np.empty(length * LANES, np.uint8)
    for block in range(first_block, end_block):
        first = block * LANES
        cost[:] = _FAR
        cost[:LANES] = np.float32(0)
        for position in range(0, length, _TILE):
            count = min(_TILE, length - position)
            here = chosen[position * LANES : (position + count) * LANES]
            _load(residual, scale_index, inverse, start, last, first, position, count, magnitude, row, end)
            _subset_costs(magnitude, row, end, costs, count, best, here)
            _forward(cost, best, decisions, states, wired, links, lattice_bits, position, count)
        _trace_back(cost, decisions, chosen, states, links, lattice_bits)
        _magnitudes(residual, inverse, first, chosen, indices)
