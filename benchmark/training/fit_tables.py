"""Makes the numbers of `benchmark/learned/quantizers/fits.py` from latents of trained networks.

Usage: python -m benchmark.training.fit_tables PHOTOGRAPHS WEIGHTS...
It prints the fit of each quantizer as source code. The photographs are those that trainings learn from, never
those that are held out; each network quantizes with its calibrated settings. Tables and decisions take turns:
the latents are searched with the tables, the tables refitted (maximum likelihood) to what was picked. Then
the expansion is fitted by gradient descent on the error of the decoded photographs, the networks fixed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.arrays import F32, F64, U8
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.quantizers import QUANTIZERS, get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.fits import (
    FIRST_OCTAVE,
    OCTAVE_STEP,
    OCTAVES,
    REACH,
    SCALE_KNOTS,
    SCALE_STEP,
    Fit,
)
from benchmark.learned.quantizers.fitted import FittedQuantizer
from benchmark.learned.tables import ESCAPE_FLOOR, SCALE_TABLE, SCALES, WIDE
from benchmark.training.coding import nearest_scales, scale_position
from benchmark.training.data import RandomCrops, load_for_training, split_photographs
from benchmark.training.objective import encode
from benchmark.training.rules import ROUND
from benchmark.training.sources import Source, open_source

CROP, CROPS, EVERY = 256, 48, 4
"""Pixels a side, number of crops, and the share of the photographs that is read: one in four."""
ROUNDS, DESCENT_STEPS, DESCENT_BATCH = 8, 120, 4
_MAGNITUDES = 64
_LEARNING_RATE = 0.06
_SMOOTHNESS = 1e-5


@dataclass(frozen=True)
class Crop:
    """One photograph's part and its latents: residual and scale_index as a quantizer takes them."""

    x: Tensor
    mu: Tensor
    residual: F32
    scale_index: U8


@dataclass(frozen=True)
class Model:
    """A trained network, its calibrated settings, and latents that it makes."""

    network: Architecture
    source: Source
    crops: Sequence[Crop]

    def settings(self, quantizer: str) -> QuantizerSettings:
        """Return the calibrated settings, else the quantizer's own."""
        calibrated = self.source.info.settings.get(quantizer) if self.source.info else None
        return calibrated.at(self.source.lmbda) if calibrated else get_quantizer(quantizer).default_settings()


def read_models(photographs: Path, weights: Sequence[str]) -> list[Model]:
    """Return the models with latents of CROPS random crops of training photographs, the same for all."""
    train = split_photographs(photographs).train[::EVERY]
    batch = RandomCrops(load_for_training(train, CROP), CROP, CROPS, seed=0).batch(0)
    models = []
    for name in weights:
        source = open_source(name)
        network = source.network().requires_grad_(False)
        models.append(Model(network, source, [_encode(network, x[None]) for x in batch]))
    return models


def _encode(network: Architecture, x: Tensor) -> Crop:
    (step,) = network.steps  # tables are fitted to networks whose latents are coded in one step
    latents = encode(network, x, ROUND, low_precision=False)
    mu, sigma = network.prior(latents.z_hat, latents.y).params(0, torch.zeros_like(latents.y))
    residual = (step.gather(latents.y) - mu)[0].numpy()
    return Crop(
        x, mu.view(latents.y.shape), np.ascontiguousarray(residual), nearest_scales(scale_position(sigma))
    )


def fitted() -> dict[str, FittedQuantizer]:
    """Return the quantizers that have tables of their own to fit, by name."""
    found = (quantizer for _, quantizer in QUANTIZERS.items() if isinstance(quantizer, FittedQuantizer))
    return {quantizer.name: quantizer for quantizer in found if not quantizer.expanded}


def count(quantizer: FittedQuantizer, models: Sequence[Model]) -> tuple[F64, F64]:
    """Return how often each magnitude was picked, [lattices, n, 66], and the n ratios sigma / delta.

    The last magnitude stands for all beyond.
    """
    shape = (quantizer.lattices, SCALES, _MAGNITUDES + 2)
    counts, ratios = [], []
    for model in models:
        settings = model.settings(quantizer.name)
        found = np.zeros(math.prod(shape), np.int64)
        for crop in model.crops:
            indices = quantizer.quantize(crop.residual, crop.scale_index, settings)
            magnitude = np.minimum(np.abs(indices), _MAGNITUDES + 1)
            place = np.ravel_multi_index((quantizer.lattice_of(indices), crop.scale_index, magnitude), shape)
            found += np.bincount(place.ravel(), minlength=len(found))
        counts.append(found.reshape(shape).astype(np.float64))
        ratios.append(SCALE_TABLE / settings.delta)
    return np.concatenate(counts, axis=1), np.concatenate(ratios)


def fit_tables(name: str, start: Fit, models: Sequence[Model]) -> Fit:
    """Return `start` with tables that agree with what a search that uses them picks."""
    fit = start
    for _ in range(ROUNDS):
        fit = most_likely(fit, *count(fitted()[name].refitted(fit), models))
    return fit


