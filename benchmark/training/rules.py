"""What stands for quantization in a forward pass: noise, a straight-through gradient, or the real thing."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.layers import Bottleneck
from benchmark.training.coding import BatchQuantizer


class Rule(Protocol):
    """How hyper-latents and latents are quantized in a forward pass, and what they cost."""

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_hat, shaped like z, and its bits, [batch]."""

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y_hat and its bits, [batch], of one step: the rest is [batch, channels, length]."""


class Noise:
    """Uniform noise for rate and distortion (Balle et al. 2017)."""

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z with noise, and its bits."""
        z_noisy, likelihood = bottleneck(z, training=True)
        return z_noisy, _bits(likelihood)

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y with noise, and its bits."""
        y_noisy, likelihood = network.gaussian_conditional(y, sigma, mu, training=True)
        return y_noisy, _bits(likelihood)


class Mixed:
    """Noise for the rate, rounding with a straight-through gradient for the distortion (Minnen 2020)."""

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z rounded, and the bits of z with noise."""
        _, bits = NOISE.hyper(bottleneck, z)
        return _straight_through(z, _medians(bottleneck)), bits

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y rounded, and the bits of y with noise."""
        _, bits = NOISE.latents(network, y, mu, sigma)
        return _straight_through(y, mu), bits


class StraightThrough:
    """Rounding with a straight-through gradient for rate and distortion."""

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z rounded, and its bits."""
        z_hat = _straight_through(z, _medians(bottleneck))
        return z_hat, _bits(bottleneck.likelihood(z_hat))

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y rounded, and its bits."""
        y_hat = _straight_through(y, mu)
        likelihood = network.gaussian_conditional._likelihood(y_hat, sigma, mu)
        return y_hat, _bits(network.gaussian_conditional.likelihood_lower_bound(likelihood))


class Round:
    """True rounding, with no gradient through it: what an encoder without a search does."""

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z rounded, and its bits."""
        z_hat, likelihood = bottleneck(z, training=False)
        return z_hat, _bits(likelihood)

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y rounded, and its bits."""
        y_hat, likelihood = network.gaussian_conditional(y, sigma, mu, training=False)
        return y_hat, _bits(likelihood)


class Quantized:
    """A quantizer of the codecs in the loop, trellis included; hyper-latents are rounded."""

    def __init__(self, quantizer: BatchQuantizer) -> None:
        self._quantizer = quantizer

    def hyper(self, bottleneck: Bottleneck, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z rounded, and its bits."""
        return ROUND.hyper(bottleneck, z)

    def latents(self, network: Architecture, y: Tensor, mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return y as the decoder gets it, and the bits of the entropy coder's tables."""
        bounded = network.gaussian_conditional.lower_bound_scale(sigma)  # unlike clamp, its gradient can rise
        return self._quantizer(y, mu, bounded)


NOISE, MIXED, STRAIGHT_THROUGH, ROUND = Noise(), Mixed(), StraightThrough(), Round()

PROXIES: dict[str, Rule] = {"noise": NOISE, "ste": STRAIGHT_THROUGH, "mixed": MIXED}
"""What a recipe may train with, by name."""


def _bits(likelihood: Tensor) -> Tensor:
    return -likelihood.log2().flatten(1).sum(1)


def _medians(bottleneck: Bottleneck) -> Tensor:
    return cast(Tensor, bottleneck.quantiles[:, 0, 1].detach().view(1, -1, 1, 1))


def _straight_through(x: Tensor, offset: Tensor) -> Tensor:
    rounded = torch.round(x.detach() - offset.detach()) + offset
    return rounded + (x - offset) - (x - offset).detach()
