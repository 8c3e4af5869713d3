"""Embedded quantization of Gaussian residuals: each plane halves the cells of the one before.

The index of plane k is q_k = sgn(r) floor(|r| / S_k) with S_k = delta * 2^(planes - k): the cell of zero,
twice as wide as the others, splits into three, every other cell into two (Li et al. 2023, dead-zone
quantizers for progressive coding). All that both sides compute is made of correctly rounded operations in a
fixed order, as in `benchmark.learned.tables`: masses, centroids, and so the order in which cells are split.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.arrays import F32, F64, I32, I64, U8, U16
from benchmark.errors import BitstreamError, CodecError
from benchmark.learned.coding.ans import Alphabets, escape_bits, frequencies
from benchmark.learned.quantizers.base import LARGEST_UNITS
from benchmark.learned.tables import ESCAPE_FLOOR, SCALE_TABLE, SCALES, exact_exp, exact_log2, normal_tail

LISTED = 32
"""Magnitudes 0 to 31 of an index have cells of their own; beyond, a cell splits evenly and has its middle."""
_INV_SQRT_2PI = 0.3989422804014327
_LEAST_MASS = 1e-290
_SILENT = 1e-9
"""Cells of zero that split with less than this probability go first: they say nothing and cost nothing."""
_FINE = 0.25
"""Below this many standard deviations a step is fine: half a step less removes S^2 / 16 for one bit."""
_CELLS = 40


@dataclass(frozen=True)
class Embedding:
    """A quantizer whose indices are refined plane by plane, from step delta * 2^planes down to delta."""

    delta: float
    planes: int

    def step(self, plane: int) -> float:
        """Return the step of a plane, 0 the coarsest."""
        return self.delta * float(2 ** (self.planes - plane))

    def quantize(self, residual: F32) -> I32:
        """Return the indices of the last plane, int32 like `residual`. Raises CodecError if it is absurd."""
        if not np.abs(residual).max(initial=0.0) < LARGEST_UNITS * self.delta:
            raise CodecError("the latent has values that are not finite or absurdly large: damaged weights?")
        indices: I32 = np.trunc(residual / np.float32(self.delta)).astype(np.int32)
        return indices

    def at(self, indices: I32, plane: int) -> I32:
        """Return the indices of a plane, given those of the last one."""
        coarse: I32 = (np.sign(indices) * (np.abs(indices) >> (self.planes - plane))).astype(np.int32)
        return coarse

    def dequantize(self, indices: I32, scale_index: U8, plane: U8) -> F32:
        """Return float32 reconstructions: each cell's centroid, its middle beyond the listed cells.

        `plane` says of each of the 64 scales how far its indices are.
        """
        magnitude = np.abs(indices)
        at = plane[scale_index]
        listed = self.centroids[at, scale_index, np.minimum(magnitude, LISTED - 1)]
        steps = np.array([self.step(k) for k in range(self.planes + 1)])
        middle = (magnitude + 0.5) * steps[at]
        values: F32 = (np.sign(indices) * np.where(magnitude < LISTED, listed, middle)).astype(np.float32)
        return values

    @cached_property
    def masses(self) -> F64:
        """Float64 [planes + 1, 64, 32]: the probability of each plane's index, by scale and magnitude."""
        return np.stack([_masses(self.step(k)) for k in range(self.planes + 1)])[:, :, :LISTED]

    @cached_property
    def centroids(self) -> F64:
        """Float64 [planes + 1, 64, 32]: the mean of each cell, by scale and magnitude; 0 of zero's."""
        return np.stack([_centroids(self.step(k)) for k in range(self.planes + 1)])[:, :, :LISTED]

    @cached_property
    def coarsest(self) -> Alphabets:
        """The alphabets of the first plane's indices, one a scale."""
        keep = 1.0 - ESCAPE_FLOOR
        positive = keep * self.masses[0, :, 1:]
        zero = keep * self.masses[0, :, :1]
        beyond = keep * (2.0 * normal_tail(LISTED * self.step(0) / SCALE_TABLE))[:, None] + ESCAPE_FLOOR
        rows = frequencies(np.concatenate([positive[:, ::-1], zero, positive, beyond], axis=1))
        first, count = np.full(SCALES, 1 - LISTED), np.full(SCALES, 2 * LISTED - 1)
        return Alphabets(first, count, 1, list(rows))

    @cached_property
    def splits(self) -> list[Alphabets]:
        """The alphabets of each plane's splits, by `contexts`: -1, 0, 1 of the cell of zero; else 0, 1.

        The escape that each has, one part of a million, occurs in no sound stream.
        """
        return [self._splits(k) for k in range(self.planes)]

    def _splits(self, plane: int) -> Alphabets:
        zero = _share(self.masses[plane + 1, :, 0], self.masses[plane, :, 0])
        side = (1.0 - zero) / 2
        nearer = np.full((SCALES, LISTED), 0.5)
        finer = _masses(self.step(plane + 1))[:, 2 : 2 * LISTED : 2]
        nearer[:, 1:] = _share(finer, self.masses[plane, :, 1:])
        triple = frequencies(np.stack([side, zero, side], axis=1))
        double = frequencies(np.stack([nearer, 1.0 - nearer], axis=2))
        listed = [
            np.append(double[s, a] if a else triple[s], 1) for s in range(SCALES) for a in range(LISTED)
        ]
        listed.append(np.array([1, 1, 0]) * 2**19 + np.array([0, 0, 1]))
        is_zero = np.append(np.tile(np.arange(LISTED) == 0, SCALES), False)
        return Alphabets(np.where(is_zero, -1, 0), np.where(is_zero, 3, 2), 1, listed)

    @cached_property
    def layers(self) -> I64:
        """Int64 [planes, 64]: the layer in which cells of a plane and scale are split.

        Layers are of falling slope, distortion removed for a bit; the slope of each is half that of the one
        before. A plane is never split before the one above it.
        """
        top = self.step(0) ** 2 / 16.0
        found, before = [], np.full(SCALES, np.inf)
        for plane in range(self.planes):
            before = np.minimum(before, self._slopes(plane))
            layer = np.zeros(SCALES, np.int64)
            for number in range(self.count - 1):
                layer += before < top * 2.0**-number
            found.append(layer)
        return np.stack(found)

    @property
    def count(self) -> int:
        """How many layers there are: two for each plane; the last one has all that is worth less."""
        return 2 * self.planes

    def _slopes(self, plane: int) -> F64:
        """Return float64 [64]: by how much a plane's splits reduce the squared error for each bit."""
        step = self.step(plane)
        bits_before, energy_before = _bits_and_energy(step)
        bits, energy = _bits_and_energy(step / 2)
        silent = 2.0 * normal_tail(step / 2 / SCALE_TABLE) < _SILENT
        rate = np.where(silent, 1.0, bits - bits_before)
        slope = np.where(silent, np.inf, (energy - energy_before) / np.maximum(rate, _LEAST_MASS))
        return np.where(step <= _FINE * SCALE_TABLE, step * step / 16.0, slope)

    def planes_after(self, layers: int) -> U8:
        """Return uint8 [64]: how far the indices of each scale are refined after so many layers."""
        reached: U8 = (self.layers < layers).sum(axis=0).astype(np.uint8)
        return reached

    def refined(self, indices: I32, symbols: I32) -> I32:
        """Return the next plane's indices, given what their splits are. Raises BitstreamError."""
        zero = indices == 0
        if (symbols < np.where(zero, -1, 0)).any() or (symbols > 1).any():
            raise BitstreamError("a layer holds a split that there is not: it is damaged")
        finer: I32 = np.where(zero, symbols, 2 * indices + np.sign(indices) * symbols).astype(np.int32)
        return finer

    def split(self, indices: I32, finer: I32) -> I32:
        """Return what `refined` needs to make `finer` of `indices`."""
        symbols: I32 = np.where(indices == 0, finer, np.abs(finer) - 2 * np.abs(indices)).astype(np.int32)
        return symbols

    def contexts(self, indices: I32, scale_index: U8) -> U16:
        """Return uint16 places in `splits`: by scale and magnitude; the last for all that are not listed."""
        magnitude = np.abs(indices)
        place = scale_index.astype(np.int64) * LISTED + magnitude
        found: U16 = np.where(magnitude < LISTED, place, SCALES * LISTED).astype(np.uint16)
        return found


