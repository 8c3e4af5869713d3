"""The quantizers of the latent: scalar, deadzone, rate-distortion-optimized, and trellis-coded (TCQ)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import CodecError, UsageError, did_you_mean
from benchmark.learned import trellis
from benchmark.learned.tables import MAX_RADIUS, SCALE_TABLE, SCALES, PmfTables, cell_tables, exact_log2
from benchmark.learned.trellis import TCQ4, TCQ8, Trellis

Residual = NDArray[np.float32]
Indices = NDArray[np.int32]
Bytes = NDArray[np.uint8]

LARGEST_UNITS = 2.0**22
"""Residuals beyond this many steps are refused: float32 no longer tells neighbouring lattice points apart."""

DEADZONE_ROUNDING = 1.0 / 3.0
"""What `deadzone` adds before it truncates: the constant of H.26x encoders for intra pictures."""


@dataclass(frozen=True)
class QuantizerSettings:
    """What encoder and decoder agree on; the tables are a function of it, so all 64 bits of each must travel.

    delta: step of the scalar quantizers; spacing of the union lattice of the TCQ ones (each of Q0 and Q1 has
    spacing 2 * delta). trellis_lambda: lam in J = (x - x_hat)^2 + lam * bits, in squared units of the latent;
    `scalar` and `deadzone` ignore it. Raises UsageError, naming the field, for values out of range.
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

    Residuals are float32 [C, L], one channel of the latent in each row, row-major over the image; scale_index is
    uint8 [C, L] and points into SCALE_TABLE. Encoding decisions may differ in the last place between machines;
    `dequantize`, `quantizer_of` and `pmf_tables` are exact everywhere.
    """

    name: str
    states: int = 1
    quantizers: int = 1

    @abstractmethod
    def default_settings(self) -> QuantizerSettings:
        """Return the settings to use for a model that was not calibrated."""

    @abstractmethod
    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the index for each quantizer and scale (cached, read-only)."""

    def quantize(self, residual: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        """Return int32 [C, L] indices.

        Raises CodecError for residuals that are not finite or beyond LARGEST_UNITS steps, for shapes that
        differ and for a scale_index of 64 or more.
        """
        if residual.ndim != 2 or residual.shape != scale_index.shape:
            raise CodecError(
                f"residual {residual.shape} and scale_index {scale_index.shape}: both must be [C, L]"
            )
        if residual.size == 0:
            return np.zeros(residual.shape, np.int32)
        if int(scale_index.max()) >= SCALES:
            raise CodecError(f"scale_index has {int(scale_index.max())}: it must be below {SCALES}")
        units = residual * np.float32(1.0 / settings.delta)
        if not float(np.abs(units).max()) <= LARGEST_UNITS:
            raise CodecError("the latent has values that are not finite or absurdly large: damaged weights?")
        return self._search(units, scale_index, settings)

    @abstractmethod
    def _search(self, units: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        """Return the indices of residuals given in units of delta."""

    def prepare(self) -> None:
        """Compile (or load from the cache) what the methods need, so that it is not timed."""
        settings = self.default_settings()
        indices = self.quantize(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8), settings)
        self.dequantize(indices, settings)
        self.quantizer_of(indices)

    def dequantize(self, indices: Indices, settings: QuantizerSettings) -> Residual:
        """Return float32 [C, L], the reconstruction of int32 [C, L] indices."""
        values: Residual = indices.astype(np.float32) * np.float32(settings.delta)
        return values

    def quantizer_of(self, indices: Indices) -> Bytes:
        """Return uint8 [C, L]: which quantizer (0 or 1) each index belongs to, from the parities before it."""
        return np.zeros(indices.shape, np.uint8)


class Scalar(Quantizer):
    """Uniform rounding, half to even (as torch.round does)."""

    name = "scalar"

    def default_settings(self) -> QuantizerSettings:
        """Return step 1, with which the networks are trained."""
        return QuantizerSettings(delta=1.0)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return Gaussian cells around the reconstruction points."""
        return _cells(settings.delta, 0.5)

    def _search(self, units: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        return np.rint(units).astype(np.int32)


class Deadzone(Quantizer):
    """Rounding with a wider zero cell: |k| = floor(|x| / delta + DEADZONE_ROUNDING)."""

    name = "deadzone"

    def default_settings(self) -> QuantizerSettings:
        """Return step 1, with which the networks are trained."""
        return QuantizerSettings(delta=1.0)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the cells, exact for Gaussian residuals."""
        return _cells(settings.delta, 1.0 - DEADZONE_ROUNDING)

    def _search(self, units: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        magnitude = np.floor(np.abs(units) + np.float32(DEADZONE_ROUNDING))
        return np.copysign(magnitude, units).astype(np.int32)


class Rdoq(Quantizer):
    """Scalar quantization that takes, sample by sample, the index with the least J among three.

    The candidates are the two nearest indices and zero; reconstruction and decoder are those of `scalar`.
    """

    name = "rdoq"

    def default_settings(self) -> QuantizerSettings:
        """Return step 1 and the slope of high-rate theory, lam = ln 2 / 6 * delta^2."""
        return QuantizerSettings(delta=1.0, trellis_lambda=math.log(2) / 6)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return Gaussian cells around the reconstruction points."""
        return _cells(settings.delta, 0.5)

    def _search(self, units: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        indices: Indices = trellis.search_scalar(
            units, scale_index, _weighted_rates(self.pmf_tables(settings), settings)[0]
        )
        return indices


class Tcq(Quantizer):
    """Trellis-coded quantization: dependent quantization as in VVC and ECM (notes in docs/quantizers.md)."""

    quantizers = 2

    def __init__(self, name: str, machine: Trellis) -> None:
        self.name = name
        self.machine = machine
        self.states = machine.states

    def default_settings(self) -> QuantizerSettings:
        """Return union spacing 0.6 and the slope of high-rate theory, lam = 0.36 * delta^2."""
        return QuantizerSettings(delta=0.6, trellis_lambda=0.36 * 0.6**2)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return Gaussian cells around the reconstruction points of Q0 and of Q1."""
        return _tcq_cells(settings.delta)

    def _search(self, units: Residual, scale_index: Bytes, settings: QuantizerSettings) -> Indices:
        rates = _weighted_rates(self.pmf_tables(settings), settings)
        indices: Indices = trellis.search(
            units, scale_index, rates, self.machine.predecessors(), self.machine.quantizer
        )
        return indices

    def dequantize(self, indices: Indices, settings: QuantizerSettings) -> Residual:
        """Return float32 [C, L], the reconstruction of int32 [C, L] indices."""
        values: Residual = trellis.dequantize(
            indices, np.float32(settings.delta), self.machine.next_state, self.machine.quantizer
        )
        return values

    def quantizer_of(self, indices: Indices) -> Bytes:
        """Return uint8 [C, L]: which quantizer (0 or 1) each index belongs to, from the parities before it."""
        used: Bytes = trellis.quantizers(indices, self.machine.next_state, self.machine.quantizer)
        return used


@lru_cache(maxsize=64)
def _cells(delta: float, first: float) -> PmfTables:
    thresholds = (first + np.arange(MAX_RADIUS + 1)) * delta
    shape = (1, SCALES, MAX_RADIUS + 1)
    return cell_tables(np.broadcast_to(thresholds, shape), SCALE_TABLE[None, :])


@lru_cache(maxsize=64)
def _tcq_cells(delta: float) -> PmfTables:
    k = np.arange(MAX_RADIUS + 1)
    thresholds = np.stack([2.0 * k + 1.0, np.where(k == 0, 0.5, 2.0 * k)]) * delta
    shape = (2, SCALES, MAX_RADIUS + 1)
    sigma = np.broadcast_to(SCALE_TABLE, (2, SCALES))
    return cell_tables(np.broadcast_to(thresholds[:, None, :], shape), sigma)


def _weighted_rates(tables: PmfTables, settings: QuantizerSettings) -> NDArray[np.float32]:
    """Return float32 [quantizers, 64, magnitudes]: lam / delta^2 times the bits of each magnitude."""
    positive = tables.probabilities[:, :, tables.max_radius :]
    beyond = np.arange(positive.shape[2]) - tables.radius[:, None]
    escape_bits = 2.0 * np.log2(np.maximum(beyond, 1)) + 1.0 - np.log2(tables.escape)[:, :, None]
    bits = np.where(beyond > 0, escape_bits, -exact_log2(np.maximum(positive, 1e-300)))
    return (bits * (settings.trellis_lambda / settings.delta**2)).astype(np.float32)


_QUANTIZERS: dict[str, Quantizer] = {
    quantizer.name: quantizer
    for quantizer in (Scalar(), Deadzone(), Rdoq(), Tcq("tcq4", TCQ4), Tcq("tcq8", TCQ8))
}
NAMES: tuple[str, ...] = tuple(_QUANTIZERS)
"""The quantizers that exist."""


def get_quantizer(name: str) -> Quantizer:
    """Return the quantizer of this name. Raises UsageError, with the near names, if there is none."""
    if name not in _QUANTIZERS:
        raise UsageError(f"no quantizer is called {name!r}: {did_you_mean(name, _QUANTIZERS)}")
    return _QUANTIZERS[name]
