"""The mean-scale hyperprior (Minnen et al. 2018), any N and M, with CompressAI's names for its weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

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
from benchmark.learned.architectures.layers import (
    PATCH,
    Bottleneck,
    conv,
    deconv,
    gdn_transforms,
    latents_to_patches,
    patches_to_latents,
    rescale,
    start_from_dct,
)
from benchmark.learned.architectures.transforms import LinearBranch, Strips, Transforms
from benchmark.learned.exact.chain import Chain
from benchmark.learned.exact.grid import scale_indices


class MeanScaleConfig(Config):
    """N: channels of the hidden layers; M: channels of the latents."""

    N: int = Field(ge=1, le=1024)
    M: int = Field(ge=1, le=1024)
    linear_branch: bool = False


class MeanScaleHyperprior(Architecture):
    """The network of Minnen et al. 2018, "Joint Autoregressive and Hierarchical Priors", without context.

    `state_dict` names are those of CompressAI's mbt2018-mean. With `linear_branch`, a 16x16 convolution of
    stride 16 runs beside g_a, and its transpose beside g_s; both start as a DCT, so that training begins
    from a transform codec. It costs 0.1 % of the operations. Without it, the network is mbt2018-mean.
    """

    name = "mean-scale"
    config_type = MeanScaleConfig
    latent_stride = 16
    image_multiple = 64
    parts: ClassVar[Mapping[str, Part]] = MappingProxyType(
        {
            "g_s": Part(("g_s.", "g_s_linear."), moves_rate=False),
            "h_s": Part(("h_s.",), moves_rate=True),
        }
    )
    slow_tensors = ("g_s_linear.",)

    entropy_bottleneck: Bottleneck

    def __init__(self, N: int, M: int, *, linear_branch: bool = False) -> None:
        super().__init__(MeanScaleConfig(N=N, M=M, linear_branch=linear_branch))
        self.N, self.M, self.linear_branch = N, M, linear_branch
        self.g_a, self.g_s = gdn_transforms(N, M)
        self.h_a = nn.Sequential(
            conv(M, N, stride=1, kernel_size=3), nn.LeakyReLU(), conv(N, N), nn.LeakyReLU(), conv(N, N)
        )  # fmt: skip
        self.h_s = nn.Sequential(
            deconv(N, M), nn.LeakyReLU(), deconv(M, M * 3 // 2), nn.LeakyReLU(),
            conv(M * 3 // 2, M * 2, stride=1, kernel_size=3),
        )  # fmt: skip
        self.entropy_bottleneck = Bottleneck(N)
        self.steps = (Step(0, M),)
        if linear_branch:
            self.g_a_linear = nn.Conv2d(3, M, PATCH, stride=PATCH)
            self.g_s_linear = nn.ConvTranspose2d(M, 3, PATCH, stride=PATCH)
            start_from_dct(self.g_a_linear, self.g_s_linear, self.g_a[-1], self.g_s[-1])

    def analysis(self, x: Tensor) -> Tensor:
        """Return the latents y, float32 [batch, M, height/16, width/16], of x [batch, 3, height, width]."""
        y = self.g_a(x).float()
        if self.linear_branch:
            with torch.autocast(
                x.device.type, enabled=False
            ):  # DC latents pass 60: bfloat16 would round them
                y = y + patches_to_latents(x.float(), self.g_a_linear)
        return cast(Tensor, y)

    def hyper_analysis(self, y: Tensor) -> Tensor:
        """Return the hyper-latents z, float32 [batch, N, height/64, width/64]."""
        return cast(Tensor, self.h_a(y).float())

    def hyper_synthesis(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Return (mu, sigma), each shaped like y; sigma is as the network gives it, not yet bounded below."""
        sigma, mu = self.h_s(z_hat).float().chunk(2, 1)
        return mu, sigma

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return the decoded images, float32 [batch, 3, height, width], not clamped to [0, 1]."""
        x_hat = self.g_s(y_hat).float()
        if self.linear_branch:
            with torch.autocast(y_hat.device.type, enabled=False):
                x_hat = x_hat + latents_to_patches(y_hat.float(), self.g_s_linear)
        return cast(Tensor, x_hat)

    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return the mean and scale that h_s gives each latent; one step."""
        return OneStep(*self.hyper_synthesis(cast(Tensor, z_hat)))

    def exact_prior(self) -> ExactPrior:
        """Return h_s in exact arithmetic."""
        return HyperSynthesis(self.h_s)

    def transforms(self) -> Transforms:
        """Return g_a, h_a and g_s, strip by strip."""
        linear = LinearBranch(self.g_a_linear, self.g_s_linear) if self.linear_branch else None
        return Strips(self.g_a, self.g_s, self.hyper_analysis, linear)

    def rescale_latents(self, gain: float) -> None:
        """Multiply the latents by `gain` without changing what the network computes."""
        to_latents: list[Any] = [self.g_a[-1], self.h_s[-1]]
        from_latents: list[Any] = [self.g_s[0], self.h_a[0]]
        if self.linear_branch:
            to_latents.append(self.g_a_linear)
            from_latents.append(self.g_s_linear)
        rescale(to_latents, from_latents, gain)

    @classmethod
    def recognise(cls, state: Mapping[str, Tensor]) -> MeanScaleConfig | None:
        """Return the config of CompressAI's mbt2018-mean, or of ours, from the shapes of two layers."""
        first, last, gains = (state.get(f"{name}.weight") for name in ("g_a.0", "g_a.6", "h_s.4"))
        if first is None or last is None or gains is None or gains.shape[0] != 2 * last.shape[0]:
            return None
        return MeanScaleConfig(N=first.shape[0], M=last.shape[0], linear_branch="g_a_linear.weight" in state)


class OneStep:
    """Parameters that are all known at once."""

    def __init__(self, mu: Tensor, sigma: Tensor) -> None:
        self._mu, self._sigma = mu.flatten(2), sigma.flatten(2)

    def params(self, step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma (see `Prior`)."""
        return self._mu, self._sigma


class HyperSynthesis:
    """h_s in exact arithmetic: z_hat in; sigma in the first half of the channels, mu in the second, out."""

    def __init__(self, h_s: nn.Sequential) -> None:
        self._chain = Chain(h_s)

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return mu and scale index of the one step (see `ExactPrior`)."""
        mu, indices = self.parameters(cast(F64, z_hat))
        return lambda step, y_hat: (mu.reshape(len(mu), -1), indices.reshape(len(mu), -1))

    def parameters(self, z_hat: F64) -> tuple[F32, U8]:
        """Return mu, float32, and scale indices, uint8, both [M, 4 * h, 4 * w], of z_hat [N, h, w]."""
        channels = self._chain.channels // 2
        shape = (channels, *(self._chain.scale * side for side in z_hat.shape[1:]))
        mu, indices = np.empty(shape, np.float32), np.empty(shape, np.uint8)
        row = 0
        for strip in self._chain.strips(z_hat):
            rows = slice(row, row + strip.shape[0])
            sigma_rows, mu_rows = np.split(strip.transpose(2, 0, 1), 2)
            mu[:, rows] = mu_rows
            indices[:, rows] = scale_indices(sigma_rows)
            row += strip.shape[0]
        return mu, indices
