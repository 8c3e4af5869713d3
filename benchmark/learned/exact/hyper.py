"""The hyperprior, bit for bit the same on every machine: tables of the hyper-latents, and mu and scale index.

A learned codec breaks when encoder and decoder see different scale indices, and float sums differ with the
number of threads, the memory layout and the processor. Here no sum can differ: weights and activations of h_s
are held on grids of powers of two, coarse enough for every partial sum to be exact in float64, so the order
of summation has no influence at all. What is left (LeakyReLU, rounding to the grid, comparison with the
scales) acts on single elements, and IEEE-754 defines the result.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmark.arrays import F32, F64, I32, U8, U16
from benchmark.errors import CodecError, WeightsError
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.coding.ans import (
    Alphabets,
    AnsCoder,
    check_end,
    escape_bits,
    frequencies,
    from_bytes,
    pop,
    push,
    to_bytes,
)
from benchmark.learned.exact.strips import Then, by_strips, minimal, up, workers
from benchmark.learned.exact.winograd import INPUT_GROWTH, WEIGHT_BITS, WEIGHT_GROWTH, Same, Up
from benchmark.learned.tables import ESCAPE_FLOOR, SCALE_TABLE, exact_exp, exact_log2

_UNIT = 2.0**-12
"""Activations are integers in steps of 2.4e-4: in the stages, 1.0 stands for one such step."""
_LARGEST_ACTIVATION = 2.0**24
"""In steps: 4096."""
_EXACT_BITS = 52
_MEDIAN_BITS = 10
_STRIP_HYPER_ROWS = 8
_RADIUS = 255
_TAIL_MASS = 1e-5
_LARGEST_SYMBOL = 2**30

_GEOMETRIC_MEANS = np.sqrt(SCALE_TABLE[:-1] * SCALE_TABLE[1:])


def scale_indices(sigma: F64) -> U8:
    """Return, for each sigma, the index of the nearest of the 64 scales by ratio, uint8."""
    return np.searchsorted(_GEOMETRIC_MEANS, sigma, side="left").astype(np.uint8)


class HyperSynthesis:
    """h_s in exact arithmetic: z_hat on a grid in; mu, and indices of the nearest scales, out."""

    def __init__(self, network: MeanScaleHyperprior) -> None:
        first, first_relu, second, second_relu, third = cast(Any, network.h_s)
        self._channels = network.M
        up_axes, same_axes = (0, 2, 3), (1, 2, 3)
        with torch.inference_mode():
            weight, bias = _on_grid(first.weight, first.bias, up_axes, growth=1.0, finer_bits=0)
            self._stages = [up(weight, bias, _to_grid(first_relu.negative_slope))]
            weight, bias = _on_grid(second.weight, second.bias, up_axes)
            self._stages.append(minimal(Up(weight, bias), _to_grid(second_relu.negative_slope)))
            weight, bias = _on_grid(third.weight, third.bias, same_axes)
            self._stages.append(minimal(Same(weight, bias)))

    @torch.inference_mode()
    def __call__(self, z_hat: F64) -> tuple[F32, U8]:
        """Return mu, float32, and scale indices, uint8, both [M, 4 * h, 4 * w], of z_hat [N, h, w].

        z_hat must be on a grid of 2^-12 or coarser; values beyond +-4096 act as +-4096.
        """
        channels, height, width = self._channels, 4 * z_hat.shape[1], 4 * z_hat.shape[2]
        mu = np.empty((channels, height, width), np.float32)
        indices = np.empty((channels, height, width), np.uint8)
        steps = torch.from_numpy(z_hat).permute(1, 2, 0).div(_UNIT)
        steps.clamp_(-_LARGEST_ACTIVATION, _LARGEST_ACTIVATION)
        row = 0
        with workers() as threads:
            for out in by_strips(self._stages, torch.split(steps, _STRIP_HYPER_ROWS), threads):
                rows = slice(row, row + out.shape[0])
                sigma_rows, mu_rows = out.mul_(_UNIT).permute(2, 0, 1).reshape(2, channels, -1, width).numpy()
                mu[:, rows] = mu_rows
                indices[:, rows] = scale_indices(sigma_rows)
                row += out.shape[0]
        return mu, indices


def _to_grid(slope: float) -> Then:
    def run(x: Tensor) -> None:
        functional.leaky_relu_(x, slope).round_().clamp_(-_LARGEST_ACTIVATION, _LARGEST_ACTIVATION)

    return run


def _on_grid(
    weight: Tensor,
    bias: Tensor,
    summed: tuple[int, ...],
    *,
    growth: float = INPUT_GROWTH * WEIGHT_GROWTH,
    finer_bits: int = WEIGHT_BITS,
) -> tuple[Tensor, Tensor]:
    """Return float64 weight, and bias in activation steps, multiples of the finest admissible 2^-bits.

    Admissible: growth * sum |w| * largest activation + |bias| stays below 2^52 multiples of 2^-(bits +
    finer_bits); each output channel has its own bits. That bounds every partial sum of products and of their
    combinations in every order, fused or not: `growth` and `finer_bits` are what minimal filtering adds.
    """
    weight, bias = weight.detach().double(), bias.detach().double() / _UNIT
    sums = weight.abs().sum(summed, keepdim=True)
    largest = growth * sums * _LARGEST_ACTIVATION + bias.abs().view(sums.shape)
    bits = _EXACT_BITS - finer_bits - torch.frexp(largest.clamp(min=1.0)).exponent
    if int(bits.min()) < 8:
        raise WeightsError("h_s has weights so large that no grid holds them with exact sums")
    grid = torch.from_numpy(np.ldexp(1.0, bits.numpy()))
    bias_grid = grid.flatten()
    return (weight * grid).round() / grid, (bias * bias_grid).round() / bias_grid


class HyperLatents:
    """The coder of z: one table a channel from the entropy bottleneck, the same bits on every machine."""

    def __init__(self, network: MeanScaleHyperprior) -> None:
        bottleneck = network.entropy_bottleneck
        unit = 2.0**_MEDIAN_BITS
        medians = bottleneck.quantiles.detach().double()[:, 0, 1].numpy()
        self._medians = np.rint(medians * unit) / unit
        layers = len(bottleneck.filters) + 1
        parameters = [
            [
                values[i].detach().double().numpy() if i < len(values) else None
                for values in (bottleneck.matrices, bottleneck.biases, bottleneck.factors)
            ]
            for i in range(layers)
        ]
        edges = self._medians[:, None] + np.arange(-_RADIUS, _RADIUS + 2) - 0.5
        self._alphabets, self._bits = _channel_tables(_cumulative(edges, parameters))

    def symbols(self, z: Tensor) -> I32:
        """Return int32 [N, L], z [1, N, h, w] minus its channel's median, rounded. CodecError for NaN."""
        flat = z[0].flatten(1).double().numpy() - self._medians[:, None]
        if not np.abs(flat).max() < _LARGEST_SYMBOL:
            raise CodecError(
                "the hyper-latent has values that are not finite or absurdly large: damaged weights?"
            )
        symbols: I32 = np.rint(flat).astype(np.int32)
        return symbols

    def dequantize(self, symbols: I32) -> F64:
        """Return float64 z_hat, shaped like `symbols`, on a grid of 2^-10."""
        z_hat: F64 = symbols + self._medians[:, None]
        return z_hat

    def encode(self, symbols: I32) -> bytes:
        """Return the stream of int32 [N, L] symbols."""
        coder = AnsCoder()
        push(coder, symbols.ravel(), self._contexts(symbols.shape[1]), self._alphabets)
        return to_bytes(coder)

    def decode(self, stream: bytes, length: int) -> I32:
        """Return the int32 [N, length] symbols. Raises BitstreamError."""
        coder = from_bytes(stream)
        symbols = pop(coder, self._contexts(length), self._alphabets)
        check_end(coder, 0, "hyper-latent")
        return symbols.reshape(-1, length)

    def _contexts(self, length: int) -> U16:
        return np.repeat(np.arange(len(self._medians), dtype=np.uint16), length)

    def entropy_bits(self, symbols: I32) -> float:
        """Return the information content of the symbols under the tables in bits, escapes included."""
        first, count = self._alphabets.first[:, None], self._alphabets.count[:, None]
        offset = symbols - first
        below, above = offset < 0, offset >= count
        column = np.where(below | above, count, offset)
        total = float(np.take_along_axis(self._bits, column, axis=1).sum())
        distance = np.concatenate([(-1 - offset)[below], (offset - count)[above]])
        return total + float(escape_bits(distance).sum())

    def least_bits(self, length: int) -> float:
        """Return how many bits any stream of [N, length] symbols takes at least."""
        return float(self._bits.min(axis=1).sum()) * length