def entropy_bits(values: I32, contexts: U8 | U16, alphabets: Alphabets) -> float:
    """Return the information content of flat values under their contexts' tables in bits."""
    symbols = values.astype(np.int64) - alphabets.first[contexts]
    count = alphabets.count[contexts]
    escaped = (symbols < 0) | (symbols >= count)
    column = np.where(escaped, count, symbols)
    widest = max(len(row) for row in alphabets.frequencies)
    table = np.ones((len(alphabets.frequencies), widest))
    for place, row in enumerate(alphabets.frequencies):
        table[place, : len(row)] = -np.log2(row / row.sum())
    total = float(table[contexts, column].sum())
    distance = np.where(symbols < 0, -1 - symbols, symbols - count)[escaped]
    return total + float(escape_bits(distance).sum())


def _masses(step: float) -> F64:
    """Return float64 [64, 2 * LISTED + 1]: P(|r| in the cell) of zero, of one side's cells beyond."""
    edges = np.arange(1, 2 * LISTED + 2) * step
    tails = normal_tail(edges / SCALE_TABLE[:, None])
    zero = 1.0 - 2.0 * tails[:, :1]
    found: F64 = np.maximum(np.concatenate([zero, tails[:, :-1] - tails[:, 1:]], axis=1), _LEAST_MASS)
    return found


def _centroids(step: float) -> F64:
    """Return float64 [64, 2 * LISTED + 1]: the mean of each cell, between its edges; 0 of zero's."""
    sigma = SCALE_TABLE[:, None]
    edges = np.arange(0, 2 * LISTED + 2) * step
    density = exact_exp(-0.5 * (edges / sigma) * (edges / sigma)) * _INV_SQRT_2PI
    mass = _masses(step)
    mean = sigma * (density[:, :-1] - density[:, 1:]) / mass
    nearest = np.broadcast_to(edges[:-1], mean.shape)
    # So far out that no mass is left, a Gaussian is an exponential: its mean lies sigma^2 / edge beyond.
    outside = nearest + np.minimum(step / 2, sigma * sigma / np.maximum(nearest, step))
    found = np.clip(np.where(mass > 1e-280, mean, outside), edges[:-1], edges[1:])
    found[:, 0] = 0.0
    return found


def _bits_and_energy(step: float) -> tuple[F64, F64]:
    """Return float64 [64] twice: the entropy of the index, and the mean square of what it reconstructs.

    Of the listed cells alone, added in order: where others matter the step is fine (see `_FINE`).
    """
    mass, centroid = _masses(step), _centroids(step)
    bits, energy = -mass[:, 0] * exact_log2(mass[:, 0]), np.zeros(SCALES)
    for cell in range(1, _CELLS):
        bits = bits - 2.0 * mass[:, cell] * exact_log2(mass[:, cell])
        energy = energy + 2.0 * mass[:, cell] * centroid[:, cell] * centroid[:, cell]
    return bits, energy


def _share(part: F64, whole: F64) -> F64:
    return np.clip(part / whole, 0.0, 1.0)
