"""Scalar quantization: rounding, and rounding with a dead zone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.tables import MAX_RADIUS, SCALE_TABLE, SCALES, PmfTables, cell_tables

DEADZONE_ROUNDING = 1.0 / 3.0
"""What `deadzone` adds before it truncates: the constant of H.26x encoders for intra pictures."""


class Scalar(Quantizer):
    """Uniform rounding, half to even (as torch.round does)."""

    name = "scalar"
    stream_id = 0

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
    stream_id = 1

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


@lru_cache(maxsize=64)
def _scalar_tables(delta: float, first_threshold: float) -> PmfTables:
    thresholds = (first_threshold + np.arange(MAX_RADIUS + 1.0)) * delta
    return cell_tables(np.broadcast_to(thresholds, (1, SCALES, len(thresholds))), SCALE_TABLE[None, :])


SCALAR = Scalar()
DEADZONE = Deadzone()
