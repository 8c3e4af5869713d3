"""What is minimized, bits per pixel + lmbda * 255^2 * MSE, by one forward pass for every kind of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.learned.architectures.base import Architecture
from benchmark.training.rules import ROUND, Rule

PEAK_SQUARED = 255.0**2


@dataclass(frozen=True)
class RateDistortion:
    """One forward pass: bits per pixel and mean squared error in 8-bit units, [batch], with their graph."""

    bpp: Tensor
    mse: Tensor

    def cost(self, lmbda: float | Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """Return the mean over the batch of weight * (bpp + lmbda * mse)."""
        return (weight * (self.bpp + lmbda * self.mse)).mean()

    def distortion(self, lmbda: float | Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """Return the mean over the batch of weight * lmbda * mse: the cost where the bits cannot change."""
        return (weight * lmbda * self.mse).mean()


@dataclass(frozen=True)
class Latents:
    """What an encoder gives of a batch: y, z_hat by a rule (None without hyper-latents), its bits [batch]."""

    y: Tensor
    z_hat: Tensor | None
    z_bits: Tensor


def encode(network: Architecture, x: Tensor, rule: Rule, *, low_precision: bool) -> Latents:
    """Return the latents of x, float32 [batch, 3, height, width] in [0, 1]."""
    with _autocast(x, low_precision):
        y = network.analysis(x)
        z = network.hyper_analysis(y)
    if z is None or network.entropy_bottleneck is None:
        return Latents(y, None, y.new_zeros(len(y)))
    return Latents(y, *rule.hyper(network.entropy_bottleneck, z))


def decode(
    network: Architecture, x: Tensor, latents: Latents, rule: Rule, *, low_precision: bool
) -> RateDistortion:
    """Quantize latents by `rule`, step by step, decode them, and compare with x.

    Networks run in bfloat16 under `low_precision`, the entropy models in float32 always. What a step gives
    is what the parameters of the steps after it see.
    """
    y_hat, bits = quantize(network, latents, rule, low_precision=low_precision)
    with _autocast(x, low_precision):
        x_hat = network.synthesis(y_hat)
    squared_error = (x_hat - x).square().flatten(1).mean(1)
    return RateDistortion(bits / (x.shape[2] * x.shape[3]), squared_error * PEAK_SQUARED)


def quantize(
    network: Architecture, latents: Latents, rule: Rule, *, low_precision: bool
) -> tuple[Tensor, Tensor]:
    """Return y_hat, shaped like y, and all bits, [batch]."""
    y = latents.y
    with _autocast(y, low_precision):
        prior = network.prior(latents.z_hat, y)
    y_hat, bits = torch.zeros_like(y), latents.z_bits
    for number, step in enumerate(network.steps):
        with _autocast(y, low_precision):
            mu, sigma = prior.params(number, y_hat)
        rows, step_bits = rule.latents(network, step.gather(y), mu, sigma)
        y_hat, bits = step.placed(rows, y_hat), bits + step_bits
    return y_hat, bits


def forward(network: Architecture, x: Tensor, rule: Rule, *, low_precision: bool) -> RateDistortion:
    """Code x, float32 [batch, 3, height, width] in [0, 1], with `rule` in the place of quantization."""
    latents = encode(network, x, rule, low_precision=low_precision)
    return decode(network, x, latents, rule, low_precision=low_precision)


def validate(
    network: Architecture, crops: Sequence[Tensor], lmbdas: Sequence[float], *, low_precision: bool
) -> dict[str, float]:
    """Return mean bpp (entropy estimate), psnr and cost over lmbdas and held-out crops, truly rounded.

    The medians of the hyper-latents' densities, about which they are rounded, are brought up to date first.
    """
    network.eval()
    if network.entropy_bottleneck is not None:
        network.entropy_bottleneck._update_quantiles()
    found = validate_by(network, crops, lmbdas, lambda lmbda: ROUND, low_precision=low_precision)
    network.train()
    return found


def validate_by(
    network: Architecture,
    crops: Sequence[Tensor],
    lmbdas: Sequence[float],
    rule_at: Callable[[float], Rule],
    *,
    low_precision: bool,
) -> dict[str, float]:
    """Return mean bpp (by the rule of each lmbda), psnr and cost over lmbdas and held-out crops."""
    qualities = []
    with torch.no_grad():
        for lmbda in lmbdas:
            bound, rule = network.at(lmbda), rule_at(lmbda)
            results = [forward(bound, x, rule, low_precision=low_precision) for x in crops]
            qualities.append(mean_quality(results, lmbda))
    return {name: sum(q[name] for q in qualities) / len(qualities) for name in qualities[0]}


def mean_quality(results: Sequence[RateDistortion], lmbda: float) -> dict[str, float]:
    """Return the means over images of bpp, of psnr and of cost."""
    bpp = torch.cat([result.bpp for result in results])
    mse = torch.cat([result.mse for result in results])
    psnr = 10 * torch.log10(PEAK_SQUARED / mse)
    return {"bpp": float(bpp.mean()), "psnr": float(psnr.mean()), "cost": float((bpp + lmbda * mse).mean())}


def _autocast(x: Tensor, low_precision: bool) -> torch.autocast:
    return torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=low_precision)
