"""Delta and the trellis lambda of each quantizer, chosen per model on photographs that no training saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from benchmark.arrays import F64
from benchmark.errors import TrainingError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.quantizers import calibrated, get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.training.coding import LoopQuantizer
from benchmark.training.objective import Latents, decode, encode, mean_quality
from benchmark.training.rules import ROUND, Quantized

EVALUATIONS = 24
"""At most so many are made for one quantizer of one model."""

CalibrationObserver = Callable[[str, QuantizerSettings, float], None]
"""Called after each evaluation with quantizer, settings tried and RD cost."""


@dataclass(frozen=True)
class Calibration:
    """The settings found for one quantizer, and what they give on the hold-out photographs."""

    settings: QuantizerSettings
    quality: dict[str, float]
    """bpp (entropy estimate), psnr, cost."""


def calibrate(
    network: Architecture,
    lmbda: float,
    held_out: Sequence[Tensor],
    quantizer: str,
    *,
    low_precision: bool = True,
    progress: CalibrationObserver | None = None,
) -> Calibration:
    """Minimize bpp + lmbda * mse over Delta and the trellis lambda; start from the quantizer's defaults.

    The cost is that of training, so each quantizer works at the slope that the model was trained for. It is
    searched by the simplex method in the logarithms of Delta and lambda / Delta^2, at most EVALUATIONS of
    the real quantizer and synthesis. `held_out`: float32 [1, 3, h, w] each.
    """
    network.eval()
    with torch.no_grad():
        encoded = [(x, encode(network, x, ROUND, low_precision=low_precision)) for x in held_out]
    start = get_quantizer(quantizer).default_settings()
    if start.trellis_lambda <= 0:
        raise TrainingError(f"{quantizer} has no trellis lambda; calibrated are: {', '.join(calibrated())}")
    tried: dict[tuple[float, float], Calibration] = {}

    def cost(point: F64) -> float:
        settings = _settings_at(point)
        quality = _evaluate(
            network, encoded, Quantized(LoopQuantizer(quantizer, settings)), lmbda, low_precision
        )
        tried[settings.delta, settings.trellis_lambda] = Calibration(settings, quality)
        if progress is not None:
            progress(quantizer, settings, quality["cost"])
        return quality["cost"]

    first = np.log([start.delta, start.trellis_lambda / start.delta**2])
    simplex = first + np.array([[0.0, 0.0], [0.12, 0.0], [0.0, 0.5]])
    options: Any = {"initial_simplex": simplex, "maxfev": EVALUATIONS, "xatol": 0.01, "fatol": 1e-5}
    minimize(cost, first, method="Nelder-Mead", options=options)
    return min(tried.values(), key=lambda calibration: calibration.quality["cost"])


def _settings_at(point: F64) -> QuantizerSettings:
    """Return settings with three significant digits: finer is within the noise of the photographs."""
    delta, ratio = float(f"{math.exp(point[0]):.3g}"), math.exp(point[1])
    return QuantizerSettings(delta=delta, trellis_lambda=float(f"{ratio * delta**2:.3g}"))


def _evaluate(
    network: Architecture,
    encoded: Sequence[tuple[Tensor, Latents]],
    rule: Quantized,
    lmbda: float,
    low_precision: bool,
) -> dict[str, float]:
    with torch.no_grad():
        results = [decode(network, x, latents, rule, low_precision=low_precision) for x, latents in encoded]
    return mean_quality(results, lmbda)
