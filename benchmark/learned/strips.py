"""Convolutions on an image that comes as strips of rows: bounded memory, activations that stay in cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_GDN_ROWS = 2048
"""Pixels normalized at once: with 128 channels they and their squares fit a 2 MB cache."""


@dataclass(frozen=True)
class Stage:
    """A layer that makes each `step` rows of its input, with `above` and `below` rows of context, to output.

    `run` gets [1, channels, above + n * step + below, width] and returns the rows of those n steps alone.
    Rows outside the image are zero, as in a padded convolution.
    """

    run: Callable[[Tensor], Tensor]
    above: int
    below: int
    step: int = 1


def by_strips(stages: Sequence[Stage], strips: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the output of `stages`, top to bottom, for an image given top to bottom as strips of rows."""
    for stage in stages:
        strips = _one_stage(stage, strips)
    yield from strips


def _one_stage(stage: Stage, strips: Iterable[Tensor]) -> Iterator[Tensor]:
    waiting: Tensor | None = None
    for strip, last in _mark_last(strips):
        above = _rows_of_zeros(strip, stage.above) if waiting is None else waiting
        parts = [above, strip, _rows_of_zeros(strip, stage.below)] if last else [above, strip]
        waiting = torch.cat(parts, dim=2)
        taken = (waiting.shape[2] - stage.above - stage.below) // stage.step * stage.step
        if taken > 0:
            yield stage.run(waiting[:, :, : taken + stage.above + stage.below])
            waiting = waiting[:, :, taken:]


def _mark_last(strips: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    iterator = iter(strips)
    strip = next(iterator)
    for following in iterator:
        yield strip, False
        strip = following
    yield strip, True


def _rows_of_zeros(like: Tensor, rows: int) -> Tensor:
    return torch.zeros_like(like[:, :, :1]).expand(-1, -1, rows, -1)


def down(layer: nn.Conv2d, then: Callable[[Tensor], Tensor]) -> Stage:
    """Return the stage of a 5x5 convolution of stride 2 and padding 2, `then` applied to its output."""
    weight, bias = _channels_last(layer.weight), layer.bias
    return Stage(lambda x: then(functional.conv2d(x, weight, bias, stride=2, padding=(0, 2))), 2, 1, 2)


def up(layer: nn.ConvTranspose2d, then: Callable[[Tensor], Tensor]) -> Stage:
    """Return the stage of a 5x5 transposed convolution of stride 2, padding 2, output padding 1, then `then`.

    Vertical padding 4 crops what the row above and the row below the strip give outside it.
    """
    weight, bias = _channels_last(layer.weight), layer.bias

    def run(x: Tensor) -> Tensor:
        return then(functional.conv_transpose2d(x, weight, bias, stride=2, padding=(4, 2), output_padding=1))

    return Stage(run, 1, 1)


def up_phases(layer: nn.ConvTranspose2d) -> Stage:
    """Return the same layer as `up` does, as one 3x3 convolution whose outputs are the 2x2 phases.

    Output: [1, 4 * channels, rows, width], channel (2 * row phase + column phase) * channels + c. The better
    form where `channels` is far below the vector width, as in the layer that makes RGB.
    """
    phases = [_phase(layer.weight, row, column) for row in (0, 1) for column in (0, 1)]
    weight = _channels_last(torch.cat([phase.permute(1, 0, 2, 3) for phase in phases]))
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return Stage(lambda x: functional.conv2d(x, weight, bias, padding=(0, 1)), 1, 1)


def _phase(weight: Tensor, row: int, column: int) -> Tensor:
    """Return the 3x3 taps over input m - 1, m, m + 1 that make output 2m + row, 2m + column."""
    taps: Tensor = functional.pad(weight, (0, 1, 0, 1))  # index 5: no tap
    order = {0: [4, 2, 0], 1: [5, 3, 1]}
    return taps[:, :, order[row]][:, :, :, order[column]]


def _channels_last(weight: Tensor) -> Tensor:
    return weight.detach().contiguous(memory_format=torch.channels_last)


def divisive_normalization(gamma: Tensor, beta: Tensor, *, inverse: bool) -> Callable[[Tensor], Tensor]:
    """Return GDN (or its inverse) with these effective parameters; it overwrites a channels-last argument."""
    gamma_transposed = gamma.detach().t().contiguous()
    beta = beta.detach()

    def run(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        matrix = x.permute(0, 2, 3, 1).view(-1, x.shape[1])
        for pixels in matrix.split(_GDN_ROWS):
            norm = torch.addmm(beta, pixels * pixels, gamma_transposed)
            pixels.mul_(norm.sqrt_() if inverse else norm.rsqrt_())
        return x

    return run
