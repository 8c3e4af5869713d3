"""Trellis-coded quantization."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.fits import TCQ4_FIT, TCQ8_EXPANDED_FIT, TCQ8_FIT, Fit
from benchmark.learned.quantizers.fitted import FittedQuantizer, cells_between
from benchmark.learned.quantizers.trellis import TCQ4, TCQ8, RateTable, Trellis
from benchmark.learned.tables import MAX_RADIUS, PmfTables, index_bits

TCQ_SLOPE = 0.36
"""lam / delta^2 of high-rate theory for TCQ, whose D is 1.08 dB below that of a scalar step of 2 * delta."""


class Tcq(FittedQuantizer):
    """Trellis-coded quantization: the dependent quantization of VVC (4 states) and ECM (8 states)."""

    machine: Trellis

    def __init__(
        self, name: str, stream_id: int, fit: Fit, machine: Trellis, *, expanded: bool = False
    ) -> None:
        super().__init__(name, stream_id, fit, expanded=expanded)
        self.machine = machine

    def default_settings(self) -> QuantizerSettings:
        """Return union spacing 0.6 of the scalar step and the slope of high-rate theory."""
        return QuantizerSettings(delta=0.6, trellis_lambda=TCQ_SLOPE * 0.6**2)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the fitted probabilities of Q0 and Q1: what the search picks on latents."""
        return _tcq_tables(self.fit, settings.delta)

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        costs = rate_costs(self.fit, settings)
        return trellis.search(residual, scale_index, settings.delta, costs, self.machine, threads)

    def points(self, indices: I32, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L], the lattice points of the indices, which the search compares."""
        values: F32 = trellis.dequantize(
            np.ascontiguousarray(indices, np.int32),
            np.float32(settings.delta),
            self.machine.next_state,
            self.machine.lattice,
        )
        return values

    def lattice_of(self, indices: I32) -> U8:
        """Return uint8 [C, L]: which lattice (0 or 1) each index belongs to, from the parities before."""
        used: U8 = trellis.lattices_of(
            np.ascontiguousarray(indices, np.int32), self.machine.next_state, self.machine.lattice
        )
        return used


@lru_cache(maxsize=64)
def _tcq_tables(fit: Fit, delta: float) -> PmfTables:
    k = np.arange(MAX_RADIUS + 1.0)
    return cells_between(fit, delta, np.stack([2.0 * k + 1.0, np.maximum(2.0 * k, 0.5)]))


@lru_cache(maxsize=64)
def rate_costs(fit: Fit, settings: QuantizerSettings) -> RateTable:
    """Return what the search pays for each magnitude: the trellis lambda times its bits, over delta^2."""
    tables = _tcq_tables(fit, settings.delta)
    slope = settings.trellis_lambda / (settings.delta * settings.delta)
    return trellis.rate_table((slope * index_bits(tables)).astype(np.float32), tables.radius + 17)


FOUR_STATES = Tcq("tcq4", 3, TCQ4_FIT, TCQ4)
EIGHT_STATES = Tcq("tcq8", 4, TCQ8_FIT, TCQ8)
EIGHT_STATES_EXPANDED = Tcq("tcq8-expanded", 7, TCQ8_EXPANDED_FIT, TCQ8, expanded=True)
