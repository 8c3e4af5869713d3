"""What a quantizer of the latent is: residuals to indices and back, and the probabilities of the indices."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.errors import CodecError, UsageError
from benchmark.learned.tables import SCALES, PmfTables

if TYPE_CHECKING:
    from benchmark.learned.quantizers.trellis import Trellis

LARGEST_UNITS = 2.0**22
"""Residuals beyond this many steps are refused: float32 no longer tells neighbouring lattice points apart."""


@dataclass(frozen=True)
class QuantizerSettings:
    """The free parameters of a quantizer.

    delta: step of the scalar quantizers; spacing of the union lattice of the TCQ ones (each of Q0 and Q1 has
    spacing 2 * delta). Decoder and tables depend on it alone, so all 64 bits of it must travel.
    trellis_lambda: lam in J = (x - x_hat)^2 + lam * bits, in squared units of the latent; the encoder's own
    affair, and nothing to `scalar` and `deadzone`. Raises UsageError, naming the field, for values that are
    out of range.
    """

    delta: float
    trellis_lambda: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and 2.0**-10 <= self.delta <= 2.0**10):
            raise UsageError(f"delta is {self.delta}: give a step between 1/1024 and 1024")
        if not (math.isfinite(self.trellis_lambda) and self.trellis_lambda >= 0.0):
            raise UsageError(f"trellis_lambda is {self.trellis_lambda}: give a finite number, 0 or more")


class Quantizer(ABC):
    """Residuals to indices and back, and the probabilities of the indices.

    Residuals are float32 [C, L], one channel of the latent in each row, row-major over the image; scale_index
    is uint8 [C, L] and points into SCALE_TABLE. `dequantize`, `lattice_of` and `pmf_tables` give the same
    bits on every IEEE-754 machine; so does `quantize`, given the same residuals.
    """

    name: str
    """The registry name."""
    stream_id: int
    """The byte that stands for it in streams: 0 to 127 are the package's own."""
    machine: Trellis | None = None
    """What decides which of two lattices a sample's point is taken from; None where there is one lattice."""
    calibrated: bool = False
    """Whether `bench calibrate` chooses its settings for each model."""

    @property
    def lattices(self) -> int:
        """How many lattices, and so tables a scale, there are."""
        return 1 if self.machine is None else 2

    @abstractmethod
    def default_settings(self) -> QuantizerSettings:
        """Return the settings to use for a model that was not calibrated."""

    @abstractmethod
    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the index by lattice and scale; they depend on delta alone."""

    def prepare(self, settings: QuantizerSettings | None = None) -> None:
        """Compile the kernels (or load them from the cache) and make the tables, so that neither is timed."""
        settings = settings or self.default_settings()
        scale_index = np.zeros((1, 1), np.uint8)
        indices = self.quantize(np.zeros((1, 1), np.float32), scale_index, settings)
        self.dequantize(indices, scale_index, settings)
        self.lattice_of(indices)

    def quantize(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int = 1) -> I32:
        """Return int32 [C, L] indices; the trellis quantizers share the channels among `threads`.

        Raises CodecError for residuals that are not finite or beyond LARGEST_UNITS steps, for shapes that
        differ and for a scale_index of 64 or more.
        """
        if residual.ndim != 2 or residual.shape != scale_index.shape:
            raise CodecError(f"residual {residual.shape}, scale_index {scale_index.shape}: need [C, L] twice")
        if residual.size == 0:
            return np.zeros(residual.shape, np.int32)
        if int(scale_index.max()) >= SCALES:
            raise CodecError(f"scale_index has {int(scale_index.max())}: it must be below {SCALES}")
        largest = LARGEST_UNITS * settings.delta
        if not (float(residual.max()) <= largest and float(residual.min()) >= -largest):
            raise CodecError("the latent has values that are not finite or absurdly large: damaged weights?")
        residual = np.ascontiguousarray(residual, np.float32)
        return self._search(residual, np.ascontiguousarray(scale_index, np.uint8), settings, threads)

    @abstractmethod
    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        """Return the indices of checked residuals."""

    def dequantize(self, indices: I32, scale_index: U8, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L], the reconstruction of int32 [C, L] indices.

        uint8 [C, L] scale_index is what `quantize` was given; reconstruction offsets depend on it.
        """
        return self.points(indices, settings)

    def points(self, indices: I32, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L], the lattice points of the indices, which the search compares."""
        values: F32 = indices.astype(np.float32) * np.float32(settings.delta)
        return values

    def lattice_of(self, indices: I32) -> U8:
        """Return uint8 [C, L]: which lattice (0 or 1) each index belongs to, from the parities before."""
        return np.zeros(indices.shape, np.uint8)
