"""Step 2: retrain the decoder on truly quantized latents (arXiv 2506.08662); the encoder stays as it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import CodecError, TrainingError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.loading import described
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.training.coding import loop_quantizer
from benchmark.training.data import RandomCrops, load_for_training, load_held_out, split_photographs
from benchmark.training.objective import decode, encode, validate_by
from benchmark.training.provenance import describe
from benchmark.training.rates import Rates
from benchmark.training.recipe import FinetuneRecipe, check_crop
from benchmark.training.rules import PROXIES, Quantized, Rule
from benchmark.training.run import CourseObserver, Run
from benchmark.training.sources import Source


def finetune(
    recipe: FinetuneRecipe,
    start: Source,
    data: Path,
    out: Path,
    *,
    device: str = "cpu",
    progress: CourseObserver | None = None,
) -> Path:
    """Finetune the model `start` by `recipe`; return the path of the final checkpoint in `out`.

    With a proxy of step 1 for a quantizer latents are not quantized but disturbed as there, all else equal:
    the control that tells the gain of true quantization from the gain of more training. Settings of the
    quantizer are the recipe's, else the calibrated ones of `start`, else the quantizer's own. When h_s
    stays, so do the bits, and the loss is the distortion alone. Restarts and errors are those of `train`.
    """
    if abs(recipe.lmbda - start.lmbda) > 1e-9:
        raise TrainingError(
            f"{start.name} is of lmbda {start.lmbda:g}, the recipe says {recipe.lmbda:g}; remove it there"
        )
    network = start.network()
    try:
        check_crop(recipe.crop, network.image_multiple)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    split = split_photographs(data)
    settings = settings_for(recipe, start)
    in_loop = {} if settings is None else {recipe.quantizer: settings}
    about = describe(recipe, split, start, in_loop, device=device, network=described(network))
    about["base_variant"] = base_variant(start)
    run = Run(out, network, recipe, about, trained=trained_tensors(recipe.parts, network), device=device)
    judged = settings or CalibratedSettings({start.lmbda: get_quantizer("scalar").default_settings()})

    def judge(lmbda: float) -> Rule:
        name = recipe.quantizer if settings else "scalar"
        return Quantized(loop_quantizer(name, [judged.at(lmbda)]))

    def rule_of(lmbdas: Tensor) -> Rule:
        if settings is None:
            return PROXIES[recipe.quantizer]
        return Quantized(loop_quantizer(recipe.quantizer, [settings.at(lmbda) for lmbda in lmbdas.tolist()]))

    images = load_for_training(split.train, recipe.crop)
    crops = RandomCrops(
        images, recipe.crop, recipe.batch, recipe.seed, share=recipe.share, turned=recipe.turned
    )
    rates = Rates(network, recipe)
    held_out = load_held_out(split.held_out, device, network.image_multiple)
    low_precision = recipe.precision == "bf16"
    check = partial(validate_by, network, held_out, rates.validated(), judge, low_precision=low_precision)
    rate_moves = moves_rate(recipe.parts, network)

    run.validate_start(check)
    while run.unfinished:
        run.begin_step()
        x = crops.batch(run.course.step).to(device)
        lmbdas = rates.of_step(run.course.step)
        bound, rule = network.at(lmbdas), rule_of(lmbdas)
        with torch.no_grad():
            latents = encode(bound, x, rule, low_precision=low_precision)
        with run.stopping_at(CodecError):  # latents beyond what the encoder takes: the prior has diverged
            result = decode(bound, x, latents, rule, low_precision=low_precision)
        cost = result.cost if rate_moves else result.distortion
        run.descend(cost(lmbdas.to(device), rates.weights(lmbdas).to(device)), result)
        run.record(check, progress)
    return run.last


def base_variant(start: Source) -> str | None:
    """Return the variant, its weights file whole, from which `start`'s successors may hold differences."""
    if start.info is None:
        return None
    return start.info.base.partition("/")[0] if start.info.base else start.info.variant


def trained_tensors(parts: str, network: Architecture) -> list[str]:
    """Return the names of the tensors that `parts` means: parts of the architecture, or single layers.

    Raises TrainingError for a layer that does not exist, has no parameters or is in no part.
    """
    names = [name for name, _ in network.named_parameters()]
    whole = tuple(prefix for part in network.parts.values() for prefix in part.prefixes)
    chosen: list[str] = []
    for wanted in parts.split("+"):
        known = network.parts.get(wanted)
        prefixes = known.prefixes if known else (f"{wanted}.",)
        found = [name for name in names if name.startswith(prefixes) and name.startswith(whole)]
        if not found:
            layers = sorted({name.rpartition(".")[0] for name in names if name.startswith(whole)})
            raise TrainingError(
                f"--parts {wanted}: no such layer; there are {', '.join([*network.parts, *layers])}"
            )
        chosen += found
    return chosen


def moves_rate(parts: str, network: Architecture) -> bool:
    """Tell whether the bits change when `parts` are retrained."""
    chosen = trained_tensors(parts, network)
    return any(
        name.startswith(part.prefixes)
        for part in network.parts.values()
        if part.moves_rate
        for name in chosen
    )


def settings_for(recipe: FinetuneRecipe, start: Source) -> CalibratedSettings | None:
    """Return the recipe's settings, else the model's calibrated, else the quantizer's own; None: a proxy."""
    if recipe.quantizer in PROXIES:
        return None
    calibrated = start.info.settings.get(recipe.quantizer) if start.info else None
    own = CalibratedSettings({start.lmbda: get_quantizer(recipe.quantizer).default_settings()})
    return (calibrated or own).changed(delta=recipe.delta, trellis_lambda=recipe.trellis_lambda)
