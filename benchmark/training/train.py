"""Step 1: train the whole network end to end; a flat loop, from the first line of a training to its last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.errors import WeightsError
from benchmark.learned.architectures.base import Architecture, Decoded
from benchmark.learned.architectures.loading import build, described, load_tensors
from benchmark.training.data import RandomCrops, load_for_training, load_held_out, split_photographs
from benchmark.training.objective import encode, forward, quantize, validate
from benchmark.training.provenance import describe
from benchmark.training.rates import Rates
from benchmark.training.recipe import TrainRecipe
from benchmark.training.rules import PROXIES, ROUND
from benchmark.training.run import CourseObserver, Run
from benchmark.training.sources import Source

GROWTH_BATCHES = 250
"""Of the crops of a recipe: with four of 192 pixels 144,000 patches, for 961 regressors."""
GROWTH_SPAN = 2.4
"""What is left over at the highest rates matters: those within this factor of the highest lmbda."""


def train(
    recipe: TrainRecipe,
    data: Path,
    out: Path,
    *,
    start: Source | None = None,
    device: str = "cpu",
    progress: CourseObserver | None = None,
) -> Path:
    """Train by `recipe` on the photographs under `data`; return the path of the final checkpoint in `out`.

    `out`/last.safetensors is rewritten every `save_every` steps; the same call resumes from it, on a CPU bit
    for bit with the same machine and number of threads. `start` is a trained model to begin from; if its
    lmbda differs, its latents are rescaled; if the recipe's network only extends its network, that is grown.
    Raises TrainingError for data that cannot be used, for a folder that holds another training, and when the
    loss is not finite: the checkpoint stays as it was then.
    """
    split = split_photographs(data)
    torch.manual_seed(recipe.seed)
    images = load_for_training(split.train, recipe.crop)
    crops = RandomCrops(
        images, recipe.crop, recipe.batch, recipe.seed, share=recipe.share, turned=recipe.turned
    )
    network = build(recipe.description_of_network)
    if start is not None:
        begin(network, start, crops)
        network.rescale_latents(math.sqrt(recipe.lmbda / start.lmbda))
    about = describe(recipe, split, start, {}, device=device, network=described(network))
    run = Run(out, network, recipe, about, trained=[""], device=device)

    rates = Rates(network, recipe)
    held_out = load_held_out(split.held_out, device, network.image_multiple)
    rule = PROXIES[recipe.proxy]
    low_precision = recipe.precision == "bf16"
    check = partial(validate, network, held_out, rates.validated(), low_precision=low_precision)

    while run.unfinished:
        run.begin_step()
        x = crops.batch(run.course.step).to(device)
        lmbdas = rates.of_step(run.course.step)
        result = forward(network.at(lmbdas), x, rule, low_precision=low_precision)
        run.descend(result.cost(lmbdas.to(device), rates.weights(lmbdas).to(device)), result)
        run.record(check, progress)
    return run.last


def begin(network: Architecture, start: Source, crops: RandomCrops) -> None:
    """Set the network's tensors: those of `start`, or, where it only extends that, grown from it.

    Raises WeightsError where it is another network.
    """
    trained = start.network()
    if network.extends(trained):
        network.grow_from(trained, decoded(trained, crops))
        return
    try:
        load_tensors(network, start.state)
    except WeightsError as error:
        raise WeightsError(
            f"--from {start.name} is not the network of the recipe ({_in_words(described(network))}): "
            f"{error}; give a recipe with its values"
        ) from error


@torch.no_grad()
def decoded(trained: Architecture, crops: RandomCrops, batches: int = GROWTH_BATCHES) -> Iterator[Decoded]:
    """Yield batches of crops, each image truly rounded and decoded at a rate near the network's highest."""
    lowest, highest = trained.lmbda_range or (1.0, 1.0)
    rng = np.random.default_rng(0)
    for number in range(batches):
        x = crops.batch(number)
        lmbdas = highest * GROWTH_SPAN ** (rng.random(len(x)) - 1)
        bound = trained.at(torch.from_numpy(lmbdas.clip(min=lowest).astype(np.float32)))
        latents = encode(bound, x, ROUND, low_precision=False)
        y_hat, _ = quantize(bound, latents, ROUND, low_precision=False)
        yield bound, x, bound.synthesis(y_hat)


def _in_words(description: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in description.items())
