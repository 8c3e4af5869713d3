"""The quantizers of the latent: scalar, deadzone, rate-distortion-optimized, and trellis-coded (TCQ)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmark.arrays import F32, F64, I32, U8
from benchmark.errors import CodecError, UsageError, did_you_mean
from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.fits import FITS, REACH, Fit
from benchmark.learned.quantizers.trellis import TCQ4, TCQ8, RateTable, Trellis
from benchmark.learned.tables import (
    MAX_RADIUS,
    SCALE_TABLE,
    SCALES,
    PmfTables,
    cell_tables,
    fitted_tables,
    index_bits,
)

LARGEST_UNITS = 2.0**22
"""Residuals beyond this many steps are refused: float32 no longer tells neighbouring lattice points apart."""

DEADZONE_ROUNDING = 1.0 / 3.0
"""What `deadzone` adds before it truncates: the constant of H.26x encoders for intra pictures."""

SCALAR_SLOPE = math.log(2) / 6
"""lam / delta^2 of high-rate theory for scalar quantization: D = delta^2 / 12, dD/dR = -2 ln 2 D."""
TCQ_SLOPE = 0.36
"""lam / delta^2 of high-rate theory for TCQ, whose D is 1.08 dB below that of a scalar step of 2 * delta."""


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
    is uint8 [C, L] and points into SCALE_TABLE. `dequantize`, `quantizer_of` and `pmf_tables` give the same
    bits on every IEEE-754 machine; so does `quantize`, given the same residuals.
    """

    name: str
    states: int = 1
    quantizers: int = 1

    @abstractmethod
    def default_settings(self) -> QuantizerSettings:
        """Return the settings to use for a model that was not calibrated."""

    @abstractmethod
    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the index by quantizer and scale; they depend on delta alone."""

    def prepare(self, settings: QuantizerSettings | None = None) -> None:
        """Compile the kernels (or load them from the cache) and make the tables, so that neither is timed."""
        settings = settings or self.default_settings()
        scale_index = np.zeros((1, 1), np.uint8)
        indices = self.quantize(np.zeros((1, 1), np.float32), scale_index, settings)
        self.dequantize(indices, scale_index, settings)
        self.quantizer_of(indices)

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

        uint8 [C, L] scale_index is what `quantize` was given; only the expanded quantizers use it.
        """
        return self._points(indices, settings)

    def _points(self, indices: I32, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L], the lattice points of the indices, which the search compares."""
        values: F32 = indices.astype(np.float32) * np.float32(settings.delta)
        return values

    def quantizer_of(self, indices: I32) -> U8:
        """Return uint8 [C, L]: which quantizer (0 or 1) each index belongs to, from the parities before."""
        return np.zeros(indices.shape, np.uint8)


class Scalar(Quantizer):
    """Uniform rounding, half to even (as torch.round does)."""

    name = "scalar"

    def default_settings(self) -> QuantizerSettings:
        """Return step 1, with which the networks are trained."""
        return QuantizerSettings(delta=1.0)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return Gaussian cells around the reconstruction points: exact for Gaussian residuals."""
        return _scalar_tables(settings.delta, 0.5)

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        indices: I32 = np.rint(residual * np.float32(1.0 / settings.delta)).astype(np.int32)
        return indices


class Deadzone(Quantizer):
    """Rounding with a wider zero cell: |k| = floor(|x| / delta + DEADZONE_ROUNDING)."""

    name = "deadzone"

    def default_settings(self) -> QuantizerSettings:
        """Return step 1, with which the networks are trained."""
        return QuantizerSettings(delta=1.0)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the cells: exact for Gaussian residuals."""
        return _scalar_tables(settings.delta, 1.0 - DEADZONE_ROUNDING)

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        units = residual * np.float32(1.0 / settings.delta)
        magnitude = np.floor(np.abs(units) + np.float32(DEADZONE_ROUNDING))
        indices: I32 = np.copysign(magnitude, units).astype(np.int32)
        return indices


class FittedQuantizer(Quantizer):
    """A quantizer that searches, with tables fitted to latents of trained networks.

    The lattice points decide. Where `expanded`, what the decoder is given lies further from zero than they
    do (see `Fit`): that suits a decoder that was trained with noise and never saw quantized latents.
    """

    def __init__(self, name: str, fit: Fit, *, expanded: bool = False) -> None:
        self.name = name
        self.fit = fit
        self.expanded = expanded

    def dequantize(self, indices: I32, scale_index: U8, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L]: the lattice points, or these expanded as suits the scale of each sample."""
        values = self._points(indices, settings)
        if not self.expanded:
            return values
        stretch, shift = _expansion(self.fit, settings.delta)
        reach = np.float32(REACH * settings.delta)
        trellis.expand(values, np.ascontiguousarray(scale_index, np.uint8), stretch, shift, reach)
        return values