def _cumulative(x: F64, parameters: list[list[Any]]) -> F64:
    """Return the bottleneck's cumulative distribution at x [N, points]: Balle et al. 2018, appendix 6.1.

    Every sum is written out in a fixed order, and no function is used whose last bit may differ.
    """
    rows = [x]
    for matrix, bias, factor in parameters:
        weight = _softplus(matrix)
        out = []
        for i in range(weight.shape[1]):
            total = np.broadcast_to(bias[:, i], x.shape)
            for j, row in enumerate(rows):
                total = total + weight[:, i, j, None] * row
            out.append(total if factor is None else total + _tanh(factor[:, i]) * _tanh(total))
        rows = out
    return _sigmoid(rows[0])


def _sigmoid(x: F64) -> F64:
    return 1.0 / (1.0 + exact_exp(-x))


def _tanh(x: F64) -> F64:
    return 2.0 * _sigmoid(2.0 * x) - 1.0


def _softplus(x: F64) -> F64:
    rest = exact_log2(1.0 + exact_exp(-np.abs(x))) * 0.6931471805599453
    softplus: F64 = np.maximum(x, 0.0) + rest
    return softplus


def _channel_tables(cumulative: F64) -> tuple[Alphabets, F64]:
    """Return the alphabets of all channels and float64 [N, widest + 1] bits, the escape after the symbols."""
    keep = 1.0 - ESCAPE_FLOOR
    firsts, counts, listed, bits = [], [], [], []
    for row in cumulative:
        low = min(int((row[1:] < _TAIL_MASS).sum()), _RADIUS)
        high = max(len(row) - 1 - int((row[:-1] > 1.0 - _TAIL_MASS).sum()), low + 1)
        pmf = np.maximum(row[low + 1 : high + 1] - row[low:high], 0.0) * keep
        escape = keep * (row[low] + (1.0 - row[high])) + ESCAPE_FLOOR
        pmf = np.append(pmf, escape)
        firsts.append(low - _RADIUS)
        counts.append(high - low)
        listed.append(frequencies(pmf))
        bits.append(np.log2(listed[-1].sum()) - np.log2(listed[-1]))
    widest = max(len(row) for row in bits)
    padded = np.stack([np.pad(row, (0, widest - len(row)), constant_values=np.inf) for row in bits])
    return Alphabets(np.array(firsts), np.array(counts), 1, listed), padded
