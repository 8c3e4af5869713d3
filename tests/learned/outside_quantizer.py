"""A quantizer of another package, in one file: a dead zone of its own, with the tables of its cells."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.tables import MAX_RADIUS, SCALE_TABLE, SCALES, PmfTables, cell_tables

ROUNDING = 0.4
"""Of a step: a magnitude rounds up where its remainder is above 1 minus this."""


class WideZero(Quantizer):
    """|k| = floor(|x| / delta + ROUNDING)."""

    name = "wide-zero"
    stream_id = 200

    def default_settings(self) -> QuantizerSettings:
        """Return step 1."""
        return QuantizerSettings(delta=1.0)

    def pmf_tables(self, settings: QuantizerSettings) -> PmfTables:
        """Return the probabilities of the cells."""
        thresholds = (1.0 - ROUNDING + np.arange(MAX_RADIUS + 1.0)) * settings.delta
        return cell_tables(np.broadcast_to(thresholds, (1, SCALES, len(thresholds))), SCALE_TABLE[None, :])

    def _search(self, residual: F32, scale_index: U8, settings: QuantizerSettings, threads: int) -> I32:
        units = residual * np.float32(1.0 / settings.delta)
        indices: I32 = np.copysign(np.floor(np.abs(units) + np.float32(ROUNDING)), units).astype(np.int32)
        return indices


WIDE_ZERO = WideZero()