class Rdoq(FittedQuantizer):
    """Scalar quantization that takes, sample by sample, the index with the least J among three.

    The candidates are the two nearest indices and zero.
    """

    def default_settings(self) -> QuantizerSettings:
        """Return step 1 and the slope of high-rate theory."""
        return QuantizerSettings(delta=1.0, trellis_lambda=SCALAR_SLOPE)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the fitted probabilities: what the search picks on latents of trained networks."""
        return _rdoq_tables(self.fit, settings.delta)

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        inverse = np.float32(1.0 / settings.delta)
        costs = _rdoq_costs(self.fit, settings)
        indices: I32 = trellis.search_scalar(residual, scale_index, inverse, costs)
        return indices


class Tcq(FittedQuantizer):
    """Trellis-coded quantization: the dependent quantization of VVC (4 states) and ECM (8 states)."""

    quantizers = 2

    def __init__(self, name: str, machine: Trellis, fit: Fit, *, expanded: bool = False) -> None:
        super().__init__(name, fit, expanded=expanded)
        self.machine = machine
        self.states = machine.states

    def default_settings(self) -> QuantizerSettings:
        """Return union spacing 0.6 of the scalar step and the slope of high-rate theory."""
        return QuantizerSettings(delta=0.6, trellis_lambda=TCQ_SLOPE * 0.6**2)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the fitted probabilities of Q0 and Q1: what the search picks on latents."""
        return _tcq_tables(self.fit, settings.delta)

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        costs = _tcq_costs(self.fit, settings)
        return trellis.search(residual, scale_index, settings.delta, costs, self.machine, threads)

    def _points(self, indices: I32, settings: QuantizerSettings) -> F32:
        values: F32 = trellis.dequantize(
            np.ascontiguousarray(indices, np.int32),
            np.float32(settings.delta),
            self.machine.next_state,
            self.machine.quantizer,
        )
        return values

    def quantizer_of(self, indices: I32) -> U8:
        """Return uint8 [C, L]: which quantizer (0 or 1) each index belongs to, from the parities before."""
        used: U8 = trellis.quantizers(
            np.ascontiguousarray(indices, np.int32), self.machine.next_state, self.machine.quantizer
        )
        return used


@lru_cache(maxsize=64)
def _scalar_tables(delta: float, first_threshold: float) -> PmfTables:
    thresholds = (first_threshold + np.arange(MAX_RADIUS + 1.0)) * delta
    return cell_tables(np.broadcast_to(thresholds, (1, SCALES, len(thresholds))), SCALE_TABLE[None, :])


@lru_cache(maxsize=64)
def _rdoq_tables(fit: Fit, delta: float) -> PmfTables:
    return _fitted(fit, delta, (0.5 + np.arange(MAX_RADIUS + 1.0))[None, :])


@lru_cache(maxsize=64)
def _tcq_tables(fit: Fit, delta: float) -> PmfTables:
    k = np.arange(MAX_RADIUS + 1.0)
    return _fitted(fit, delta, np.stack([2.0 * k + 1.0, np.maximum(2.0 * k, 0.5)]))


def _fitted(fit: Fit, delta: float, thresholds: F64) -> PmfTables:
    """Return the tables for cells halfway between points, thresholds [quantizers, n] in units of delta."""
    narrowing, wide_weight, zero_odds = fit.shape(SCALE_TABLE / delta)
    shape = (len(thresholds), SCALES, thresholds.shape[1])
    cells = np.broadcast_to(thresholds[:, None, :] * delta, shape)
    return fitted_tables(cells, SCALE_TABLE * narrowing, wide_weight, zero_odds)


@lru_cache(maxsize=64)
def _expansion(fit: Fit, delta: float) -> tuple[F32, F32]:
    stretch, shift = fit.expansion()
    return stretch.astype(np.float32), (shift * delta).astype(np.float32)


@lru_cache(maxsize=64)
def _rdoq_costs(fit: Fit, settings: QuantizerSettings) -> F32:
    slope = settings.trellis_lambda / (settings.delta * settings.delta)
    tables = _rdoq_tables(fit, settings.delta)
    costs: F32 = (slope * index_bits(tables)[0]).astype(np.float32)
    return costs


@lru_cache(maxsize=64)
def _tcq_costs(fit: Fit, settings: QuantizerSettings) -> RateTable:
    tables = _tcq_tables(fit, settings.delta)
    slope = settings.trellis_lambda / (settings.delta * settings.delta)
    return trellis.rate_table((slope * index_bits(tables)).astype(np.float32), tables.radius + 17)


_QUANTIZERS: dict[str, Quantizer] = {
    quantizer.name: quantizer
    for quantizer in (
        Scalar(),
        Deadzone(),
        Rdoq("rdoq", FITS["rdoq"]),
        Tcq("tcq4", TCQ4, FITS["tcq4"]),
        Tcq("tcq8", TCQ8, FITS["tcq8"]),
        Rdoq("rdoq-expanded", FITS["rdoq"], expanded=True),
        Tcq("tcq4-expanded", TCQ4, FITS["tcq4"], expanded=True),
        Tcq("tcq8-expanded", TCQ8, FITS["tcq8"], expanded=True),
    )
}
NAMES: tuple[str, ...] = tuple(_QUANTIZERS)
"""The quantizers that exist."""


def get_quantizer(name: str) -> Quantizer:
    """Return the quantizer of this name. Raises UsageError, with the near names, if there is none."""
    if name not in _QUANTIZERS:
        raise UsageError(f"no quantizer is called {name!r}: {did_you_mean(name, _QUANTIZERS)}")
    return _QUANTIZERS[name]
