"""Image to latents and latents to image, as encoder and decoder run them: on any threads, the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.arrays import F32, U8
from benchmark.learned.architectures.layers import GDN
from benchmark.learned.exact.strips import (
    Stage,
    Then,
    Workers,
    by_strips,
    divisive_normalization,
    down,
    minimal,
    up_phases,
    workers,
)
from benchmark.learned.exact.winograd import Down, Up

_STRIP_LATENTS = 8
"""Latent rows at once. The decoder's sums may depend on it in the last bit: it is part of the format."""


class Transforms(Protocol):
    """Analysis and synthesis of whole images; the number of threads has no influence on a bit of either."""

    def analysis(self, image: U8) -> tuple[Tensor, Tensor | None]:
        """Return y, float32 [1, M, h, w], and z, float32 [1, N, ...] or None.

        `image` is uint8 [height, width, 3], sides multiples of the architecture's `image_multiple`.
        """

    def synthesis(self, y_hat: F32) -> U8:
        """Return the image, uint8 [height, width, 3], of latents float32 [M, h, w]."""


class Network(Protocol):
    """What `WholeImage` runs: an architecture's transforms (see `Architecture`)."""

    def analysis(self, x: Tensor) -> Tensor: ...  # noqa: D102 (as Architecture has them)
    def hyper_analysis(self, y: Tensor) -> Tensor | None: ...  # noqa: D102
    def synthesis(self, y_hat: Tensor) -> Tensor: ...  # noqa: D102


class WholeImage:
    """The network as it is, on the whole image and one thread: memory grows with the image.

    `device` is where the network's tensors are; images and latents come from the processor and go back to it,
    so that what was begun is done when a call returns. Kernels are those whose sums have one order.
    """

    def __init__(self, network: Network, device: torch.device | None = None) -> None:
        self._network, self._device = network, device or torch.device("cpu")

    @torch.inference_mode()
    def analysis(self, image: U8) -> tuple[Tensor, Tensor | None]:
        """Return y and z (see `Transforms`)."""
        with workers(), _one_order():
            y = self._network.analysis(_to_tensor(image).to(self._device).permute(2, 0, 1)[None])
            z = self._network.hyper_analysis(y)
            return y.cpu(), None if z is None else z.cpu()

    @torch.inference_mode()
    def synthesis(self, y_hat: F32) -> U8:
        """Return the image (see `Transforms`)."""
        with workers(), _one_order():
            latents = torch.from_numpy(y_hat).to(self._device)[None]
            x_hat = self._network.synthesis(latents)[0].permute(1, 2, 0).cpu()
        return _to_pixels(x_hat).contiguous().numpy()


def _one_order() -> AbstractContextManager[None]:
    """Return a context in which a graphics card sums as it did before, in float32."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


@dataclass(frozen=True)
class LinearBranch:
    """A convolution whose stride is its kernel's size beside the analysis, its transpose beside synthesis."""

    to_latents: nn.Conv2d
    to_pixels: nn.ConvTranspose2d


