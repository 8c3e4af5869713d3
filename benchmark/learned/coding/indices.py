"""The stream of quantization indices: contexts from scales and, with a trellis, from the parities before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from zlib import crc32

import numpy as np

from benchmark.arrays import F64, I32, I64
from benchmark.learned.coding.ans import (
    Alphabets,
    Categorical,
    Coder,
    Contexts,
    check_end,
    escape_bits,
    frequencies,
    from_bytes,
    pop,
    push,
    seeded,
    to_bytes,
)
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.quantizers.trellis import Trellis
from benchmark.learned.tables import SCALES, PmfTables

_PARITIES = Categorical(perfect=False)
_POSITIONS_AT_ONCE = 4096


class IndexCoder:
    """Codes int32 [C, L] indices of one quantizer at one setting, given uint8 [C, L] scale indices.

    Decoding is linear in C * L, whatever the bytes are; a stream that was not written for these scale indices
    raises BitstreamError.
    """

    def __init__(self, quantizer: Quantizer, settings: QuantizerSettings) -> None:
        self._quantizer = quantizer
        self._tables = quantizer.pmf_tables(settings)
        self._machine = quantizer.machine
        rows = _integer_rows(self._tables)
        if self._machine is None:
            self._alphabets = _whole(self._tables, rows)
        else:
            self._alphabets = _halves(self._tables, rows)
            self._parity_rows = _parity_rows(rows)

    def encode(self, steps: Sequence[I32], scales: Sequence[Contexts], seed: int) -> bytes:
        """Return the stream of the indices of all steps, in their order; `seed` is below 2^32.

        The coder is a stack: the last step goes on first, and one stream needs no lengths. It starts from a
        checksum of seed and indices, which the decoder is left with: streams alone cannot tell, for k and -k
        are equally likely, and a flipped bit may do no more than swap them.
        """
        coder = seeded(_checksum(steps, seed))
        for indices, scale_index in zip(reversed(steps), reversed(scales), strict=True):
            self._push(coder, indices, scale_index)
        return to_bytes(coder)

    def read(self, stream: bytes) -> IndexReader:
        """Return a reader of what `encode` wrote. Raises BitstreamError."""
        return IndexReader(self, from_bytes(stream))

    def _push(self, coder: Coder, indices: I32, scale_index: Contexts) -> None:
        if self._machine is None:
            push(coder, indices.ravel(), scale_index.ravel(), self._alphabets)
            return
        table = self._quantizer.lattice_of(indices) * np.uint8(SCALES) + scale_index
        parity = (indices & 1).astype(np.uint8)
        contexts = table + parity * np.uint8(2 * SCALES)
        push(coder, indices.ravel(), contexts.ravel(), self._alphabets)
        by_position = table.T.ravel()
        coder.encode_reverse(parity.T.ravel().astype(np.int32), _PARITIES, self._parity_rows[by_position])

    def pop(self, coder: Coder, scale_index: Contexts) -> I32:
        """Take int32 [C, L] indices off the coder. Raises BitstreamError."""
        contexts = (
            scale_index if self._machine is None else self._pop_parities(coder, scale_index, self._machine)
        )
        return pop(coder, contexts.ravel(), self._alphabets).reshape(scale_index.shape)

    def _pop_parities(self, coder: Coder, scale_index: Contexts, machine: Trellis) -> Contexts:
        """Return uint8 [C, L] contexts of the rest: 128 * parity + 64 * lattice + scale.

        One call of the coder serves all channels at a position. `at` points to each channel's state as a row
        of 64 scales, so that a step is two additions and two look-ups.
        """
        channels, length = scale_index.shape
        rows = self._parity_rows.reshape(2, SCALES, 2)[machine.lattice].reshape(-1, 2)
        successor = np.zeros((machine.states, SCALES), np.intp)
        successor[:, :2] = machine.next_state.astype(np.intp) * SCALES
        flat_successor = successor.ravel()
        lattice_bit = np.repeat(machine.lattice * np.uint8(SCALES), SCALES)
        at = np.zeros(channels, np.intp)
        contexts = np.empty((channels, length), np.uint8)
        for start in range(0, length, _POSITIONS_AT_ONCE):
            scales = np.ascontiguousarray(scale_index[:, start : start + _POSITIONS_AT_ONCE].T).astype(
                np.intp
            )
            states = np.empty_like(scales)
            parities = np.empty(scales.shape, np.int32)
            for t, scale in enumerate(scales):
                states[t] = at
                parity = coder.decode(_PARITIES, rows.take(at + scale, axis=0))
                parities[t] = parity
                at = flat_successor.take(at + parity)
            chunk = lattice_bit[states] + (parities * (2 * SCALES) + scales).astype(np.uint8)
            contexts[:, start : start + len(scales)] = chunk.T
        return contexts

    @cached_property
    def _bits(self) -> F64:
        """Return float64 [lattices * 64, 2 * max_radius + 2]: bits of each index, the escape last."""
        every = np.concatenate([self._tables.probabilities, self._tables.escape[:, :, None]], axis=2)
        bits: F64 = -np.log2(np.maximum(every, 1e-300))
        return bits.reshape(-1, every.shape[2])

    def entropy_bits(self, indices: I32, scale_index: Contexts) -> float:
        """Return the information content of `indices` under the tables in bits, escapes included."""
        tables = self._tables
        magnitude = np.abs(indices.astype(np.int64))
        radius = tables.radius[scale_index].astype(np.int64)
        escaped = magnitude > radius
        column = np.where(escaped, 2 * tables.max_radius + 1, indices + tables.max_radius)
        row = scale_index.astype(np.int64)
        if self._machine is not None:
            row += SCALES * self._quantizer.lattice_of(indices).astype(np.int64)
        total = float(self._bits[row, column].sum())
        if escaped.any():
            distance = magnitude[escaped] - radius[escaped] - 1
            if self._machine is not None:  # half of the escape's mass, then every second magnitude
                total += float(escaped.sum())
                distance //= 2
            total += float(escape_bits(distance).sum())
        return total


class IndexReader:
    """One stream, read step by step: the scale indices of a step may depend on the steps before it."""

    def __init__(self, coder: IndexCoder, stack: Coder) -> None:
        self._coder, self._stack = coder, stack
        self._steps: list[I32] = []

    def step(self, scale_index: Contexts) -> I32:
        """Return the int32 [C, L] indices of the next step. Raises BitstreamError."""
        self._steps.append(self._coder.pop(self._stack, scale_index))
        return self._steps[-1]

    def finish(self, seed: int) -> None:
        """Raise BitstreamError unless the stream was of these steps and this seed, and all of it is read."""
        check_end(self._stack, _checksum(self._steps, seed), "latent")


@lru_cache(maxsize=32)
def index_coder(quantizer: Quantizer, settings: QuantizerSettings) -> IndexCoder:
    """Return the coder of a quantizer at a setting, its tables made once a process."""
    return IndexCoder(quantizer, settings)


def _checksum(steps: Sequence[I32], seed: int) -> int:
    """Return a CRC-32 of the indices, row-major and little-endian, that goes on from `seed`; never 0."""
    for indices in steps:
        seed = crc32(indices.astype("<i4").tobytes(), seed)
    return max(seed, 1)


def _integer_rows(tables: PmfTables) -> I64:
    """Return int64 [lattices * 64, 2 * max_radius + 2] frequencies, escape last, 0 where unlisted."""
    listed = np.abs(np.arange(-tables.max_radius, tables.max_radius + 1)) <= tables.radius[:, None]
    whole = np.where(listed, frequencies(tables.probabilities), 0)
    every = np.concatenate([whole, frequencies(tables.escape)[:, :, None]], axis=2)
    rows: I64 = every.reshape(-1, every.shape[2])
    return rows


def _listed(tables: PmfTables, row: I64, scale: int, first: int, step: int) -> I64:
    radius = int(tables.radius[scale])
    return row[tables.max_radius + first : tables.max_radius + radius + 1 : step]


def _whole(tables: PmfTables, rows: I64) -> Alphabets:
    """Return one alphabet a scale: -radius .. radius."""
    listed = [
        np.append(_listed(tables, row, scale, -int(tables.radius[scale]), 1), row[-1])
        for scale, row in enumerate(rows)
    ]
    return Alphabets(-tables.radius.astype(np.int64), 2 * tables.radius.astype(np.int64) + 1, 1, listed)


def _halves(tables: PmfTables, rows: I64) -> Alphabets:
    """Return one alphabet for each (parity, lattice, scale): indices of that parity, half the escape."""
    firsts, listed = [], []
    for parity in (0, 1):
        for table, row in enumerate(rows):
            radius = int(tables.radius[table % SCALES])
            firsts.append(-radius + ((radius ^ parity) & 1))
            half = _listed(tables, row, table % SCALES, firsts[-1], 2)
            listed.append(np.append(half, np.maximum(row[-1] // 2, 1)))
    return Alphabets(np.array(firsts), np.array([len(half) - 1 for half in listed]), 2, listed)


def _parity_rows(rows: I64) -> F64:
    """Return float64 [lattices * 64, 2] frequencies of even and odd: integers, so exact in any order."""
    centre = (rows.shape[1] - 2) // 2
    odd_columns = (np.arange(rows.shape[1] - 1) - centre) % 2 == 1
    odd = 2 * rows[:, :-1][:, odd_columns].sum(axis=1) + rows[:, -1]
    even = 2 * rows[:, :-1][:, ~odd_columns].sum(axis=1) + rows[:, -1]
    both: F64 = np.stack([even, odd], axis=1).astype(np.float64)
    return both
