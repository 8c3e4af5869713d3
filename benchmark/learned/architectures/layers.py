"""Layers that architectures share: GDN on channels-last memory, and the linear branch of 16x16 patches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import F64
from benchmark.torchvision_stub import make_compressai_importable

make_compressai_importable()

with warnings.catch_warnings():  # what compressai imports for point clouds warns of its own deprecations
    warnings.simplefilter("ignore")
    from compressai import layers
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional
    from compressai.models import ScaleHyperprior as ScaleModel
    from compressai.models.sensetime import (
        Cheng2020AnchorCheckerboard as CheckerboardModel,
    )
    from compressai.models.sensetime import (
        Elic2022Chandelier as ChandelierModel,
    )
    from compressai.models.sensetime import (
        Elic2022Official as ElicModel,
    )
    from compressai.models.utils import conv, deconv

__all__ = [
    "GDN",
    "PATCH",
    "Bottleneck",
    "ChandelierModel",
    "CheckerboardModel",
    "ElicModel",
    "GaussianConditional",
    "ScaleModel",
    "ScaledBottleneck",
    "conv",
    "dct_basis",
    "deconv",
    "gdn_transforms",
    "latents_to_patches",
    "patches_to_latents",
    "start_from_dct",
]

PATCH = 16
"""Pixels per latent along one axis in the linear branch."""
_LINEAR_SCALE = 6.0  # step 1 in the latents is then 1/6 of the [0, 1] range: about right for lmbda 0.013
_NONLINEAR_START = 0.1  # the convolutional branch starts as a small correction of the linear one


class _NormalizeChannels(torch.autograd.Function):
    """Divisive normalization as one function on channels-last memory.

    Every pass, forward and backward, is over one contiguous [pixels, channels] matrix, and two of them are
    kept for the backward pass; autograd's chain of element-wise kernels makes a training step 7 % longer
    (tests/perf/training_step.py).
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch gives it no type)
        x: Tensor,
        gamma: Tensor,
        beta: Tensor,
        inverse: bool,
    ) -> Tensor:
        flat = _channels_last_matrix(x)
        norm = torch.addmm(beta, flat * flat, gamma.t())
        factor = norm.sqrt_() if inverse else norm.rsqrt_()
        ctx.save_for_backward(flat, factor, gamma)
        ctx.inverse, ctx.shape = inverse, x.shape
        return _as_image(flat * factor, x.shape)

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401 (torch gives it no type)
        *grad_outputs: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        flat, factor, gamma = ctx.saved_tensors
        grad = _channels_last_matrix(grad_outputs[0])
        grad_norm = grad * flat
        if ctx.inverse:
            grad_norm.div_(factor).mul_(0.5)
        else:
            grad_norm.mul_(factor).mul_(factor).mul_(factor).mul_(-0.5)
        grad_x = (grad_norm @ gamma).mul_(flat).mul_(2).addcmul_(grad, factor)
        grad_gamma = grad_norm.t() @ (flat * flat)
        return _as_image(grad_x, ctx.shape), grad_gamma, grad_norm.sum(0), None