def most_likely(start: Fit, counts: F64, ratios: F64) -> Fit:
    """Return `start` with the tables under which `counts` of magnitudes at `ratios` take the fewest bits."""
    weight = np.clip(np.array(start.wide_weight), 1e-3, 0.999)
    raw = np.stack([np.log(start.narrowing), np.log(weight / (1 - weight)), start.zero_log_odds], axis=2)
    knots = torch.from_numpy(raw).requires_grad_(True)
    seen, octave = torch.from_numpy(counts), torch.from_numpy(np.log2(ratios))
    optimizer = torch.optim.LBFGS([knots], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        bits = -(seen * _log2_magnitudes(knots, octave)).sum() / seen.sum()
        bits = bits + _SMOOTHNESS * knots.diff(dim=1).square().sum()
        bits.backward()  # type: ignore[no-untyped-call]
        return bits

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    shape = _shape(knots.detach())
    return replace(
        start,
        narrowing=_rounded(shape[..., 0]),
        wide_weight=_rounded(shape[..., 1]),
        zero_log_odds=_rounded(shape[..., 2]),
    )


def _shape(knots: Tensor) -> Tensor:
    """Return narrowing, wide weight and zero log-odds at the knots from unconstrained numbers."""
    return torch.stack([knots[..., 0].exp(), knots[..., 1].sigmoid(), knots[..., 2]], dim=-1)


def _at(knots: Tensor, place: Tensor) -> Tensor:
    """Return knots [..., knots, n] interpolated at `place`, counted in knots from the first."""
    place = place.clamp(0, knots.shape[-2] - 1)
    left = place.long().clamp(max=knots.shape[-2] - 2)
    part = (place - left)[..., None]
    return knots[..., left, :] * (1 - part) + knots[..., left + 1, :] * part


def _log2_magnitudes(knots: Tensor, octave: Tensor) -> Tensor:
    """Return log2 P(|k|), [lattices, n, 66]: the formula of `tables.fitted_tables`, with gradient."""
    k = torch.arange(_MAGNITUDES + 1, dtype=torch.float64)
    cells = [k + 0.5] if len(knots) == 1 else [2 * k + 1, (2 * k).clamp(min=0.5)]
    shape = _at(_shape(knots), (octave - FIRST_OCTAVE) / OCTAVE_STEP)
    ratio = torch.stack(cells)[:, None, :] / (shape[..., :1] * octave.exp2()[:, None])
    weight = shape[..., 1:2]
    tails = 0.5 * ((1 - weight) * torch.erfc(ratio / 2**0.5) + weight * torch.erfc(ratio / WIDE / 2**0.5))
    outside = 2 * tails[..., :1]
    inside = shape[..., 2:].exp() * (1 - outside)
    listed = torch.cat([inside, 2 * (tails[..., :-1] - tails[..., 1:]), 2 * tails[..., -1:]], dim=-1)
    return torch.log2(listed / (inside + outside) * (1 - ESCAPE_FLOOR) + 1e-9)


def fit_expansion(name: str, start: Fit, models: Sequence[Model]) -> Fit:
    """Return `start` with the stretch and shift that the decoders of `models` want (least log of error)."""
    quantizer = fitted()[name].refitted(start)
    prepared = [[_dequantized(quantizer, model, crop) for crop in model.crops] for model in models]
    knots = torch.tensor([start.stretch, start.shift]).T.contiguous().requires_grad_(True)
    optimizer = torch.optim.Adam([knots], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=DESCENT_STEPS)
    for step in range(DESCENT_STEPS):
        turn, which = divmod(step, len(models))
        model, delta = models[which], models[which].settings(name).delta
        errors = []
        for number in range(turn * DESCENT_BATCH, (turn + 1) * DESCENT_BATCH):
            crop, (values, place) = model.crops[number % CROPS], prepared[which][number % CROPS]
            y_hat = crop.mu + _expanded(knots, values, place, delta).view(crop.mu.shape)
            errors.append((model.network.synthesis(y_hat) - crop.x).square().mean())
        loss = torch.stack(errors).mean().log() + _SMOOTHNESS * knots.diff(dim=0).square().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    stretch, shift = _rounded(knots.detach().T)
    return replace(start, stretch=stretch, shift=shift)


def _expanded(knots: Tensor, values: Tensor, place: Tensor, delta: float) -> Tensor:
    """Return the lattice points `values` moved as `trellis.expand` does, with gradient."""
    stretch, shift = _at(knots, place).unbind(-1)
    return values + values.sign() * (values.abs().clamp(max=REACH * delta) * stretch + shift * delta)


def _dequantized(quantizer: FittedQuantizer, model: Model, crop: Crop) -> tuple[Tensor, Tensor]:
    """Return the lattice points of a crop, and the place of each sample among the knots of the expansion."""
    settings = model.settings(quantizer.name)
    indices = quantizer.quantize(crop.residual, crop.scale_index, settings)
    values = quantizer.dequantize(indices, crop.scale_index, settings)
    return torch.from_numpy(values), torch.from_numpy(crop.scale_index).float() / SCALE_STEP


def _rounded(rows: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(value), 3) for value in row) for row in rows)


def start_of(name: str) -> Fit:
    """Return plain Gaussian cells and no expansion."""
    lattices = get_quantizer(name).lattices
    ones, zeros = ((1.0,) * OCTAVES,) * lattices, ((0.0,) * OCTAVES,) * lattices
    return Fit(ones, zeros, zeros, (0.0,) * SCALE_KNOTS, (0.0,) * SCALE_KNOTS)


def main() -> None:
    """Print the fits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("weights", nargs="+", help="weights files, one for each lambda")
    parser.add_argument("--afresh", action="store_true", help="start from Gaussians, not from the last fit")
    parser.add_argument("--quantizer", choices=sorted(fitted()), action="append", help="by default all")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = read_models(arguments.photographs, arguments.weights)
    for name in arguments.quantizer or sorted(fitted()):
        fit = fit_tables(name, start_of(name) if arguments.afresh else fitted()[name].fit, models)
        print(f"{name.upper()}_FIT = {fit_expansion(name, fit, models)!r}", flush=True)


if __name__ == "__main__":
    main()
