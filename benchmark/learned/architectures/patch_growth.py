"""Further channel groups for a trained `patch` network, which begin with what the trained ones leave over.

A network of M latents for each 16x16 patch of 768 samples cannot say all that a patch holds: beyond a rate
its curve bends. The new latents are found in closed form, by reduced-rank regression (Izenman 1975): of all
linear functions of the encoder's features and of the patch, those that predict the decoder's residual best,
with the directions of the residual that they predict. Nothing that the trained network computes changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.learned.architectures.layers import PATCH

Sample = tuple[Tensor, Tensor, Tensor]
"""Features [batch, channels, h, w] before the last layer of g_a, images and decoded images, in [0, 1]."""
_RIDGE = 1e-4
"""Of the mean square of the regressors."""
_UNIT = 6.0
"""Latents are this many times the coefficients of an orthonormal basis: steps of about 1 at lmbda 0.013."""
PATCH_SAMPLES = 3 * PATCH * PATCH


@dataclass(frozen=True)
class NewLatents:
    """Latents as linear functions, float64: `directions` [768, n] that they decode to, `from_features`
    [features, n], `from_patch` [768, n] and `bias` [n] of the encoder, and their standard deviations [n].
    """

    directions: Tensor
    from_features: Tensor
    from_patch: Tensor
    bias: Tensor
    scales: Tensor


@torch.no_grad()
def take_over(wider: nn.Module, trained: nn.Module) -> None:
    """Copy the trained tensors; where one has a dimension of all latents, its further part becomes zero."""
    state = trained.state_dict()
    for name, tensor in wider.state_dict().items():
        if name in state and tensor.shape == state[name].shape:
            tensor.copy_(state[name])
        elif name in state:
            tensor.zero_()
            tensor[tuple(slice(0, n) for n in state[name].shape)] = state[name]


def regression(samples: Iterable[Sample], count: int) -> NewLatents:
    """Return `count` new latents, those with the largest part of the residual first."""
    squares = products = torch.zeros((), dtype=torch.float64)
    patches = 0
    for features, x, x_hat in samples:
        regressors = _regressors(features, x)
        squares = squares + regressors.T @ regressors
        products = products + regressors.T @ _patches(x - x_hat).double()
        patches += len(regressors)
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=torch.float64)
    weights = torch.linalg.solve(squares + ridge, products)
    predicted = weights.T @ (squares / patches) @ weights
    energies, vectors = torch.linalg.eigh(predicted)
    directions = vectors.flip(1)[:, :count]
    encoder = weights @ directions * _UNIT
    features, patch = encoder[: -PATCH_SAMPLES - 1], encoder[-PATCH_SAMPLES - 1 : -1]
    return NewLatents(
        directions / _UNIT,
        features,
        patch,
        encoder[-1] - patch.sum(0) / 2,  # patches were taken less grey
        energies.flip(0)[:count].clamp(min=0).sqrt() * _UNIT,
    )


def _regressors(features: Tensor, x: Tensor) -> Tensor:
    """Return float64 [patches, features + 768 + 1]: what a latent may be a linear function of."""
    rows = features.permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([rows, _patches(x).double() - 0.5, rows.new_ones(len(rows), 1)], 1)


def _patches(x: Tensor) -> Tensor:
    """Return the patches as rows, [patches, 768], row by row of each image."""
    return functional.unfold(x, PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1)
