"""The scale hyperprior (Balle et al. 2018), any N and M, with CompressAI's names for its weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark.arrays import F64
from benchmark.learned.architectures.base import (
    Architecture,
    Config,
    ExactParams,
    ExactPrior,
    Part,
    Prior,
    Step,
)
from benchmark.learned.architectures.foreign import sizes_if_of
from benchmark.learned.architectures.layers import (
    Bottleneck,
    ScaleModel,
    conv,
    deconv,
    gdn_transforms,
    rescale,
)
from benchmark.learned.architectures.mean_scale import OneStep
from benchmark.learned.architectures.transforms import Strips, Transforms
from benchmark.learned.exact.chain import Chain
from benchmark.learned.exact.grid import scale_indices


class ScaleConfig(Config):
    """N: channels of the hidden layers; M: channels of the latents."""

    N: int = Field(ge=1, le=1024)
    M: int = Field(ge=1, le=1024)


class ScaleHyperprior(Architecture):
    """The network of Balle et al. 2018, "Variational Image Compression with a Scale Hyperprior".

    The means of the latents are 0; one step. `state_dict` names are those of CompressAI's
    bmshj2018-hyperprior.
    """

    name = "bmshj2018-hyperprior"
    config_type = ScaleConfig
    latent_stride = 16
    image_multiple = 64
    parts: ClassVar[Mapping[str, Part]] = MappingProxyType(
        {"g_s": Part(("g_s.",), moves_rate=False), "h_s": Part(("h_s.",), moves_rate=True)}
    )

    entropy_bottleneck: Bottleneck

    def __init__(self, N: int, M: int) -> None:
        super().__init__(ScaleConfig(N=N, M=M))
        self.g_a, self.g_s = gdn_transforms(N, M)
        self.h_a = nn.Sequential(
            conv(M, N, stride=1, kernel_size=3), nn.ReLU(), conv(N, N), nn.ReLU(), conv(N, N)
        )  # fmt: skip
        self.h_s = nn.Sequential(
            deconv(N, N), nn.ReLU(), deconv(N, N), nn.ReLU(),
            conv(N, M, stride=1, kernel_size=3), nn.ReLU(),
        )  # fmt: skip
        self.entropy_bottleneck = Bottleneck(N)
        self.steps = (Step(0, M),)

    def analysis(self, x: Tensor) -> Tensor:
        """Return the latents y, float32 [batch, M, height/16, width/16], of x [batch, 3, height, width]."""
        return cast(Tensor, self.g_a(x).float())

    def hyper_analysis(self, y: Tensor) -> Tensor:
        """Return the hyper-latents z, float32 [batch, N, height/64, width/64], which see magnitudes alone."""
        return cast(Tensor, self.h_a(y.abs()).float())

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return the decoded images, float32 [batch, 3, height, width], not clamped to [0, 1]."""
        return cast(Tensor, self.g_s(y_hat).float())

    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return means of 0 and the scales that h_s gives."""
        sigma = self.h_s(cast(Tensor, z_hat)).float()
        return OneStep(torch.zeros_like(sigma), sigma)

    def exact_prior(self) -> ExactPrior:
        """Return h_s in exact arithmetic."""
        return _ExactScales(self.h_s)

    def transforms(self) -> Transforms:
        """Return g_a, h_a and g_s, strip by strip."""
        return Strips(self.g_a, self.g_s, self.hyper_analysis, None)

    def rescale_latents(self, gain: float) -> None:
        """Multiply the latents by `gain` without changing what the network computes."""
        to_latents: list[Any] = [self.g_a[-1], self.h_s[-2]]
        from_latents: list[Any] = [self.g_s[0], self.h_a[0]]
        rescale(to_latents, from_latents, gain)

    @classmethod
    def recognise(cls, state: Mapping[str, Tensor]) -> ScaleConfig | None:
        """Return the config of CompressAI's bmshj2018-hyperprior."""
        sizes = sizes_if_of(ScaleModel, state)
        return None if sizes is None else ScaleConfig(**sizes)


class _ExactScales:
    def __init__(self, h_s: nn.Sequential) -> None:
        self._chain = Chain(h_s)

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return the parameters of the one step (see `ExactPrior`)."""
        sigma = np.concatenate(list(self._chain.strips(cast(F64, z_hat))))
        indices = np.ascontiguousarray(scale_indices(sigma).reshape(-1, self._chain.channels).T)
        return lambda step, y_hat: (np.zeros(indices.shape, np.float32), indices)
