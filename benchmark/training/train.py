"""Step 1: train the whole network end to end; a flat loop, from the first line of a run to its last."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import TrainingError
from benchmark.learned.network import MeanScaleHyperprior, load_tensors
from benchmark.training.checkpoint import Course, read_checkpoint, restore_optimizer, save_checkpoint
from benchmark.training.data import RandomCrops, load_clean, load_for_training, split_photographs
from benchmark.training.objective import centre_crops, forward, validate
from benchmark.training.provenance import describe
from benchmark.training.recipe import TrainRecipe

LOG_EVERY, SAVE_EVERY, VALIDATE_EVERY = 50, 500, 1000
VALIDATION_CROP = 256

Progress = Callable[[Course, int], None]
"""Called after each logged window with the course so far and the number of steps in all."""


def train(
    recipe: TrainRecipe,
    data: Path,
    out: Path,
    *,
    start: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Train by `recipe` on the photographs under `data`; return the path of the final checkpoint in `out`.

    `out`/last.safetensors is rewritten every 500 steps; the same call goes on from it, bit for bit on the
    same machine with the same number of threads. `start` is the checkpoint of a trained model to begin
    from; if its lmbda differs, its latents are rescaled. Raises TrainingError for data that cannot be used,
    for a folder that holds another training, and when the loss is not finite: the checkpoint stays as it was.
    """
    out.mkdir(parents=True, exist_ok=True)
    last = out / "last.safetensors"
    split = split_photographs(data)
    about = describe(recipe, split, start)

    torch.manual_seed(recipe.seed)
    network = MeanScaleHyperprior(recipe.N, recipe.M, linear_branch=recipe.linear_branch)
    course, adam = Course(), dict[str, Tensor]()
    if last.exists():
        state, adam, course, found = read_checkpoint(last)
        if found["identity"] != about["identity"]:
            raise TrainingError(
                f"{last} is of another recipe, data or start; give another --out or delete it"
            )
        network.load_state_dict(state)
    elif start is not None:
        state, _, _, origin = read_checkpoint(start)
        load_tensors(network, state)
        network.rescale_latents(math.sqrt(recipe.lmbda / origin["recipe"]["lmbda"]))
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    trainable = [p for name, p in network.named_parameters() if not name.endswith("quantiles")]
    optimizer = torch.optim.Adam(trainable, lr=recipe.learning_rate, fused=True)
    restore_optimizer(optimizer, network, adam)

    crops = RandomCrops(load_for_training(split.train, recipe.crop), recipe.crop, recipe.batch, recipe.seed)
    held_out = centre_crops([load_clean(p, VALIDATION_CROP) for p in split.held_out], VALIDATION_CROP)
    held_out = [x.to(device) for x in held_out]
    low_precision = recipe.precision == "bf16"
    window = torch.zeros(3)
    started = time.monotonic() - course.seconds

    while course.step < recipe.steps:
        learning_rate = recipe.learning_rate_at(course.step)
        optimizer.param_groups[0]["lr"] = learning_rate
        torch.manual_seed(hash((recipe.seed, course.step)))  # the proxy's noise: a function of the step alone
        x = crops.batch(course.step).to(device)

        result = forward(network, x, recipe.proxy, low_precision=low_precision)
        loss = result.cost(recipe.lmbda)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(trainable, recipe.clip_norm)
        if not math.isfinite(loss.item() + norm.item()):
            raise TrainingError(
                f"step {course.step}: the loss is {loss.item()}, the gradient's norm {norm.item()}; "
                f"{last if last.exists() else 'nothing'} is kept as it was; lower learning_rate or clip_norm"
            )
        optimizer.step()
        optimizer.zero_grad()

        course.step += 1
        window += torch.tensor([loss.item(), result.bpp.item(), result.mse.item()])
        finished = course.step == recipe.steps
        if course.step % LOG_EVERY == 0 or finished:
            count = (course.step - 1) % LOG_EVERY + 1
            mean_loss, bpp, mse = (window / count).tolist()
            entry = {"step": course.step, "loss": mean_loss, "bpp": bpp, "mse": mse, "norm": norm.item()}
            course.losses.append({**entry, "learning_rate": learning_rate})
            course.seconds = time.monotonic() - started
            window.zero_()
        if course.step % VALIDATE_EVERY == 0 or finished:
            quality = validate(network, held_out, recipe.lmbda, low_precision=low_precision)
            course.validations.append({"step": course.step, **quality})
        if progress is not None and (course.step % LOG_EVERY == 0 or finished):
            progress(course, recipe.steps)
        if course.step % SAVE_EVERY == 0 or finished:
            save_checkpoint(last, network, optimizer, course, about)
    return last
