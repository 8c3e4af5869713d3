"""A tiny network that codes recognizably: a DCT branch, scales that differ by channel, the rest random."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.model import CodingModel

IDENTITY = "c0ffee" * 10 + "beef"


def tiny_network(seed: int = 0, N: int = 8, M: int = 12) -> MeanScaleHyperprior:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MeanScaleHyperprior(N, M, linear_branch=True).eval()
        with torch.no_grad():
            for layer in (network.h_a[-1], network.h_s[-1]):
                layer.weight.mul_(5.0)
            network.h_s[-1].bias[:M].copy_(torch.linspace(-0.5, 6.0, M))
    return network


def tiny_model(seed: int = 0) -> CodingModel:
    return CodingModel(tiny_network(seed), IDENTITY)


def photograph_like(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth shapes, an edge and some noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in rng.uniform(0.0, 0.15, (3, 3))]
    image = 128 + 60 * np.stack(waves, axis=2) + 30 * ((rows + 2 * columns) % 61 > 30)[:, :, None]
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
