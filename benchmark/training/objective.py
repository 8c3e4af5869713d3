"""What is minimized: bits per pixel + lmbda * 255^2 * MSE, and the stand-ins for quantization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.training.recipe import Proxy

PEAK_SQUARED = 255.0**2


@dataclass(frozen=True)
class RateDistortion:
    """One forward pass: scalars (bits per pixel, mean squared error in 8-bit units) with their graph."""

    bpp: Tensor
    mse: Tensor

    def cost(self, lmbda: float) -> Tensor:
        """Return bpp + lmbda * mse."""
        return self.bpp + lmbda * self.mse


def forward(
    network: MeanScaleHyperprior, x: Tensor, proxy: Proxy | Literal["round"], *, low_precision: bool
) -> RateDistortion:
    """Code `x`, float32 [batch, 3, height, width] in [0, 1], with a stand-in for quantization.

    noise: uniform noise for rate and distortion (Balle et al. 2017); ste: rounding with a straight-through
    gradient for both; mixed: noise for the rate, ste for the distortion (Minnen and Singh 2020);
    round: true rounding, no gradient through it. Networks run in bfloat16 under `low_precision`, the
    entropy models in float32 always.
    """
    autocast = torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=low_precision)
    with autocast:
        y = network.analysis(x)
        z = network.hyper_analysis(y)
    noisy_rate = proxy in ("noise", "mixed")
    z_noisy, z_likelihood = network.entropy_bottleneck(z, training=noisy_rate)
    medians = network.entropy_bottleneck.quantiles[:, 0, 1].detach().view(1, -1, 1, 1)
    z_hat = z_noisy if proxy in ("noise", "round") else _straight_through(z, medians)
    if proxy == "ste":
        z_likelihood = _factorized_likelihood(network, z_hat)
    with autocast:
        mu, sigma = network.hyper_synthesis(z_hat)
    y_noisy, y_likelihood = network.gaussian_conditional(y, sigma, mu, training=noisy_rate)
    y_hat = y_noisy if proxy in ("noise", "round") else _straight_through(y, mu)
    if proxy == "ste":
        likelihood = network.gaussian_conditional._likelihood(y_hat, sigma, mu)
        y_likelihood = network.gaussian_conditional.likelihood_lower_bound(likelihood)
    with autocast:
        x_hat = network.synthesis(y_hat)
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    bits = -(y_likelihood.log2().sum() + z_likelihood.log2().sum())
    return RateDistortion(bits / pixels, (x_hat - x).square().mean() * PEAK_SQUARED)


def _straight_through(x: Tensor, offset: Tensor) -> Tensor:
    rounded = torch.round(x.detach() - offset.detach()) + offset
    return rounded + (x - offset) - (x - offset).detach()


def _factorized_likelihood(network: MeanScaleHyperprior, z_hat: Tensor) -> Tensor:
    bottleneck = network.entropy_bottleneck
    channels = z_hat.transpose(0, 1)
    likelihood, _, _ = bottleneck._likelihood(channels.reshape(network.N, 1, -1))
    likelihood = bottleneck.likelihood_lower_bound(likelihood)
    return cast(Tensor, likelihood.reshape(channels.shape).transpose(0, 1))


def validate(
    network: MeanScaleHyperprior, crops: Sequence[Tensor], lmbda: float, *, low_precision: bool
) -> dict[str, float]:
    """Return mean bpp (entropy estimate), psnr and cost over the held-out crops, truly rounded.

    The medians of the hyper-latents' densities, about which they are rounded, are brought up to date first.
    """
    network.eval()
    network.entropy_bottleneck._update_quantiles()
    with torch.no_grad():
        results = [forward(network, x, "round", low_precision=low_precision) for x in crops]
    network.train()
    return mean_quality(results, lmbda)


def mean_quality(results: Sequence[RateDistortion], lmbda: float) -> dict[str, float]:
    """Return the means over images of bpp, of psnr and of cost."""
    bpp = torch.stack([result.bpp for result in results])
    mse = torch.stack([result.mse for result in results])
    psnr = 10 * torch.log10(PEAK_SQUARED / mse)
    return {"bpp": float(bpp.mean()), "psnr": float(psnr.mean()), "cost": float((bpp + lmbda * mse).mean())}
