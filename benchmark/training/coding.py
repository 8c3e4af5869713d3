"""True quantization inside a training step: the indices come from the very code that encodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmark.arrays import I32, U8
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.tables import SCALE_TABLE, SCALES, index_bits

BatchQuantizer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From latents, mu and sigma, all [batch, channels, length], to y_hat and bits, [batch]."""

_LOG_FIRST = math.log(float(SCALE_TABLE[0]))
_LOG_STEP = (math.log(float(SCALE_TABLE[-1])) - _LOG_FIRST) / (SCALES - 1)


def scale_position(sigma: Tensor) -> Tensor:
    """Return the place of sigma among the 64 scales as a real number, 0 to 63."""
    return ((sigma.clamp(min=1e-6).log() - _LOG_FIRST) / _LOG_STEP).clamp(-1e-3, SCALES - 1)


def nearest_scales(position: Tensor) -> U8:
    """Return uint8 [batch * channels, length]: the scale that the coder uses at `scale_position`."""
    nearest = position.detach().round().clamp(min=0).to(torch.uint8)
    return np.ascontiguousarray(nearest.flatten(2).flatten(0, 1).cpu().numpy())


def loop_quantizer(name: str, settings: Sequence[QuantizerSettings]) -> BatchQuantizer:
    """Return a quantizer for batches whose images have these settings, or all the only one."""
    if len(set(settings)) == 1:
        return _loop_quantizer(name, settings[0])
    return EachImage([_loop_quantizer(name, one) for one in settings])


@lru_cache(maxsize=32)
def _loop_quantizer(name: str, settings: QuantizerSettings) -> LoopQuantizer:
    return LoopQuantizer(name, settings)


class EachImage:
    """A quantizer for each image of a batch."""

    def __init__(self, quantizers: Sequence[LoopQuantizer]) -> None:
        self._quantizers = quantizers

    def __call__(self, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return (y_hat, bits) as `LoopQuantizer` does, of a batch with an image for each quantizer."""
        parts = [
            quantize(y[i : i + 1], mu[i : i + 1], sigma[i : i + 1])
            for i, quantize in enumerate(self._quantizers)
        ]
        return torch.cat([y_hat for y_hat, _ in parts]), torch.cat([bits for _, bits in parts])


class LoopQuantizer:
    """One quantizer at one setting, on batches of latents."""

    def __init__(self, name: str, settings: QuantizerSettings) -> None:
        self._quantizer, self._settings = get_quantizer(name), settings
        tables = self._quantizer.pmf_tables(settings)
        self._bits = torch.from_numpy(index_bits(tables)).float()

    def __call__(self, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return (y_hat, bits) of latents y given mu and sigma, all [batch, channels, length].

        y_hat is the decoder's, bits ([batch]) those of the entropy coder's tables, interpolated between
        neighbouring scales so that sigma has a gradient. The gradient of mu is that of the average over many
        samples: where mu moves, an index other than zero goes after the residual, so that y_hat stays where
        y is and the bits change with the index, by differences along the tables; where the index is zero, it
        stays zero and y_hat moves with mu.
        """
        residual = (y - mu).detach()
        rows = residual.flatten(2).flatten(0, 1).float().cpu().numpy()
        position = scale_position(sigma)
        rows, nearest = np.ascontiguousarray(rows), nearest_scales(position)
        indices = self._quantizer.quantize(rows, nearest, self._settings)
        values = torch.from_numpy(self._quantizer.dequantize(indices, nearest, self._settings))
        zero = torch.from_numpy(indices == 0).to(y.device).view(y.shape)
        y_hat = torch.where(zero, mu, mu.detach()) + values.to(y.device).view(y.shape)
        return y_hat, self._rate(indices, position, (y - mu) - residual)

    def _rate(self, indices: I32, position: Tensor, moved: Tensor) -> Tensor:
        """Return the bits, [batch]; `moved` is zero, and carries the gradient of the residual."""
        k = torch.from_numpy(indices).long().to(position.device)
        used = torch.from_numpy(self._quantizer.lattice_of(indices)).long().to(position.device)
        position = position.flatten(2).flatten(0, 1)
        below = position.detach().floor().clamp(0, SCALES - 2).long()
        magnitude = k.abs().clamp(max=self._bits.shape[2] - 2)
        table = self._bits.to(position.device)
        low, high = table[used, below, magnitude], table[used, below + 1, magnitude]
        bits = low + (high - low) * (position - below)
        towards_zero = table[used, below, (magnitude - 1).clamp(min=0)]
        slope = (table[used, below, magnitude + 1] - towards_zero) / 2 * k.sign()
        step = self._settings.delta * self._quantizer.lattices
        bits = bits + slope / step * moved.flatten(2).flatten(0, 1)
        return bits.reshape(len(moved), -1).sum(1)
