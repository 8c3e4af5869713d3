"""A tiny network that codes recognizably: a DCT branch, scales that differ by channel, the rest random."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.coding.indices import IndexCoder
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers.trellis import Trellis
from benchmark.learned.weights import load_model, shipped_folder

NNCODEC8 = Trellis(
    np.array([(0, 2), (7, 5), (1, 3), (6, 4), (2, 0), (5, 7), (3, 1), (4, 6)], np.uint8),
    np.array([0, 1] * 4, np.uint8),
)
"""The eight states of NNCodec: a machine that the search has no straight code for."""

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


def shipped_network(variant: str) -> Architecture:
    """Return a network of the package, at lmbda 0.013."""
    return load_model(variant, 0.013, shipped_folder())[0]


def photograph_like(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth shapes, an edge and some noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in rng.uniform(0.0, 0.15, (3, 3))]
    image = 128 + 60 * np.stack(waves, axis=2) + 30 * ((rows + 2 * columns) % 61 > 30)[:, :, None]
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def decoded(coder: IndexCoder, stream: bytes, scale_index: NDArray[np.uint8], seed: int) -> NDArray[np.int32]:
    """Read a stream of one step to its end."""
    reader = coder.read(stream)
    indices = reader.step(scale_index)
    reader.finish(seed)
    return indices
