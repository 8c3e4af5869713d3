"""Step 1: train the whole network end to end; a flat loop, from the first line of a training to its last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import WeightsError
from benchmark.learned.architectures.loading import build, described, load_tensors
from benchmark.training.data import RandomCrops, load_for_training, load_held_out, split_photographs
from benchmark.training.objective import forward, validate
from benchmark.training.provenance import describe
from benchmark.training.rates import Rates
from benchmark.training.recipe import TrainRecipe
from benchmark.training.rules import PROXIES
from benchmark.training.run import CourseObserver, Run
from benchmark.training.sources import Source


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
    lmbda differs, its latents are rescaled. Raises TrainingError for data that cannot be used, for a folder
    that holds another training, and when the loss is not finite: the checkpoint stays as it was then.
    """
    split = split_photographs(data)
    torch.manual_seed(recipe.seed)
    network = build(recipe.description_of_network)
    if start is not None:
        try:
            load_tensors(network, start.state)
        except WeightsError as error:
            raise WeightsError(
                f"--from {start.name} is not the network of the recipe ({_in_words(described(network))}): "
                f"{error}; give a recipe with its values"
            ) from error
        network.rescale_latents(math.sqrt(recipe.lmbda / start.lmbda))
    about = describe(recipe, split, start, {}, device=device, network=described(network))
    run = Run(out, network, recipe, about, trained=[""], device=device)

    images = load_for_training(split.train, recipe.crop)
    crops = RandomCrops(
        images, recipe.crop, recipe.batch, recipe.seed, share=recipe.share, turned=recipe.turned
    )
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


def _in_words(description: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in description.items())
