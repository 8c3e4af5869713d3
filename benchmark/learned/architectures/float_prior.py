"""The prior in the network's own arithmetic, where exact arithmetic has no such layers."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.arrays import F32, F64, U8
from benchmark.learned.architectures.base import Architecture, ExactParams
from benchmark.learned.exact.grid import scale_indices
from benchmark.learned.exact.strips import workers


class FloatPrior:
    """Means and scales in float32 on one thread: the same bits on one machine, not on every one.

    Streams made with it may be unreadable elsewhere. Their checksum, which is of the decoded indices, then
    refuses them.
    """

    def __init__(self, network: Architecture) -> None:
        self._network = network

    @torch.inference_mode()
    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return the parameters of one image (see `ExactPrior`)."""
        known = None if z_hat is None else torch.from_numpy(z_hat.astype(np.float32))[None]
        with workers():
            prior = self._network.prior(known, torch.zeros(1, self._network.steps[-1].last, rows, columns))

        def params(step: int, y_hat: F32) -> tuple[F32, U8]:
            with workers(), torch.inference_mode():
                mu, sigma = prior.params(step, torch.from_numpy(y_hat)[None])
            return mu[0].float().numpy(), scale_indices(sigma[0].double().numpy())

        return params