class Strips:
    """Chains of 5x5 layers of stride 2 with GDN between them, strip by strip: bounded memory.

    `analysis_chain` goes from RGB to latents, `synthesis_chain` back to RGB, both as nn.Sequential has them;
    GDN parameters, layouts and phases are computed beforehand. One latent stands for 2^layers pixels a side.
    """

    def __init__(
        self,
        analysis_chain: nn.Sequential,
        synthesis_chain: nn.Sequential,
        hyper_analysis: Callable[[Tensor], Tensor | None],
        linear: LinearBranch | None,
    ) -> None:
        self._hyper_analysis, self._linear = hyper_analysis, linear
        with torch.inference_mode():
            first, *others = _with_gdn(analysis_chain)
            self._analysis = [down(first[0], cast(Then, first[1]))]
            self._analysis += [minimal(Down(layer.weight, layer.bias), then) for layer, then in others]
            *others, last = _with_gdn(synthesis_chain)
            self._synthesis: list[Stage] = [
                minimal(Up(layer.weight, layer.bias), then) for layer, then in others
            ]
            self._synthesis.append(up_phases(last[0]))
        self._stride = 2 ** len(self._analysis)

    @torch.inference_mode()
    def analysis(self, image: U8) -> tuple[Tensor, Tensor | None]:
        """Return y and z (see `Transforms`)."""
        strips = (_to_tensor(rows) for rows in _split(image, _STRIP_LATENTS * self._stride))
        with workers() as threads:
            y = torch.cat(list(by_strips(self._analysis, strips, threads))).permute(2, 0, 1)[None]
            if self._linear is not None:
                self._add_linear_analysis(image, y, self._linear.to_latents)
        return y, self._hyper_analysis(y)

    def _add_linear_analysis(self, image: U8, y: Tensor, to_latents: nn.Conv2d) -> None:
        top = 0
        for rows in _split(image, _STRIP_LATENTS * self._stride):
            added = to_latents(_to_tensor(rows).permute(2, 0, 1)[None])
            y[:, :, top : top + added.shape[2]] += added
            top += added.shape[2]

    @torch.inference_mode()
    def synthesis(self, y_hat: F32) -> U8:
        """Return the image (see `Transforms`).

        The number of threads has no influence on the pixels, as it would have on a convolution that oneDNN
        runs on several: the last bit of a sum decides some pixels.
        """
        with workers() as threads:
            return self._synthesis_in_order(y_hat, threads)

    def _synthesis_in_order(self, y_hat: F32, threads: Workers) -> U8:
        _, height, width = y_hat.shape
        image = np.empty((height * self._stride, width * self._stride, 3), np.uint8)
        latents = torch.from_numpy(y_hat).permute(1, 2, 0)
        linear = None if self._linear is None else _RowQueue(_linear_rows(latents, self._linear.to_pixels))
        row = 0
        for phases in by_strips(self._synthesis, torch.split(latents, _STRIP_LATENTS), threads):
            x_hat = _interleave(phases)
            if linear is not None:
                x_hat += linear.take(x_hat.shape[0])
            image[row : row + x_hat.shape[0]] = _to_pixels(x_hat).numpy()
            row += x_hat.shape[0]
        return image


def _linear_rows(latents: Tensor, to_pixels: nn.ConvTranspose2d) -> Iterator[Tensor]:
    """Yield the linear branch's part of the image, float32 [rows, width, 3], strip by strip."""
    for strip in torch.split(latents, _STRIP_LATENTS):
        yield to_pixels(strip.permute(2, 0, 1)[None])[0].permute(1, 2, 0)


class _RowQueue:
    """Rows that come in strips of one height and are wanted in another."""

    def __init__(self, strips: Iterator[Tensor]) -> None:
        self._strips = strips
        self._rows: Tensor | None = None

    def take(self, amount: int) -> Tensor:
        rows = next(self._strips) if self._rows is None else self._rows
        while rows.shape[0] < amount:
            rows = torch.cat([rows, next(self._strips)])
        self._rows = rows[amount:]
        return rows[:amount]


def _with_gdn(chain: nn.Sequential) -> list[tuple[Any, Then | None]]:
    """Return each convolution of the chain with the GDN that follows it, if one does."""
    found: list[tuple[Any, Then | None]] = []
    for layer in cast("Sequence[Any]", chain):
        if isinstance(layer, GDN):
            found[-1] = (found[-1][0], _gdn(layer))
        else:
            found.append((layer, None))
    return found


def _gdn(layer: GDN) -> Then:
    return divisive_normalization(
        layer.gamma_reparam(layer.gamma), layer.beta_reparam(layer.beta), inverse=layer.inverse
    )


def _split(image: U8, rows: int) -> Iterator[U8]:
    for start in range(0, image.shape[0], rows):
        yield image[start : start + rows]


def _to_tensor(rows: U8) -> Tensor:
    """Return float32 [rows, width, 3] in [0, 1]."""
    return torch.from_numpy(rows).float().div_(255.0)


def _to_pixels(x_hat: Tensor) -> Tensor:
    """Return uint8 of float32 in [0, 1], rounded, in place."""
    return x_hat.mul_(255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)


def _interleave(phases: Tensor) -> Tensor:
    """Return float32 [2 * rows, 2 * width, 3] of the four phases, float32 [rows, width, 12]."""
    rows, width, _ = phases.shape
    return phases.view(rows, width, 2, 2, 3).permute(0, 2, 1, 3, 4).reshape(2 * rows, 2 * width, 3)
