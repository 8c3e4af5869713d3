"""Refinement of one image's latents at the encoder: bits and distortion lowered by gradients, image by image.

The encoder network gives latents that are good on average; here they are moved for the image at hand, the
decoder unchanged (Campos et al. 2019, "Content adaptive optimization for neural image compression"). While
they move, each is rounded up or down at random, by odds that grow sharper from step to step, so that the
choice that pays in bits and picture is found: stochastic Gumbel annealing (Yang et al. 2020, "Improving
inference for neural image compression", section 3.2). The true quantizer comes last, and is the encoder's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.arrays import F32, F64, U8
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.exact.strips import workers

_LEARNING_RATE = 5e-3
"""Of Adam, in steps of the quantizer; chosen on held-out photographs (tests/perf/refinement.py)."""
_FALL = 0.3
"""The share of the steps in which the learning rate falls, linearly, to zero."""
_HOT, _COLD = 0.5, 0.1
"""The temperature at the first and at the last step, falling by the same factor each."""
_SEED = 1
_EDGE = 1e-5
_PEAK_SQUARED = 255.0**2


@dataclass(frozen=True)
class Refinement:
    """How the latents of an image are refined: the number of steps, and the slope that they go down."""

    steps: int
    lmbda: float


def refine(network: Architecture, image: U8, y: Tensor, z_hat: F64 | None, how: Refinement) -> F32:
    """Return latents, float32 [M, rows, columns], with less bits / pixels + lmbda * 255^2 * MSE.

    `image` is uint8 [height, width, 3], y its latents, float32 [1, M, rows, columns], z_hat its hyper-latents
    as the decoder has them, [N, ...]. `network` must need no gradients of its own. Memory and time are those
    of as many steps of training on the image. On one machine the result is always the same.
    """
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float().div(255)
    height, width = image.shape[:2]
    known_z = None if z_hat is None else torch.from_numpy(z_hat.astype(np.float32))[None]
    moving = y.clone().requires_grad_()
    adam = torch.optim.Adam([moving], lr=_LEARNING_RATE)
    random = torch.Generator().manual_seed(_SEED)
    with workers():  # one thread: sums round alike on any number of cores
        for step in range(how.steps):
            adam.param_groups[0]["lr"] = _LEARNING_RATE * min(1.0, (1 - step / how.steps) / _FALL)
            temperature = _HOT * (_COLD / _HOT) ** (step / how.steps)
            bits, y_hat = _annealed(network, moving, known_z, temperature, random)
            error = network.synthesis(y_hat)[:, :, :height, :width] - x
            cost = bits / (height * width) + how.lmbda * _PEAK_SQUARED * error.square().mean()
            (moving.grad,) = torch.autograd.grad(cost, [moving])
            adam.step()
    return moving.detach()[0].numpy()


def _annealed(
    network: Architecture, y: Tensor, z_hat: Tensor | None, temperature: float, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the bits and y_hat, [1, M, rows, columns], of latents rounded at random; both have gradients."""
    prior, model = network.prior(z_hat, y), network.gaussian_conditional
    y_hat, bits = torch.zeros_like(y), y.new_zeros(())
    for number, step in enumerate(network.steps):
        mu, sigma = prior.params(number, y_hat)
        rows = mu + _soft_round(step.gather(y) - mu, temperature, random)
        likelihood = model.likelihood_lower_bound(model._likelihood(rows, sigma, mu))
        bits = bits - likelihood.log2().sum()
        y_hat = step.placed(rows, y_hat)
    return bits, y_hat


def _soft_round(r: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    """Return r between floor(r) and floor(r) + 1, a sample of the two by odds that favour the nearer one.

    The odds of each are exp(-atanh(its distance) / temperature), and the sample is the softmax of their
    logarithms with Gumbel noise, at the same temperature.
    """
    floor = torch.floor(r.detach())
    up = (r - floor).clamp(_EDGE, 1 - _EDGE)
    uniform = torch.rand(r.shape, generator=random).clamp_(_EDGE, 1 - _EDGE)
    noise = torch.log(uniform) - torch.log1p(-uniform)  # the difference of two Gumbel variables
    odds = (torch.atanh(up) - torch.atanh(1 - up)) / temperature
    return floor + torch.sigmoid((odds + noise) / temperature)
