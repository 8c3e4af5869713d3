"""Image to latents and latents to image, strip by strip: the transforms as encoder and decoder run them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmark.arrays import F32, U8
from benchmark.learned.architectures.mean_scale import GDN, MeanScaleHyperprior
from benchmark.learned.exact.strips import (
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

LATENT_STRIDE = 16
"""Pixels per latent along one axis."""
_STRIP_LATENTS = 8
"""Latent rows at once. The decoder's sums may depend on it in the last bit: it is part of the format."""


class Transforms:
    """g_a, h_a and g_s of one network, with GDN parameters, layouts and phases computed beforehand."""

    def __init__(self, network: MeanScaleHyperprior) -> None:
        self._network = network
        with torch.inference_mode():
            a, s = cast(Any, network.g_a), cast(Any, network.g_s)
            self._analysis = [
                down(a[0], _gdn(a[1])),
                minimal(Down(a[2].weight, a[2].bias), _gdn(a[3])),
                minimal(Down(a[4].weight, a[4].bias), _gdn(a[5])),
                minimal(Down(a[6].weight, a[6].bias)),
            ]
            self._synthesis = [
                minimal(Up(s[0].weight, s[0].bias), _gdn(s[1])),
                minimal(Up(s[2].weight, s[2].bias), _gdn(s[3])),
                minimal(Up(s[4].weight, s[4].bias), _gdn(s[5])),
                up_phases(s[6]),
            ]

    @torch.inference_mode()
    def analysis(self, image: U8) -> tuple[Tensor, Tensor]:
        """Return y, float32 [1, M, height/16, width/16], and z, float32 [1, N, height/64, width/64].

        `image` is uint8 [height, width, 3], sides multiples of 64.
        """
        strips = (_to_tensor(rows) for rows in _split(image, _STRIP_LATENTS * LATENT_STRIDE))
        with workers() as threads:
            y = torch.cat(list(by_strips(self._analysis, strips, threads))).permute(2, 0, 1)[None]
            if self._network.linear_branch:
                self._add_linear_analysis(image, y)
        return y, self._network.hyper_analysis(y)

    def _add_linear_analysis(self, image: U8, y: Tensor) -> None:
        top = 0
        for rows in _split(image, _STRIP_LATENTS * LATENT_STRIDE):
            added = self._network.g_a_linear(_to_tensor(rows).permute(2, 0, 1)[None])
            y[:, :, top : top + added.shape[2]] += added
            top += added.shape[2]

    @torch.inference_mode()
    def synthesis(self, y_hat: F32) -> U8:
        """Return the image, uint8 [16 * h, 16 * w, 3], of latents float32 [M, h, w].

        The number of threads has no influence on the pixels, as it would have on a convolution that oneDNN
        runs on several: the last bit of a sum decides some pixels.
        """
        with workers() as threads:
            return self._synthesis_in_order(y_hat, threads)

    def _synthesis_in_order(self, y_hat: F32, threads: Workers) -> U8:
        _, height, width = y_hat.shape
        image = np.empty((height * LATENT_STRIDE, width * LATENT_STRIDE, 3), np.uint8)
        latents = torch.from_numpy(y_hat).permute(1, 2, 0)
        linear = _RowQueue(self._linear_synthesis(latents)) if self._network.linear_branch else None
        row = 0
        for phases in by_strips(self._synthesis, torch.split(latents, _STRIP_LATENTS), threads):
            x_hat = _interleave(phases)
            if linear is not None:
                x_hat += linear.take(x_hat.shape[0])
            pixels = x_hat.mul_(255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
            image[row : row + x_hat.shape[0]] = pixels.numpy()
            row += x_hat.shape[0]
        return image

    def _linear_synthesis(self, latents: Tensor) -> Iterator[Tensor]:
        """Yield the linear branch's part of the image, float32 [rows, width, 3], strip by strip."""
        for strip in torch.split(latents, _STRIP_LATENTS):
            yield self._network.g_s_linear(strip.permute(2, 0, 1)[None])[0].permute(1, 2, 0)


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


def _interleave(phases: Tensor) -> Tensor:
    """Return float32 [2 * rows, 2 * width, 3] of the four phases, float32 [rows, width, 12]."""
    rows, width, _ = phases.shape
    return phases.view(rows, width, 2, 2, 3).permute(0, 2, 1, 3, 4).reshape(2 * rows, 2 * width, 3)
