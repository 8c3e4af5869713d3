"""Grids of powers of two on which no sum of products can differ, whatever its order.

A learned codec breaks when encoder and decoder see different scale indices, and float sums differ with the
number of threads, the memory layout and the processor. Here no sum can differ: weights and activations are
held on grids of powers of two, coarse enough for every partial sum to be exact in float64, so the order of
summation has no influence at all. What is left (LeakyReLU, rounding to the grid, comparison with the scales)
acts on single elements, and IEEE-754 defines the result.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmark.arrays import F32, F64, U8
from benchmark.errors import WeightsError
from benchmark.learned.tables import SCALE_TABLE

UNIT = 2.0**-12
"""Activations are integers in steps of 2.4e-4: in the evaluators, 1.0 stands for one such step."""
LARGEST_ACTIVATION = 2.0**24
"""In steps: 4096."""
_EXACT_BITS = 52
_LEAST_BITS = 8

_GEOMETRIC_MEANS = np.sqrt(SCALE_TABLE[:-1] * SCALE_TABLE[1:])


def scale_indices(sigma: F64) -> U8:
    """Return, for each sigma, the index of the nearest of the 64 scales by ratio, uint8."""
    return np.searchsorted(_GEOMETRIC_MEANS, sigma, side="left").astype(np.uint8)


def in_steps(values: F32 | F64) -> F64:
    """Return values as activations: the nearest whole number of steps, at most 4096 in size."""
    steps: F64 = np.rint(values.astype(np.float64) / UNIT)
    return np.clip(steps, -LARGEST_ACTIVATION, LARGEST_ACTIVATION, out=steps)


def activate(x: Tensor, slope: float) -> Tensor:
    """Apply LeakyReLU with this negative slope to sums, in place, and round them to activations."""
    return functional.leaky_relu_(x, slope).round_().clamp_(-LARGEST_ACTIVATION, LARGEST_ACTIVATION)


def on_grid(
    weight: Tensor,
    bias: Tensor | None,
    summed: tuple[int, ...],
    *,
    growth: float = 1.0,
    finer_bits: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return float64 weight, and bias in activation steps, multiples of the finest admissible 2^-bits.

    Admissible: growth * sum |w| * largest activation + |bias| stays below 2^52 multiples of 2^-(bits +
    finer_bits); each output channel has its own bits. That bounds every partial sum of products and of their
    combinations in every order, fused or not: `growth` and `finer_bits` are what minimal filtering adds.
    """
    weight = weight.detach().double()
    sums = weight.abs().sum(summed, keepdim=True)
    bias = torch.zeros(sums.numel()).double() if bias is None else bias.detach().double() / UNIT
    largest = growth * sums * LARGEST_ACTIVATION + bias.abs().view(sums.shape)
    bits = _EXACT_BITS - finer_bits - torch.frexp(largest.clamp(min=1.0)).exponent
    if int(bits.min()) < _LEAST_BITS:
        raise WeightsError(
            "the entropy-parameter network (h_s) has weights so large that no grid holds them with exact sums"
        )
    grid = torch.from_numpy(np.ldexp(1.0, bits.numpy()))
    bias_grid = grid.flatten()
    return (weight * grid).round() / grid, (bias * bias_grid).round() / bias_grid
