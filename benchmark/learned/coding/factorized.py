"""The coder of the hyper-latents: one table a channel, made the same bits on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from benchmark.arrays import F64, I32, U16
from benchmark.errors import CodecError
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
from benchmark.learned.tables import ESCAPE_FLOOR, exact_exp, exact_log2

if TYPE_CHECKING:
    from benchmark.learned.architectures.layers import Bottleneck

_MEDIAN_BITS = 10
_RADIUS = 255
_TAIL_MASS = 1e-5
_LARGEST_SYMBOL = 2**30


class HyperLatents:
    """The coder of z: one table a channel from the entropy bottleneck, the same bits on every machine.

    `gain`, float64 [N]: what z is multiplied by before it is rounded, if it is not 1.
    """

    def __init__(self, bottleneck: Bottleneck, gain: F64 | None = None) -> None:
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
        if gain is not None:
            edges = edges / gain[:, None]
        self._alphabets, self._bits = _channel_tables(_cumulative(edges, parameters))

    @property
    def channels(self) -> int:
        """The number of channels, N."""
        return len(self._medians)

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
