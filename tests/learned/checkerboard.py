"""An architecture of another package, in one file: a linear transform and a checkerboard hyperprior.

Its latents are coded in two steps: one colour of the checkerboard from the hyper-latents alone, the other
from its decoded neighbours too (He et al. 2021, "Checkerboard Context Model for Efficient Learned Image
Compression"). The exact prior evaluates the same layers on grids.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import F32, F64, U8
from benchmark.learned.architectures.base import (
    Architecture,
    Config,
    ExactParams,
    ExactPrior,
    Part,
    Prior,
    Step,
)
from benchmark.learned.architectures.layers import Bottleneck, conv, dct_basis, deconv
from benchmark.learned.exact.chain import Chain
from benchmark.learned.exact.grid import UNIT, activate, in_steps, scale_indices
from benchmark.learned.exact.taps import Taps, framed

_SLOPE = 0.01
_NEIGHBOURS = np.add.outer(np.arange(5), np.arange(5)) % 2 == 1


class CheckerboardConfig(Config):
    """N: hidden channels; M: latent channels."""

    N: int
    M: int


class Checkerboard(Architecture):
    """A 16x16 transform, a hyperprior, and the neighbours of the other colour as context."""

    name = "checkerboard"
    config_type = CheckerboardConfig
    latent_stride = 16
    image_multiple = 64
    parts: ClassVar[Mapping[str, Part]] = MappingProxyType(
        {"g_s": Part(("g_s.",), moves_rate=False), "prior": Part(("h_s.", "near.", "head."), moves_rate=True)}
    )

    entropy_bottleneck: Bottleneck

    def __init__(self, N: int, M: int) -> None:
        super().__init__(CheckerboardConfig(N=N, M=M))
        self.steps = (Step(0, M, 0), Step(0, M, 1))
        self.g_a, self.g_s = nn.Conv2d(3, M, 16, stride=16), nn.ConvTranspose2d(M, 3, 16, stride=16)
        self.h_a = nn.Sequential(conv(M, N), nn.LeakyReLU(), conv(N, N))
        self.h_s = nn.Sequential(deconv(N, N), nn.LeakyReLU(), deconv(N, N), nn.LeakyReLU())
        self.base = nn.Conv2d(N, N, 1)
        self.near = nn.Conv2d(M, N, 5, padding=2, bias=False)
        self.head = nn.Conv2d(N, 2 * M, 1)
        self.entropy_bottleneck = Bottleneck(N)
        with torch.no_grad():
            basis = torch.from_numpy(dct_basis(M)).float()
            self.g_a.weight.copy_(6 * basis)
            self.g_s.weight.copy_(basis / 6)
            cast(Tensor, self.g_a.bias).copy_(
                -functional.conv2d(torch.full((1, 3, 16, 16), 0.5), 6 * basis).flatten()
            )
            cast(Tensor, self.g_s.bias).fill_(0.5)
            cast(Tensor, self.head.bias)[:M] += 2.0

    def analysis(self, x: Tensor) -> Tensor:
        """Return y."""
        return cast(Tensor, self.g_a(x).float())

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return x_hat."""
        return cast(Tensor, self.g_s(y_hat).float())

    def hyper_analysis(self, y: Tensor) -> Tensor:
        """Return z."""
        return cast(Tensor, self.h_a(y).float())

    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return the prior of both colours."""
        return _Fields(self, self.base(self.h_s(z_hat)))

    def exact_prior(self) -> ExactPrior:
        """Return the same in exact arithmetic."""
        return _ExactFields(self)


class _Fields:
    def __init__(self, network: Checkerboard, base: Tensor) -> None:
        self._network, self._base = network, base

    def params(self, step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        near = self._network.near
        hidden = self._base
        if step == 1:
            weight = near.weight * torch.from_numpy(_NEIGHBOURS).to(near.weight)
            hidden = hidden + functional.conv2d(y_hat, weight, padding=2)
        out = self._network.head(functional.leaky_relu(hidden, _SLOPE)).float()
        sigma, mu = self._network.steps[step].gather(torch.cat(out.chunk(2, 1), 0)).chunk(2, 0)
        return mu, sigma


class _ExactFields:
    def __init__(self, network: Checkerboard) -> None:
        self._steps = network.steps
        self._h_s = Chain(network.h_s)
        self._base = Taps(network.base.weight, network.base.bias)
        self._near = Taps(network.near.weight, mask=_NEIGHBOURS)
        self._head = Taps(network.head.weight, network.head.bias)

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        psi = in_steps(np.concatenate(list(self._h_s.strips(cast(F64, z_hat)))))

        def params(step: int, y_hat: F32) -> tuple[F32, U8]:
            at = self._steps[step].positions(rows, columns)
            hidden = self._base(psi, at)
            if step == 1:
                hidden = hidden + self._near(framed(in_steps(y_hat), 2), at)
            activate(torch.from_numpy(hidden), _SLOPE)
            sigma, mu = np.split(self._head(hidden[None], np.arange(len(at))).T * UNIT, 2)
            return mu.astype(np.float32), scale_indices(sigma)

        return params
