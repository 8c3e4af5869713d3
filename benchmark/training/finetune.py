"""Step 2: retrain the decoder on truly quantized latents (arXiv 2506.08662); the encoder stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import CodecError, TrainingError
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.quantizers.base import QuantizerSettings, get_quantizer
from benchmark.training.coding import Latents, LoopQuantizer, encode_frozen
from benchmark.training.data import RandomCrops, load_for_training, load_held_out, split_photographs
from benchmark.training.objective import PEAK_SQUARED, RateDistortion, mean_quality
from benchmark.training.provenance import describe
from benchmark.training.recipe import FinetuneRecipe
from benchmark.training.run import Progress, Run
from benchmark.training.sources import Source


def finetune(
    recipe: FinetuneRecipe,
    start: Source,
    data: Path,
    out: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Finetune the model `start` by `recipe`; return the path of the final checkpoint in `out`.

    With `quantizer = "noise"` the latents are not quantized but disturbed as in step 1, all else equal: the
    control that tells the gain of true quantization from the gain of more training. Settings of the
    quantizer are the recipe's, else the calibrated ones of `start`, else the quantizer's own. When h_s
    stays, so do the bits, and the loss is the distortion alone. Restarts and errors are those of `train`.
    """
    if abs(recipe.lmbda - start.lmbda) > 1e-9:
        raise TrainingError(
            f"{start.name} is of lmbda {start.lmbda:g}, the recipe says {recipe.lmbda:g}; leave it out there"
        )
    split = split_photographs(data)
    network = start.network()
    settings = settings_for(recipe, start)
    about = describe(recipe, split, start, {} if settings is None else {recipe.quantizer: settings}, device)
    about["base_arm"] = base_arm(start)
    run = Run(out, network, recipe, about, trained=trained_tensors(recipe.parts, network), device=device)
    quantizer = LoopQuantizer(recipe.quantizer, settings) if settings else None
    judge = quantizer or LoopQuantizer("scalar", get_quantizer("scalar").default_settings())

    crops = RandomCrops(load_for_training(split.train, recipe.crop), recipe.crop, recipe.batch, recipe.seed)
    held_out = load_held_out(split.held_out, device)
    low_precision = recipe.precision == "bf16"
    check = partial(validate_quantized, network, held_out, judge, recipe, low_precision)
    rate_moves = "h_s" in recipe.parts

    run.validate_start(check)
    while run.unfinished:
        run.begin_step()
        x = crops.batch(run.course.step).to(device)
        latents = encode_frozen(network, x, low_precision=low_precision)
        if quantizer is None:
            result = decode_noisy(network, x, latents, low_precision=low_precision)
        else:
            with run.stopping_at(CodecError):  # latents beyond what the encoder takes: h_s has diverged
                result = decode_quantized(network, x, latents, quantizer, low_precision=low_precision)
        run.descend(result.cost(recipe.lmbda) if rate_moves else recipe.lmbda * result.mse, result)
        run.record(check, progress)
    return run.last


def base_arm(start: Source) -> str | None:
    """Return the arm whose weights file is whole and from which `start`'s successors may hold differences."""
    if start.info is None:
        return None
    return start.info.base.partition("/")[0] if start.info.base else start.info.arm


def trained_tensors(parts: str, network: MeanScaleHyperprior) -> list[str]:
    """Return the names of the tensors that `parts` means, such as g_s+h_s or g_s.6.

    g_s takes in the linear branch beside it. Raises TrainingError for a layer without parameters.
    """
    names = [name for name, _ in network.named_parameters()]
    chosen: list[str] = []
    for part in parts.split("+"):
        prefixes = ("g_s.", "g_s_linear.") if part == "g_s" else (f"{part}.",)
        found = [name for name in names if name.startswith(prefixes)]
        if not found:
            layers = sorted({name.rpartition(".")[0] for name in names if name.startswith(("g_s", "h_s"))})
            raise TrainingError(f"--parts {part}: no such layer; there are g_s, h_s, {', '.join(layers)}")
        chosen += found
    return chosen


def settings_for(recipe: FinetuneRecipe, start: Source) -> QuantizerSettings | None:
    """Return the recipe's settings, else the model's calibrated, else the quantizer's own; None for noise."""
    if recipe.quantizer == "noise":
        return None
    calibrated = start.info.settings.get(recipe.quantizer) if start.info else None
    settings = calibrated or get_quantizer(recipe.quantizer).default_settings()
    return QuantizerSettings(
        delta=settings.delta if recipe.delta is None else recipe.delta,
        trellis_lambda=settings.trellis_lambda if recipe.trellis_lambda is None else recipe.trellis_lambda,
    )


def decode_quantized(
    network: MeanScaleHyperprior,
    x: Tensor,
    latents: Latents,
    quantizer: LoopQuantizer,
    *,
    low_precision: bool,
) -> RateDistortion:
    """Quantize as the encoder does, decode, and compare with x."""
    autocast = torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=low_precision)
    with autocast:
        mu, sigma = network.hyper_synthesis(latents.z_hat)
    sigma = network.gaussian_conditional.lower_bound_scale(sigma)  # unlike clamp, it lets a gradient raise it
    y_hat, bits = quantizer(latents.y, mu, sigma)
    with autocast:
        x_hat = network.synthesis(y_hat)
    return RateDistortion((bits + latents.z_bits) / _pixels(x), _squared_error(x_hat, x))


def decode_noisy(
    network: MeanScaleHyperprior, x: Tensor, latents: Latents, *, low_precision: bool
) -> RateDistortion:
    """Decode latents with step 1's additive noise in place of quantization, and compare with x."""
    autocast = torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=low_precision)
    with autocast:
        mu, sigma = network.hyper_synthesis(latents.z + torch.rand_like(latents.z) - 0.5)
    y_noisy, likelihood = network.gaussian_conditional(latents.y, sigma, mu, training=True)
    with autocast:
        x_hat = network.synthesis(y_noisy)
    bits = -likelihood.log2().sum() + latents.z_bits
    return RateDistortion(bits / _pixels(x), _squared_error(x_hat, x))


def validate_quantized(
    network: MeanScaleHyperprior,
    held_out: Sequence[Tensor],
    quantizer: LoopQuantizer,
    recipe: FinetuneRecipe,
    low_precision: bool,
) -> dict[str, float]:
    """Return mean bpp (by the coder's tables), psnr and cost over the held-out crops."""
    results = []
    with torch.no_grad():
        for x in held_out:
            latents = encode_frozen(network, x, low_precision=low_precision)
            results.append(decode_quantized(network, x, latents, quantizer, low_precision=low_precision))
    return mean_quality(results, recipe.lmbda)


def _pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[2] * x.shape[3]


def _squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    return (x_hat - x).square().mean() * PEAK_SQUARED
