"""A chain of convolutions in exact arithmetic, strip by strip: what hyper-synthesis is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmark.arrays import F64
from benchmark.errors import NotExactError
from benchmark.learned.exact.grid import UNIT, activate, in_steps, on_grid
from benchmark.learned.exact.strips import Stage, Then, by_strips, direct, minimal, up, workers
from benchmark.learned.exact.winograd import INPUT_GROWTH, WEIGHT_BITS, WEIGHT_GROWTH, Same, Up

_STRIP_ROWS = 8
_UP_AXES, _SAME_AXES = (0, 2, 3), (1, 2, 3)
"""The axes of a weight over which a layer sums."""
_GROWTH = INPUT_GROWTH * WEIGHT_GROWTH
_LARGEST_KERNEL = 5


class Chain:
    """An nn.Sequential of convolutions, ReLU or LeakyReLU after some, in exact arithmetic.

    Layers are transposed 5x5 convolutions of stride 2 (CompressAI's `deconv`), convolutions of stride 1 with
    kernels up to 5x5, transposed or not (`conv`, `conv3x3`), the latter perhaps with a PixelShuffle of 2
    behind (`subpel_conv3x3`). Raises NotExactError for other layers, and WeightsError for weights so large
    that no grid holds them.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        found = _with_followers(layers)
        self._stages: list[Stage] = []
        self.scale = 1
        """Rows, and columns, of output for each of the input."""
        with torch.inference_mode():
            for layer, shuffled, then in found:
                self._stages.append(_stage(layer, shuffled, then, even=self.scale > 1))
                self.scale *= 2 if shuffled or _is(layer, nn.ConvTranspose2d, kernel=5, stride=2) else 1
        self.channels = self._stages[-1].channels

    @torch.inference_mode()
    def strips(self, x: F64) -> Iterator[F64]:
        """Yield float64 [rows, scale * w, channels], from top to bottom, of x, float64 [C, h, w].

        x is rounded to activations; values beyond +-4096 act as +-4096. The sums of the last layer are
        exact, and not rounded unless a ReLU follows it.
        """
        steps = torch.from_numpy(in_steps(x)).permute(1, 2, 0)
        with workers() as threads:
            for out in by_strips(self._stages, torch.split(steps, _STRIP_ROWS), threads):
                yield cast(F64, out.mul_(UNIT).numpy())


def slope_of(layer: nn.Module) -> float | None:
    """Return the negative slope of a ReLU or LeakyReLU, None for other layers."""
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope
    return 0.0 if isinstance(layer, nn.ReLU) else None


def flattened(layers: nn.Sequential) -> Iterator[nn.Module]:
    """Yield the layers, those of nested sequences in their place."""
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from flattened(layer)
        else:
            yield layer


def _with_followers(layers: nn.Sequential) -> list[tuple[nn.Module, bool, Then | None]]:
    """Return each convolution, whether its channels are shuffled to pixels, and the activation behind."""
    found: list[tuple[nn.Module, bool, Then | None]] = []
    for layer in flattened(layers):
        slope = slope_of(layer)
        plain = bool(found) and found[-1][2] is None
        if slope is not None and plain:
            found[-1] = (*found[-1][:2], _activation(slope))
        elif isinstance(layer, nn.PixelShuffle) and layer.upscale_factor == 2 and plain:
            found[-1] = (found[-1][0], True, None)
        else:
            found.append((layer, False, None))
    return found


def _activation(slope: float) -> Then:
    def run(x: Tensor) -> None:
        activate(x, slope)

    return run


def _stage(layer: Any, shuffled: bool, then: Then | None, *, even: bool) -> Stage:  # noqa: ANN401
    """Return the stage of a layer; minimal filtering needs rows and columns that are `even` in number."""
    if _is(layer, nn.ConvTranspose2d, kernel=5, stride=2) and not shuffled:
        if not even:
            return up(*on_grid(layer.weight, layer.bias, _UP_AXES), then)
        sums = on_grid(layer.weight, layer.bias, _UP_AXES, growth=_GROWTH, finer_bits=WEIGHT_BITS)
        return minimal(Up(*sums), then)
    weight, bias = as_convolution(layer)
    if weight.shape[2] == 3 and even and not shuffled:
        sums = on_grid(weight, bias, _SAME_AXES, growth=_GROWTH, finer_bits=WEIGHT_BITS)
        return minimal(Same(*sums), then)
    return direct(*on_grid(weight, bias, _SAME_AXES), then, shuffled=shuffled)


def as_convolution(layer: Any) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401
    """Return weight [out, in, k, k] and bias of a convolution of stride 1, or of a transposed one as one.

    Raises NotExactError for other layers.
    """
    for kernel in range(1, _LARGEST_KERNEL + 1, 2):
        if _is(layer, nn.Conv2d, kernel=kernel, stride=1):
            return layer.weight, layer.bias
        if _is(layer, nn.ConvTranspose2d, kernel=kernel, stride=1):
            return layer.weight.transpose(0, 1).flip(2, 3), layer.bias
    raise NotExactError(f"{layer} cannot be evaluated exactly")


def _is(layer: Any, kind: type[nn.Module], *, kernel: int, stride: int) -> bool:  # noqa: ANN401
    """Tell a convolution of this kernel and stride, padded so that no row and no column is lost."""
    if type(layer) is not kind or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    sizes: tuple[object, ...] = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
    fits = sizes == ((kernel,) * 2, (stride,) * 2, (kernel // 2,) * 2, (stride - 1,) * 2)
    return fits and layer.padding_mode == "zeros"
