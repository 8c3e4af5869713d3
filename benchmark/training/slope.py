"""Which lmbda a trained network behaves as if it was trained for."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.training.coding import LoopQuantizer
from benchmark.training.objective import decode, encode
from benchmark.training.rules import ROUND, Quantized

TOLERANCE = 1.5
"""Estimates of the shipped networks lie within a factor of 1.2 of the truth, and usual lmbdas 1.9 apart."""
_SIDE, _LEAVES, _LEAST_RADIUS, _SEED = 256, 4000, 4.0, 1
_STEP = 0.15
_ROUNDING = 1.25
"""By how much rounding exaggerates: the mean of ten shipped networks, trained with noise or both."""


def estimated_lmbda(network: Architecture) -> float | None:
    """Return about the lmbda of the network's training, None where rate and error do not trade.

    A network trained for bits + lmbda * 255^2 * MSE cannot gain by another step size, for it could have
    learned that: lmbda is the slope of rate against error as the quantizer's step moves. Both are taken from
    a picture with the statistics of photographs.
    """
    picture = dead_leaves()
    with torch.no_grad():
        latents = encode(network, picture, ROUND, low_precision=False)
        fine, coarse = (
            decode(network, picture, latents, Quantized(LoopQuantizer("scalar", step)), low_precision=False)
            for step in (QuantizerSettings(math.exp(-_STEP)), QuantizerSettings(math.exp(_STEP)))
        )
    rate, error = float(fine.bpp - coarse.bpp), float(coarse.mse - fine.mse)
    return rate / error / _ROUNDING if rate > 0 and error > 0 else None


def differs(estimate: float | None, lmbda: float) -> bool:
    """Tell whether an estimate speaks against an lmbda."""
    return estimate is not None and not 1 / TOLERANCE <= estimate / lmbda <= TOLERANCE


@cache
def dead_leaves() -> Tensor:
    """Return float32 [1, 3, 256, 256] in 0 .. 1: shaded disks that hide one another, and a little noise.

    Edges, shades and sizes are distributed as in photographs (Lee, Mumford and Huang 2001, "Occlusion Models
    for Natural Images"); radii have the density r^-3.
    """
    rng = np.random.default_rng(_SEED)
    image = np.zeros((_SIDE, _SIDE, 3))
    least, most = _LEAST_RADIUS**-2, (_SIDE / 2) ** -2
    for radius in (least + rng.random(_LEAVES) * (most - least)) ** -0.5:
        middle, shade = rng.uniform(0, _SIDE, 2), rng.normal(0, 0.4, 2)
        colour = np.clip(rng.normal(128, 50) + rng.normal(0, 18, 3), 0, 255)
        first, last = np.maximum(middle - radius, 0).astype(int), np.ceil(middle + radius).astype(int) + 1
        around = image[first[0] : last[0], first[1] : last[1]]
        down, right = (
            np.arange(size) + at - m for size, at, m in zip(around.shape, first, middle, strict=False)
        )
        inside = down[:, None] ** 2 + right**2 < radius**2
        leaf = colour + (shade[0] * down[:, None] + shade[1] * right)[:, :, None]
        around[inside] = leaf[inside]
    image = np.clip(image + rng.normal(0, 3, image.shape), 0, 255)
    return torch.from_numpy(np.rint(image) / 255).float().permute(2, 0, 1)[None].contiguous()
