"""Fitted to latents of trained networks: made by `python -m benchmark.training.fit_tables`, not by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.arrays import F64
from benchmark.learned.tables import SCALES, exact_exp, exact_log2, interpolate

FIRST_OCTAVE, OCTAVE_STEP, OCTAVES = -2.0, 0.5, 11
"""Knots of the tables: log2(sigma / delta) = -2, -1.5, ... 3."""
SCALE_STEP, SCALE_KNOTS = 4.0, 9
"""Knots of the expansion: every fourth scale index, 0 to 32."""

REACH = 4.0
"""A point further than this many deltas from zero is stretched like one just there: an outlier is none of
the samples that the fit is about."""

Knots = tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """The free numbers of one quantizer's tables and reconstruction.

    The tables hang on sigma / delta alone, the expansion on sigma alone, and both interpolate between knots.
    """

    narrowing: tuple[Knots, ...]
    """By quantizer: standard deviation of the narrow Gaussian over sigma."""
    wide_weight: tuple[Knots, ...]
    """By quantizer: share of the Gaussian that is twice as wide."""
    zero_log_odds: tuple[Knots, ...]
    """By quantizer: natural logarithm of the factor on the odds of k = 0."""
    stretch: Knots
    """Reconstruction offset, away from zero, as a share of the distance from it (REACH * delta at most)."""
    shift: Knots
    """The constant part of the reconstruction offset, in units of delta."""

    def shape(self, ratio: F64) -> tuple[F64, F64, F64]:
        """Return narrowing, wide weight and zero odds, each [quantizers, 64], at ratio = sigma / delta."""
        octave = exact_log2(ratio)

        def at(rows: tuple[Knots, ...]) -> F64:
            return np.stack([interpolate(octave, FIRST_OCTAVE, OCTAVE_STEP, row) for row in rows])

        return at(self.narrowing), at(self.wide_weight), exact_exp(at(self.zero_log_odds))

    def expansion(self) -> tuple[F64, F64]:
        """Return stretch and shift by scale index, float64 [64] each."""
        scale = np.arange(SCALES, dtype=np.float64)
        stretch = interpolate(scale, 0.0, SCALE_STEP, self.stretch)
        return stretch, interpolate(scale, 0.0, SCALE_STEP, self.shift)


RDOQ_FIT = Fit(
    narrowing=((1.186, 1.358, 1.142, 0.992, 0.873, 0.793, 0.722, 0.672, 0.669, 0.775, 1.082),),
    wide_weight=((0.018, 0.031, 0.044, 0.077, 0.146, 0.22, 0.334, 0.442, 0.459, 0.212, 0.027),),
    zero_log_odds=((1.603, 1.546, 0.914, 0.561, 0.338, 0.224, 0.145, 0.133, 0.121, 0.203, 0.16),),
    stretch=(0.156, 0.247, 0.165, 0.088, 0.05, 0.017, 0.003, 0.007, 0.004),
    shift=(0.205, 0.303, 0.204, 0.109, 0.041, 0.014, 0.01, -0.008, -0.004),
)
TCQ4_FIT = Fit(
    narrowing=(
        (0.999, 1.286, 1.286, 1.279, 1.104, 0.958, 0.855, 0.781, 0.742, 0.796, 0.997),
        (0.402, 0.6, 1.131, 0.946, 0.806, 0.727, 0.661, 0.632, 0.634, 0.659, 0.954),
    ),
    wide_weight=(
        (0.056, 0.057, 0.055, 0.056, 0.065, 0.099, 0.157, 0.234, 0.302, 0.217, 0.055),
        (0.054, 0.057, 0.06, 0.057, 0.079, 0.137, 0.249, 0.357, 0.431, 0.377, 0.087),
    ),
    zero_log_odds=(
        (2.799, 2.793, 2.487, 1.998, 1.172, 0.624, 0.306, 0.171, 0.076, 0.108, 0.21),
        (2.785, 2.643, 1.907, 0.494, -0.247, -0.575, -0.63, -0.572, -0.377, -0.351, -0.011),
    ),
    stretch=(0.144, 0.315, 0.24, 0.057, 0.038, 0.019, 0.003, -0.005, -0.007),
    shift=(0.502, 0.73, 0.75, 0.47, 0.23, 0.102, 0.065, 0.037, 0.041),
)
TCQ8_FIT = Fit(
    narrowing=(
        (1.021, 1.198, 1.222, 1.179, 1.089, 0.957, 0.849, 0.787, 0.753, 0.791, 1.003),
        (0.509, 0.834, 1.1, 0.937, 0.803, 0.721, 0.654, 0.629, 0.62, 0.671, 0.962),
    ),
    wide_weight=(
        (0.065, 0.065, 0.065, 0.067, 0.073, 0.105, 0.162, 0.226, 0.297, 0.209, 0.054),
        (0.039, 0.043, 0.044, 0.046, 0.068, 0.136, 0.254, 0.366, 0.452, 0.368, 0.077),
    ),
    zero_log_odds=(
        (2.514, 2.528, 2.269, 1.753, 1.074, 0.532, 0.209, 0.057, 0.015, 0.014, 0.128),
        (2.536, 2.3, 1.45, 0.288, -0.294, -0.457, -0.456, -0.337, -0.263, -0.114, 0.123),
    ),
    stretch=(0.219, 0.351, 0.224, 0.068, 0.041, 0.018, -0.0, -0.002, -0.005),
    shift=(0.48, 0.796, 0.672, 0.412, 0.211, 0.098, 0.058, 0.028, 0.048),
)
TCQ8_EXPANDED_FIT = Fit(
    narrowing=(
        (0.62, 0.864, 1.091, 1.22, 1.015, 0.907, 0.888, 0.902, 0.9, 0.888, 0.894),
        (0.116, 0.116, 0.116, 0.609, 0.674, 0.687, 0.645, 0.599, 0.594, 0.604, 0.591),
    ),
    wide_weight=(
        (0.034, 0.035, 0.037, 0.039, 0.043, 0.057, 0.081, 0.092, 0.099, 0.104, 0.102),
        (0.033, 0.033, 0.034, 0.053, 0.069, 0.094, 0.215, 0.383, 0.469, 0.51, 0.588),
    ),
    zero_log_odds=(
        (2.544, 2.497, 2.092, 2.04, 1.216, 0.472, 0.253, 0.188, 0.2, 0.186, 0.287),
        (0.484, 0.495, 0.515, -0.09, -1.765, -4.86, -5.846, -5.74, -5.274, -4.661, -4.257),
    ),
    stretch=(0.009, 0.076, -0.198, 0.183, 0.123, 0.069, 0.046, 0.038, 0.001),
    shift=(1.048, 0.958, 0.99, 0.075, 0.003, 0.003, -0.025, -0.056, 0.013),
)
RDOQ_EXPANDED_FIT = Fit(
    narrowing=((0.955, 1.198, 1.002, 0.925, 0.883, 0.892, 0.888, 0.885, 0.88, 0.87, 0.908),),
    wide_weight=((0.013, 0.02, 0.026, 0.043, 0.073, 0.09, 0.099, 0.107, 0.114, 0.116, 0.096),),
    zero_log_odds=((2.286, 1.762, 0.739, 0.335, 0.156, 0.121, 0.102, 0.089, 0.13, 0.136, 0.225),),
    stretch=(-0.169, 0.008, 0.164, 0.238, 0.117, 0.058, 0.032, 0.018, 0.002),
    shift=(0.881, 0.667, 0.128, -0.093, -0.021, 0.004, -0.009, -0.012, -0.0),
)
"""Fits are part of the stream format: `python -m benchmark.training.fit_tables` makes them."""
