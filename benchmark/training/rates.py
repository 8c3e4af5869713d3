"""Which lmbda each image of a batch is trained for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.learned.architectures.base import Architecture
from benchmark.training.recipe import Schedule


class Rates:
    """The recipe's lmbda for every image; or, for a variable-rate network, one drawn for each.

    Drawn lmbdas are uniform in their logarithm over the network's range, one from each of equal parts of it.
    Costs at high rates are large: they are weighted by sqrt(recipe's lmbda / lmbda), which makes them alike.
    """

    def __init__(self, network: Architecture, recipe: Schedule) -> None:
        self._network, self._recipe = network, recipe

    def of_step(self, step: int) -> Tensor:
        """Return the lmbdas of a step's batch, float32 [batch]: a function of seed and step."""
        span, batch = self._network.lmbda_range, self._recipe.batch
        if span is None:
            return torch.full((batch,), self._recipe.lmbda)
        places = (
            np.arange(batch) + np.random.default_rng([self._recipe.seed, step, 1]).random(batch)
        ) / batch
        low, high = np.log(span)
        return torch.from_numpy(np.exp(low + (high - low) * places).clip(*span).astype(np.float32))

    def weights(self, lmbdas: Tensor) -> Tensor:
        """Return the weight of each image's cost, float32 [batch]; 1 for a network of one rate."""
        return (self._recipe.lmbda / lmbdas).sqrt()

    def validated(self) -> tuple[float, ...]:
        """Return the lmbdas at which held-out photographs are coded."""
        span = self._network.lmbda_range
        return (self._recipe.lmbda,) if span is None else (span[0], self._recipe.lmbda, span[1])
