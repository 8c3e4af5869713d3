"""A chain of convolutions in exact arithmetic, strip by strip: what hyper-synthesis is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmark.arrays import F64
from benchmark.errors import WeightsError
from benchmark.learned.exact.grid import UNIT, activate, in_steps, on_grid
from benchmark.learned.exact.strips import Stage, Then, by_strips, minimal, up, workers
from benchmark.learned.exact.winograd import INPUT_GROWTH, WEIGHT_BITS, WEIGHT_GROWTH, Same, Up

_STRIP_ROWS = 8
_UP_AXES, _SAME_AXES = (0, 2, 3), (1, 2, 3)
"""The axes of a weight over which a layer sums."""
_GROWTH = INPUT_GROWTH * WEIGHT_GROWTH


class Chain:
    """An nn.Sequential of convolutions, LeakyReLU after some, in exact arithmetic.

    Layers are transposed 5x5 convolutions of stride 2, the first of them at the front, and 3x3 ones of
    stride 1 (CompressAI's `deconv` and `conv`). Raises WeightsError for other layers and for weights so large
    that no grid holds them.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        found = _with_slopes(layers)
        self.scale = 2 ** sum(isinstance(layer, nn.ConvTranspose2d) for layer, _ in found)
        """Rows, and columns, of output for each of the input."""
        with torch.inference_mode():
            self._stages = [_stage(layer, then, even=i > 0) for i, (layer, then) in enumerate(found)]
        self.channels = self._stages[-1].channels

    @torch.inference_mode()
    def strips(self, x: F64) -> Iterator[F64]:
        """Yield float64 [rows, scale * w, channels], from top to bottom, of x, float64 [C, h, w].

        x is rounded to activations; values beyond +-4096 act as +-4096. The sums of the last layer are
        exact, and not rounded unless a LeakyReLU follows it.
        """
        steps = torch.from_numpy(in_steps(x)).permute(1, 2, 0)
        with workers() as threads:
            for out in by_strips(self._stages, torch.split(steps, _STRIP_ROWS), threads):
                yield cast(F64, out.mul_(UNIT).numpy())


def _with_slopes(layers: nn.Sequential) -> list[tuple[nn.Module, Then | None]]:
    """Return each convolution with what follows it."""
    found: list[tuple[nn.Module, Then | None]] = []
    for layer in cast("Sequence[nn.Module]", layers):
        if isinstance(layer, nn.LeakyReLU) and found and found[-1][1] is None:
            found[-1] = (found[-1][0], _activation(layer.negative_slope))
        else:
            found.append((layer, None))
    return found


def _activation(slope: float) -> Then:
    def run(x: Tensor) -> None:
        activate(x, slope)

    return run


def _stage(layer: nn.Module, then: Then | None, *, even: bool) -> Stage:
    """Return the stage of a layer; minimal filtering needs rows and columns that are `even` in number."""
    if isinstance(layer, nn.ConvTranspose2d) and _is(layer, kernel=5, stride=2, padding=2):
        if not even:
            return up(*on_grid(layer.weight, layer.bias, _UP_AXES), then)
        sums = on_grid(layer.weight, layer.bias, _UP_AXES, growth=_GROWTH, finer_bits=WEIGHT_BITS)
        return minimal(Up(*sums), then)
    if isinstance(layer, nn.Conv2d) and even and _is(layer, kernel=3, stride=1, padding=1):
        sums = on_grid(layer.weight, layer.bias, _SAME_AXES, growth=_GROWTH, finer_bits=WEIGHT_BITS)
        return minimal(Same(*sums), then)
    raise WeightsError(f"{layer} cannot be evaluated exactly {'here' if even else 'as the first layer'}")


def _is(layer: nn.Conv2d | nn.ConvTranspose2d, *, kernel: int, stride: int, padding: int) -> bool:
    sizes = (layer.kernel_size, layer.stride, layer.padding)
    return layer.groups == 1 and sizes == ((kernel,) * 2, (stride,) * 2, (padding,) * 2)
