"""Depthwise convolution that trains fast on a CPU.

torch takes a quarter of a training step of `patch` for the gradients of its depthwise convolutions, whose
arithmetic is 2 % of the step's. Here the gradient of the input is a forward convolution with the kernel
turned by 180 degrees, and that of the weights a compiled loop along the channels.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from benchmark.arrays import F32
from benchmark.jit import compile_kernel


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself, of odd size, which keeps rows and columns."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, padding=size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [batch, channels, h, w]."""
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        return cast(Tensor, _Convolution.apply(x, self.weight, self.bias))  # type: ignore[no-untyped-call]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401 (torch's own)
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        margin = weight.shape[-1] // 2
        of_x, of_weight, of_bias = ctx.needs_input_grad
        grad = grad.contiguous(memory_format=torch.channels_last)
        rows = grad.float().permute(0, 2, 3, 1)
        x_grad = w_grad = None
        if of_x:
            turned = weight.flip(2, 3).to(grad.dtype)
            x_grad = functional.conv2d(grad, turned, padding=margin, groups=len(weight)).to(x.dtype)
        if of_weight:
            framed = functional.pad(x.float().permute(0, 2, 3, 1), (0, 0, *4 * (margin,)))
            taps = weight.new_zeros(*weight.shape[2:], len(weight))
            _add_products(framed.contiguous().numpy(), rows.contiguous().numpy(), taps.numpy())
            w_grad = taps.permute(2, 0, 1)[:, None]
        return x_grad, w_grad, rows.sum((0, 1, 2)) if of_bias else None


@compile_kernel(fastmath=True)
def _add_products(x: F32, grad: F32, sums: F32) -> None:
    """Add products of x [n, h + size - 1, w + size - 1, c] and grad [n, h, w, c] to sums [size, size, c]."""
    images, height, width, channels = grad.shape
    for image in range(images):
        for row in range(height):
            for dy in range(sums.shape[0]):
                for dx in range(sums.shape[1]):
                    for column in range(width):
                        for c in range(channels):
                            product = x[image, row + dy, column + dx, c] * grad[image, row, column, c]
                            sums[dy, dx, c] += product
