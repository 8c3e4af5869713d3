"""The mean-scale hyperprior (Minnen et al. 2018), any N and M, with CompressAI's names for its weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import F64
from benchmark.errors import WeightsError
from benchmark.learned.torchvision_stub import make_compressai_importable

make_compressai_importable()

with warnings.catch_warnings():  # what compressai imports for point clouds warns of its own deprecations
    warnings.simplefilter("ignore")
    from compressai import layers
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional
    from compressai.models.utils import conv, deconv

DOWNSAMPLING = 64
"""Pixels per hyper-latent along one axis: sizes that go into the network are multiples of it."""

_PATCH = 16
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


def _patches_to_latents(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Apply a convolution whose stride is its kernel's size, as one matrix product."""
    batch, channels, height, width = x.shape
    rows, columns = height // _PATCH, width // _PATCH
    patches = x.reshape(batch, channels, rows, _PATCH, columns, _PATCH).permute(0, 2, 4, 1, 3, 5)
    y = functional.linear(patches.reshape(batch * rows * columns, -1), layer.weight.flatten(1), layer.bias)
    return y.view(batch, rows, columns, -1).permute(0, 3, 1, 2)


def _latents_to_patches(y: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """Apply a transposed convolution whose stride is its kernel's size, as one matrix product."""
    batch, latents, rows, columns = y.shape
    patches = y.permute(0, 2, 3, 1).reshape(-1, latents) @ layer.weight.flatten(1)
    x = patches.view(batch, rows, columns, -1, _PATCH, _PATCH).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(batch, -1, rows * _PATCH, columns * _PATCH) + cast(Tensor, layer.bias).view(1, -1, 1, 1)


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


class MeanScaleHyperprior(nn.Module):
    """The network of Minnen et al. 2018, "Joint Autoregressive and Hierarchical Priors", without context.

    `state_dict` names are those of CompressAI's mbt2018-mean. With `linear_branch`, a 16x16 convolution of
    stride 16 runs beside g_a, and its transpose beside g_s; both start as a DCT, so that training begins
    from a transform codec. It costs 0.1 % of the operations. Without it, the network is mbt2018-mean.

    N: channels of the hidden layers; M: channels of the latents. Images are RGB in [0, 1].
    """

    def __init__(self, N: int, M: int, *, linear_branch: bool = False) -> None:
        super().__init__()
        self.N, self.M, self.linear_branch = N, M, linear_branch
        self.g_a = nn.Sequential(
            conv(3, N), GDN(N), conv(N, N), GDN(N), conv(N, N), GDN(N), conv(N, M)
        )  # fmt: skip
        self.g_s = nn.Sequential(
            deconv(M, N), GDN(N, inverse=True), deconv(N, N), GDN(N, inverse=True),
            deconv(N, N), GDN(N, inverse=True), deconv(N, 3),
        )  # fmt: skip
        self.h_a = nn.Sequential(
            conv(M, N, stride=1, kernel_size=3), nn.LeakyReLU(), conv(N, N), nn.LeakyReLU(), conv(N, N)
        )  # fmt: skip
        self.h_s = nn.Sequential(
            deconv(N, M), nn.LeakyReLU(), deconv(M, M * 3 // 2), nn.LeakyReLU(),
            conv(M * 3 // 2, M * 2, stride=1, kernel_size=3),
        )  # fmt: skip
        self.entropy_bottleneck = EntropyBottleneck(N)
        self.gaussian_conditional = GaussianConditional(None)
        if linear_branch:
            self.g_a_linear = nn.Conv2d(3, M, _PATCH, stride=_PATCH)
            self.g_s_linear = nn.ConvTranspose2d(M, 3, _PATCH, stride=_PATCH)
            self._start_from_dct()

    def analysis(self, x: Tensor) -> Tensor:
        """Return the latents y, float32 [batch, M, height/16, width/16], of x [batch, 3, height, width]."""
        y = self.g_a(x).float()
        if self.linear_branch:
            with torch.autocast(
                x.device.type, enabled=False
            ):  # DC latents pass 60: bfloat16 would round them
                y = y + _patches_to_latents(x.float(), self.g_a_linear)
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
                x_hat = x_hat + _latents_to_patches(y_hat.float(), self.g_s_linear)
        return cast(Tensor, x_hat)

    def rescale_latents(self, gain: float) -> None:
        """Multiply the latents by `gain` without changing what the network computes.

        The quantizer's step is 1, so that this is a change of step size: the start for another lmbda, where
        gain = sqrt(lmbda / old lmbda) keeps the distortion's slope in balance at high rate.
        """
        to_latents: list[Any] = [self.g_a[-1], self.h_s[-1]]
        from_latents: list[Any] = [self.g_s[0], self.h_a[0]]
        if self.linear_branch:
            to_latents.append(self.g_a_linear)
            from_latents.append(self.g_s_linear)
        with torch.no_grad():
            for layer in to_latents:
                layer.weight.mul_(gain)
                layer.bias.mul_(gain)
            for layer in from_latents:
                layer.weight.div_(gain)

    def _start_from_dct(self) -> None:
        basis = torch.from_numpy(dct_basis(self.M)).float()
        grey = torch.full((1, 3, _PATCH, _PATCH), 0.5)
        linear_a, linear_s, last_a, last_s = cast(
            "tuple[Any, ...]", (self.g_a_linear, self.g_s_linear, self.g_a[-1], self.g_s[-1])
        )
        with torch.no_grad():
            linear_a.weight.copy_(basis * _LINEAR_SCALE)
            linear_a.bias.copy_(-functional.conv2d(grey, linear_a.weight).flatten())
            linear_s.weight.copy_(basis / _LINEAR_SCALE)
            linear_s.bias.fill_(0.5)
            for layer in (last_a, last_s):
                layer.weight.mul_(_NONLINEAR_START)
                layer.bias.zero_()


def dct_basis(channels: int) -> F64:
    """Return the `channels` lowest-frequency 16x16 DCT-II functions in an orthonormal luma-chroma space.

    Float64 [channels, 3, 16, 16], orthonormal. Frequencies rank by u^2 + v^2; those of the two chroma axes
    count four times, for photographs hold little energy there. Raises ValueError beyond 768 channels.
    """
    if not 0 < channels <= 3 * _PATCH * _PATCH:
        raise ValueError(f"M = {channels}: a 16x16 RGB patch has 1 to {3 * _PATCH * _PATCH} basis functions")
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    k, n = np.mgrid[0:_PATCH, 0:_PATCH]
    dct = np.sqrt(2 / _PATCH) * np.cos(np.pi * k * (2 * n + 1) / (2 * _PATCH))
    dct[0] /= np.sqrt(2)
    ranked = sorted(
        ((1 if c == 0 else 4) * (u * u + v * v) + 0.1 * c, c, u, v)
        for c in range(3)
        for u in range(_PATCH)
        for v in range(_PATCH)
    )
    return np.stack([np.einsum("c,i,j->cij", colours[c], dct[u], dct[v]) for _, c, u, v in ranked[:channels]])


def network_from_state_dict(state: Mapping[str, Tensor]) -> MeanScaleHyperprior:
    """Build the network that fits `state` (ours, or CompressAI's mbt2018-mean) and load it, in eval mode.

    Raises WeightsError if tensors are missing, left over, of another shape, or not finite.
    """
    for needed in ("g_a.0.weight", "g_a.6.weight"):
        if needed not in state:
            raise WeightsError(f"no tensor {needed!r}: these are not the weights of a mean-scale hyperprior")
    network = MeanScaleHyperprior(
        state["g_a.0.weight"].shape[0],
        state["g_a.6.weight"].shape[0],
        linear_branch="g_a_linear.weight" in state,
    )
    load_tensors(network, state)
    return network.eval()


def load_tensors(network: MeanScaleHyperprior, state: Mapping[str, Tensor]) -> None:
    """Load `state` into `network`; coding tables that CompressAI keeps in its state dicts are left out.

    Raises WeightsError as `network_from_state_dict` does.
    """
    own = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if not _is_coding_table(name)}
    wanted = {name for name in own if not _is_coding_table(name)}
    if missing := sorted(wanted - given.keys()):
        raise WeightsError(f"weights lack {len(missing)} tensors of the network, {missing[0]!r} first")
    if unknown := sorted(given.keys() - wanted):
        raise WeightsError(
            f"weights hold {len(unknown)} tensors that the network has not, {unknown[0]!r} first"
        )
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(f"{name}: shape {list(tensor.shape)}, the network has {list(own[name].shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{name} holds values that are not finite")
    network.load_state_dict({**own, **{name: tensor.float() for name, tensor in given.items()}})


def trained_state(network: MeanScaleHyperprior) -> dict[str, Tensor]:
    """Return the tensors that training made: the state dict without coding tables and constants."""
    return {name: t.detach() for name, t in network.state_dict().items() if not _is_coding_table(name)}


def _is_coding_table(name: str) -> bool:
    """Tell the buffers that depend on the entropy coder or are constants, not on training."""
    leaf = name.rsplit(".", 1)[-1]
    return leaf in {
        "_offset",
        "_quantized_cdf",
        "_cdf_length",
        "scale_table",
        "scale_bound",
        "bound",
        "pedestal",
        "target",
    }