def _channels_last_matrix(x: Tensor) -> Tensor:
    contiguous = x.contiguous(memory_format=torch.channels_last)
    return contiguous.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_image(flat: Tensor, shape: torch.Size) -> Tensor:
    batch, channels, height, width = shape
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def patches_to_latents(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Apply a convolution whose stride is its kernel's size, as one matrix product."""
    batch, channels, height, width = x.shape
    rows, columns = height // PATCH, width // PATCH
    patches = x.reshape(batch, channels, rows, PATCH, columns, PATCH).permute(0, 2, 4, 1, 3, 5)
    y = functional.linear(patches.reshape(batch * rows * columns, -1), layer.weight.flatten(1), layer.bias)
    return y.view(batch, rows, columns, -1).permute(0, 3, 1, 2)


def latents_to_patches(y: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """Apply a transposed convolution whose stride is its kernel's size, as one matrix product."""
    batch, latents, rows, columns = y.shape
    patches = y.permute(0, 2, 3, 1).reshape(-1, latents) @ layer.weight.flatten(1)
    x = patches.view(batch, rows, columns, -1, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(batch, -1, rows * PATCH, columns * PATCH) + cast(Tensor, layer.bias).view(1, -1, 1, 1)


class GDN(layers.GDN):  # type: ignore[misc]
    """CompressAI's GDN, same parameters and same function, computed on channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, float [batch, channels, height, width], in its own precision or autocast's."""
        low = torch.is_autocast_enabled(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if low else x.dtype
        with torch.autocast(x.device.type, enabled=False):
            gamma = self.gamma_reparam(self.gamma).to(dtype)
            beta = self.beta_reparam(self.beta).to(dtype)
            apply: Any = _NormalizeChannels.apply  # torch leaves it untyped
            return cast(Tensor, apply(x.to(dtype), gamma, beta, self.inverse))


def gdn_transforms(N: int, M: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return g_a and g_s of Balle et al. 2018: 5x5 layers of stride 2, N channels, GDN between; M latents."""
    analysis = nn.Sequential(conv(3, N), GDN(N), conv(N, N), GDN(N), conv(N, N), GDN(N), conv(N, M))
    synthesis = nn.Sequential(
        deconv(M, N), GDN(N, inverse=True), deconv(N, N), GDN(N, inverse=True),
        deconv(N, N), GDN(N, inverse=True), deconv(N, 3),
    )  # fmt: skip
    return analysis, synthesis


class Bottleneck(EntropyBottleneck):  # type: ignore[misc]
    """CompressAI's densities of hyper-latents (Balle et al. 2018, appendix 6.1), asked for their mass too."""

    def likelihood(self, z_hat: Tensor) -> Tensor:
        """Return the mass of the unit cell about each value, shaped like z_hat, [batch, channels, h, w]."""
        channels = z_hat.transpose(0, 1)
        likelihood, _, _ = self._likelihood(channels.reshape(z_hat.shape[1], 1, -1))
        likelihood = self.likelihood_lower_bound(likelihood)
        return cast(Tensor, likelihood.reshape(channels.shape).transpose(0, 1))


class ScaledBottleneck(Bottleneck):
    """Densities of hyper-latents that come multiplied by a gain: the step is 1 / gain of the density's unit.

    `gain` gives it, float [batch or 1, channels, 1, 1]. Zero is always on the lattice: no medians.
    """

    gain: Callable[[], Tensor] | None = None

    def forward(self, z: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        """Return z with noise or rounded, and its likelihood, as EntropyBottleneck does."""
        noisy = self.training if training is None else training
        z_hat = z + torch.rand_like(z) - 0.5 if noisy else torch.round(z)
        return z_hat, self.likelihood(z_hat)

    def likelihood(self, z_hat: Tensor) -> Tensor:
        """Return the mass of the cell about each value, shaped like z_hat, [batch, channels, h, w]."""
        gain = 1.0 if self.gain is None else self.gain()
        edges = [
            ((z_hat + side) / gain).transpose(0, 1).reshape(z_hat.shape[1], 1, -1) for side in (-0.5, 0.5)
        ]
        lower, upper = (self._logits_cumulative(edge, stop_gradient=False) for edge in edges)
        sign = -torch.sign(lower + upper).detach()
        mass = torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))
        shape = (z_hat.shape[1], z_hat.shape[0], *z_hat.shape[2:])
        return cast(Tensor, self.likelihood_lower_bound(mass)).reshape(shape).transpose(0, 1)

    def _update_quantiles(self, search_radius: float = 1e5, rtol: float = 1e-4, atol: float = 1e-3) -> None:
        """Keep the medians at zero."""


@torch.no_grad()
def rescale(to_latents: Iterable[Any], from_latents: Iterable[Any], gain: float) -> None:
    """Multiply latents by `gain` in the layers that make them, and divide by it in those that take them."""
    for layer in to_latents:
        layer.weight.mul_(gain)
        layer.bias.mul_(gain)
    for layer in from_latents:
        layer.weight.div_(gain)


def start_from_dct(
    to_latents: nn.Conv2d,
    to_pixels: nn.ConvTranspose2d,
    last_analysis: nn.Module,
    last_synthesis: nn.Module,
    *,
    nonlinear: float = _NONLINEAR_START,
) -> None:
    """Let a linear branch begin as a DCT and its inverse, and the layers beside it as small corrections.

    `to_latents` is a 16x16 convolution of stride 16 from RGB, `to_pixels` its transpose; `last_analysis` and
    `last_synthesis` are the last layers of the nonlinear branches, which `nonlinear` multiplies. Training
    starts from a transform codec.
    """
    basis = torch.from_numpy(dct_basis(to_latents.out_channels)).float()
    grey = torch.full((1, 3, PATCH, PATCH), 0.5)
    bias_latents, bias_pixels = cast(Tensor, to_latents.bias), cast(Tensor, to_pixels.bias)
    with torch.no_grad():
        to_latents.weight.copy_(basis * _LINEAR_SCALE)
        bias_latents.copy_(-functional.conv2d(grey, to_latents.weight).flatten())
        to_pixels.weight.copy_(basis / _LINEAR_SCALE)
        bias_pixels.fill_(0.5)
        for layer in cast("tuple[Any, ...]", (last_analysis, last_synthesis)):
            layer.weight.mul_(nonlinear)
            layer.bias.zero_()


def dct_basis(channels: int) -> F64:
    """Return the `channels` lowest-frequency 16x16 DCT-II functions in an orthonormal luma-chroma space.

    Float64 [channels, 3, 16, 16], orthonormal. Frequencies rank by u^2 + v^2; those of the two chroma axes
    count four times, for photographs hold little energy there. Raises ValueError beyond 768 channels.
    """
    if not 0 < channels <= 3 * PATCH * PATCH:
        raise ValueError(f"M = {channels}: a 16x16 RGB patch has 1 to {3 * PATCH * PATCH} basis functions")
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    k, n = np.mgrid[0:PATCH, 0:PATCH]
    dct = np.sqrt(2 / PATCH) * np.cos(np.pi * k * (2 * n + 1) / (2 * PATCH))
    dct[0] /= np.sqrt(2)
    ranked = sorted(
        ((1 if c == 0 else 4) * (u * u + v * v) + 0.1 * c, c, u, v)
        for c in range(3)
        for u in range(PATCH)
        for v in range(PATCH)
    )
    return np.stack([np.einsum("c,i,j->cij", colours[c], dct[u], dct[v]) for _, c, u, v in ranked[:channels]])
