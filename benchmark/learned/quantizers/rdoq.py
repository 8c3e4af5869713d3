"""Rate-distortion-optimized scalar quantization."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from benchmark.arrays import F32, I32, U8
from benchmark.learned.quantizers import trellis
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.fits import RDOQ_EXPANDED_FIT, RDOQ_FIT, Fit
from benchmark.learned.quantizers.fitted import FittedQuantizer, cells_between
from benchmark.learned.tables import MAX_RADIUS, PmfTables, index_bits

SCALAR_SLOPE = math.log(2) / 6
"""lam / delta^2 of high-rate theory for scalar quantization: D = delta^2 / 12, dD/dR = -2 ln 2 D."""


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


@lru_cache(maxsize=64)
def _rdoq_tables(fit: Fit, delta: float) -> PmfTables:
    return cells_between(fit, delta, (0.5 + np.arange(MAX_RADIUS + 1.0))[None, :])


@lru_cache(maxsize=64)
def _rdoq_costs(fit: Fit, settings: QuantizerSettings) -> F32:
    slope = settings.trellis_lambda / (settings.delta * settings.delta)
    tables = _rdoq_tables(fit, settings.delta)
    costs: F32 = (slope * index_bits(tables)[0]).astype(np.float32)
    return costs


RDOQ = Rdoq("rdoq", 2, RDOQ_FIT)
RDOQ_EXPANDED = Rdoq("rdoq-expanded", 5, RDOQ_EXPANDED_FIT, expanded=True)
