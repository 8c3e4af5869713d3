"""Convolutions on an image that comes as strips of rows: bounded memory, activations that stay in cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_GDN_PIXELS = 512
"""Pixels normalized at once: with 128 channels, they and their squares stay in a 1 MB cache."""
_ROOM_ABOVE, _ROOM_BELOW = 4, 1
"""Spare rows around the strips that pass between stages, so that context joins them without a copy."""

Then = Callable[[Tensor, Tensor], object]
"""What follows a convolution: reads the first tensor, writes the second, of the same shape."""


@dataclass(frozen=True)
class Stage:
    """A layer that makes each `step` rows of its input, with `above` and `below` rows of context, to output.

    `run` gets [1, channels, above + n * step + below, width] and returns the rows of those n steps alone.
    Rows outside the image are zero, as in a padded convolution. above + below + step - 1 is at most 4.
    """

    run: Callable[[Tensor], Tensor]
    then: Then
    above: int
    below: int
    step: int = 1


def by_strips(stages: Sequence[Stage], strips: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the output of `stages`, top to bottom, for an image given top to bottom as strips of rows."""
    roomy: Iterator[Tensor] = (_with_room(strip, copy) for strip in strips)
    for stage in stages:
        roomy = _one_stage(stage, roomy)
    for strip in roomy:
        yield strip[:, :, _ROOM_ABOVE : strip.shape[2] - _ROOM_BELOW]


def copy(source: Tensor, out: Tensor) -> None:
    """Let nothing follow a convolution."""
    out.copy_(source)


def _with_room(strip: Tensor, then: Then) -> Tensor:
    """Return `then`'s result for `strip`, spare rows around it, channels-last in memory."""
    batch, channels, rows, width = strip.shape
    shape = (batch, channels, rows + _ROOM_ABOVE + _ROOM_BELOW, width)
    roomy = torch.empty(shape, dtype=strip.dtype, memory_format=torch.channels_last)
    then(strip, roomy[:, :, _ROOM_ABOVE : _ROOM_ABOVE + rows])
    return roomy


def _one_stage(stage: Stage, strips: Iterator[Tensor]) -> Iterator[Tensor]:
    waiting: Tensor | None = None
    for strip, last in _mark_last(strips):
        start = _ROOM_ABOVE - (stage.above if waiting is None else waiting.shape[2])
        end = strip.shape[2] - _ROOM_BELOW
        strip[:, :, start:_ROOM_ABOVE] = 0 if waiting is None else waiting
        if last:
            strip[:, :, end : end + stage.below] = 0
            end += stage.below
        context = stage.above + stage.below
        taken = (end - start - context) // stage.step * stage.step
        if taken > 0:
            yield _with_room(stage.run(strip[:, :, start : start + taken + context]), stage.then)
        waiting = strip[:, :, start + max(taken, 0) : end]


def _mark_last(strips: Iterator[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    strip = next(strips)
    for following in strips:
        yield strip, False
        strip = following
    yield strip, True


def down(layer: nn.Conv2d, then: Then) -> Stage:
    """Return the stage of a 5x5 convolution of stride 2 and padding 2, `then` applied to its output."""
    weight, bias = _channels_last(layer.weight), layer.bias
    return Stage(lambda x: functional.conv2d(x, weight, bias, stride=2, padding=(0, 2)), then, 2, 1, 2)


def up(layer: nn.ConvTranspose2d, then: Then) -> Stage:
    """Return the stage of a 5x5 transposed convolution of stride 2, padding 2, output padding 1, then `then`.

    Vertical padding 4 crops what the row above and the row below the strip give outside it.
    """
    weight, bias = _channels_last(layer.weight), layer.bias

    def run(x: Tensor) -> Tensor:
        return functional.conv_transpose2d(x, weight, bias, stride=2, padding=(4, 2), output_padding=1)

    return Stage(run, then, 1, 1)


def up_phases(layer: nn.ConvTranspose2d) -> Stage:
    """Return the same layer as `up` does, as one 3x3 convolution whose outputs are the 2x2 phases.

    Output: [1, 4 * channels, rows, width], channel (2 * row phase + column phase) * channels + c. The better
    form where `channels` is far below the vector width, as in the layer that makes RGB.
    """
    phases = [_phase(layer.weight, row, column) for row in (0, 1) for column in (0, 1)]
    weight = _channels_last(torch.cat([phase.permute(1, 0, 2, 3) for phase in phases]))
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return Stage(lambda x: functional.conv2d(x, weight, bias, padding=(0, 1)), copy, 1, 1)


def _phase(weight: Tensor, row: int, column: int) -> Tensor:
    """Return the 3x3 taps over input m - 1, m, m + 1 that make output 2m + row, 2m + column."""
    taps: Tensor = functional.pad(weight, (0, 1, 0, 1))  # index 5: no tap
    order = {0: [4, 2, 0], 1: [5, 3, 1]}
    return taps[:, :, order[row]][:, :, :, order[column]]


def _channels_last(weight: Tensor) -> Tensor:
    return weight.detach().contiguous(memory_format=torch.channels_last)


def divisive_normalization(gamma: Tensor, beta: Tensor, *, inverse: bool) -> Then:
    """Return GDN (or its inverse) with these effective parameters, for channels-last tensors."""
    gamma_transposed = gamma.detach().t().contiguous()
    beta = beta.detach()

    def run(x: Tensor, out: Tensor) -> None:
        for pixels, result in zip(
            torch.split(_matrix(x), _GDN_PIXELS), torch.split(_matrix(out), _GDN_PIXELS), strict=True
        ):
            norm = torch.addmm(beta, pixels * pixels, gamma_transposed)
            torch.mul(pixels, norm.sqrt_() if inverse else norm.rsqrt_(), out=result)

    return run


def _matrix(x: Tensor) -> Tensor:
    """Return channels-last [1, channels, rows, width] as [pixels, channels] on the same memory."""
    return x.permute(0, 2, 3, 1).view(-1, x.shape[1])
