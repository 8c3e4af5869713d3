"""What quantizers that search have in common: tables fitted to latents, and reconstruction offsets."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import Self

import numpy as np

from benchmark.arrays import F32, F64, I32, U8
from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.quantizers.fits import REACH, Fit
from benchmark.learned.tables import SCALE_TABLE, SCALES, PmfTables, fitted_tables


class FittedQuantizer(Quantizer):
    """A quantizer that searches, with tables fitted to latents of trained networks.

    The lattice points decide. Where `expanded`, the reconstruction has an offset away from zero (see `Fit`):
    that suits a decoder which was not trained on latents that a search has chosen.
    """

    calibrated = True

    def __init__(self, name: str, stream_id: int, fit: Fit, *, expanded: bool = False) -> None:
        self.name = name
        self.stream_id = stream_id
        self.fit = fit
        self.expanded = expanded

    def refitted(self, fit: Fit) -> Self:
        """Return the same quantizer with other tables and offsets."""
        other = copy(self)
        other.fit = fit
        return other

    def dequantize(self, indices: I32, scale_index: U8, settings: QuantizerSettings) -> F32:
        """Return float32 [C, L]: the lattice points, with their offsets if `expanded`."""
        values = self.points(indices, settings)
        if not self.expanded:
            return values
        stretch, shift = _expansion(self.fit, settings.delta)
        reach = np.float32(REACH * settings.delta)
        trellis.expand(values, np.ascontiguousarray(scale_index, np.uint8), stretch, shift, reach)
        return values


def cells_between(fit: Fit, delta: float, thresholds: F64) -> PmfTables:
    """Return the tables for cells halfway between points, thresholds [lattices, n] in units of delta."""
    narrowing, wide_weight, zero_odds = fit.shape(SCALE_TABLE / delta)
    shape = (len(thresholds), SCALES, thresholds.shape[1])
    cells = np.broadcast_to(thresholds[:, None, :] * delta, shape)
    return fitted_tables(cells, SCALE_TABLE * narrowing, wide_weight, zero_odds)


@lru_cache(maxsize=64)
def _expansion(fit: Fit, delta: float) -> tuple[F32, F32]:
    stretch, shift = fit.expansion()
    return stretch.astype(np.float32), (shift * delta).astype(np.float32)
