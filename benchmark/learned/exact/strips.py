"""Convolutions on an image that comes as strips of rows: bounded memory, activations that stay in cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.environment import torch_threads
from benchmark.learned.exact.winograd import Down, Same, Up

_GDN_PIXELS = 512
"""Pixels normalized at once: with 128 channels, they and their squares stay in a 1 MB cache."""
_TASK_PIXELS = 256
"""Aim for the tiles, or the pixels of output where there are none, of one task."""
_ROOM_ABOVE, _ROOM_BELOW = 6, 2
"""Spare rows around the strips that pass between stages, so that context joins them without a copy."""

Then = Callable[[Tensor], object]
"""What follows a convolution, in place."""


@dataclass(frozen=True)
class Stage:
    """A layer that makes `made` rows of output of each `step` rows of its input, and of columns likewise.

    All tensors are [rows, width, channels], contiguous. `run` gets above + n * step + below rows and writes
    the n * made rows of output, which have `channels`. Rows outside the image are zero, as in a padded
    convolution. above + below + step - 1 is at most 6, below at most 2.
    """

    run: Callable[[Tensor, Tensor], object]
    channels: int
    above: int
    below: int
    step: int = 1
    made: int = 1


class Workers:
    """Threads that share the tasks of a stage. What a task computes does not depend on how many there are."""

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool

    def run(self, stage: Stage, window: Tensor, out: Tensor) -> None:
        """Run `stage` on `window`, some steps at a time: as many as make about 256 tiles."""
        across = window.shape[1] // stage.step
        steps = max(1, round(_TASK_PIXELS / across))
        tasks = [
            (
                window[start * stage.step : (start + steps) * stage.step + stage.above + stage.below],
                out[start * stage.made : (start + steps) * stage.made],
            )
            for start in range(0, out.shape[0] // stage.made, steps)
        ]
        if self._pool is None or len(tasks) == 1:
            for task in tasks:
                stage.run(*task)
        else:
            for _ in self._pool.map(lambda task: _in_inference(stage, task), tasks):
                pass


def _in_inference(stage: Stage, task: tuple[Tensor, Tensor]) -> None:
    with torch.inference_mode():
        stage.run(*task)


@contextmanager
def workers() -> Iterator[Workers]:
    """As many threads as torch is set to use, each of which runs torch's operations alone.

    oneDNN and MKL may order the sums of one operation by the number of threads; so an operation gets one,
    and the threads get different operations.
    """
    threads = torch.get_num_threads()
    with torch_threads(1):
        if threads == 1:
            yield Workers(None)
        else:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield Workers(pool)


def by_strips(stages: Sequence[Stage], strips: Iterable[Tensor], threads: Workers) -> Iterator[Tensor]:
    """Yield the output of `stages`, top to bottom, for an image given top to bottom as strips of rows."""
    roomy: Iterator[Tensor] = (_with_room(strip) for strip in strips)
    for stage in stages:
        roomy = _one_stage(stage, roomy, threads)
    for strip in roomy:
        yield strip[_ROOM_ABOVE : strip.shape[0] - _ROOM_BELOW]


def _with_room(strip: Tensor) -> Tensor:
    rows, width, channels = strip.shape
    roomy = _room(rows, width, channels, strip.dtype)
    roomy[_ROOM_ABOVE : _ROOM_ABOVE + rows] = strip
    return roomy


def _room(rows: int, width: int, channels: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(rows + _ROOM_ABOVE + _ROOM_BELOW, width, channels, dtype=dtype)


def _one_stage(stage: Stage, strips: Iterator[Tensor], threads: Workers) -> Iterator[Tensor]:
    waiting: Tensor | None = None
    for strip, last in _mark_last(strips):
        start = _ROOM_ABOVE - (stage.above if waiting is None else waiting.shape[0])
        end = strip.shape[0] - _ROOM_BELOW
        strip[start:_ROOM_ABOVE] = 0 if waiting is None else waiting
        if last:
            strip[end : end + stage.below] = 0
            end += stage.below
        context = stage.above + stage.below
        steps = max(0, (end - start - context) // stage.step)
        taken = steps * stage.step
        if steps > 0:
            width = strip.shape[1] // stage.step * stage.made
            out = _room(steps * stage.made, width, stage.channels, strip.dtype)
            inside = out[_ROOM_ABOVE : _ROOM_ABOVE + steps * stage.made]
            threads.run(stage, strip[start : start + taken + context], inside)
            yield out
        waiting = strip[start + taken : end]


def _mark_last(strips: Iterator[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    strip = next(strips)
    for following in strips:
        yield strip, False
        strip = following
    yield strip, True


def minimal(layer: Down | Up | Same, then: Then | None = None) -> Stage:
    """Return the stage of a layer by minimal filtering, `then` applied to its output."""

    def run(x: Tensor, out: Tensor) -> None:
        layer(x, out)
        if then is not None:
            then(out)

    return Stage(run, layer.channels, layer.above, layer.below, layer.step, layer.made)


def down(layer: nn.Conv2d, then: Then | None = None) -> Stage:
    """Return the stage of a 5x5 convolution of stride 2 and padding 2 from few channels, then `then`."""
    weight, bias = _channels_last(layer.weight), layer.bias

    def run(x: Tensor, out: Tensor) -> None:
        out.copy_(_rows_last(functional.conv2d(_image(x), weight, bias, stride=2, padding=(0, 2))))
        if then is not None:
            then(out)

    return Stage(run, layer.out_channels, 2, 1, 2)


def direct(weight: Tensor, bias: Tensor, then: Then | None = None, *, shuffled: bool = False) -> Stage:
    """Return the stage of a convolution of stride 1, its kernel 1x1, 3x3 or 5x5, then `then`.

    Where `shuffled`, each four channels are the 2x2 pixels of one (nn.PixelShuffle).
    """
    weight, reach, made = _channels_last(weight), weight.shape[2] // 2, 2 if shuffled else 1

    def run(x: Tensor, out: Tensor) -> None:
        image = functional.conv2d(_image(x), weight, bias, padding=(0, reach))
        out.copy_(_rows_last(functional.pixel_shuffle(image, made)))
        if then is not None:
            then(out)

    return Stage(run, weight.shape[0] // made**2, reach, reach, 1, made)


def up(weight: Tensor, bias: Tensor, then: Then | None = None) -> Stage:
    """Return the stage of a 5x5 transposed convolution of stride 2, padding 2, output padding 1, then `then`.

    Vertical padding 4 crops what the row above and the row below the strip give outside it.
    """
    weight = _channels_last(weight)

    def run(x: Tensor, out: Tensor) -> None:
        made = functional.conv_transpose2d(
            _image(x), weight, bias, stride=2, padding=(4, 2), output_padding=1
        )
        out.copy_(_rows_last(made))
        if then is not None:
            then(out)

    return Stage(run, weight.shape[1], 1, 1, 1, 2)


def up_phases(layer: nn.ConvTranspose2d) -> Stage:
    """Return the same layer as `up` does, as one 3x3 convolution whose outputs are the 2x2 phases.

    Output: [rows, width, 4 * channels], channel (2 * row phase + column phase) * channels + c. The better
    form where `channels` is far below the vector width, as in the layer that makes RGB.
    """
    phases = [_phase(layer.weight, row, column) for row in (0, 1) for column in (0, 1)]
    weight = _channels_last(torch.cat([phase.permute(1, 0, 2, 3) for phase in phases]))
    bias = None if layer.bias is None else layer.bias.repeat(4)

    def run(x: Tensor, out: Tensor) -> None:
        out.copy_(_rows_last(functional.conv2d(_image(x), weight, bias, padding=(0, 1))))

    return Stage(run, 4 * layer.out_channels, 1, 1)


def _image(rows: Tensor) -> Tensor:
    """Return [rows, width, channels] as [1, channels, rows, width] on the same memory."""
    return rows.permute(2, 0, 1)[None]


def _rows_last(image: Tensor) -> Tensor:
    return image[0].permute(1, 2, 0)


def _phase(weight: Tensor, row: int, column: int) -> Tensor:
    """Return the 3x3 taps over input m - 1, m, m + 1 that make output 2m + row, 2m + column."""
    taps: Tensor = functional.pad(weight, (0, 1, 0, 1))  # index 5: no tap
    order = {0: [4, 2, 0], 1: [5, 3, 1]}
    return taps[:, :, order[row]][:, :, :, order[column]]


def _channels_last(weight: Tensor) -> Tensor:
    return weight.detach().contiguous(memory_format=torch.channels_last)


def divisive_normalization(gamma: Tensor, beta: Tensor, *, inverse: bool) -> Then:
    """Return GDN (or its inverse) with these effective parameters."""
    gamma_transposed = gamma.detach().t().contiguous()
    beta = beta.detach()

    def run(x: Tensor) -> None:
        for pixels in torch.split(x.view(-1, x.shape[2]), _GDN_PIXELS):
            norm = torch.addmm(beta, pixels * pixels, gamma_transposed)
            pixels.mul_(norm.sqrt_() if inverse else norm.rsqrt_())

    return run
