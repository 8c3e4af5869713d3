"""Makes the numbers of `benchmark/learned/quantizers/fits.py` from latents of trained networks.

Usage: python -m benchmark.training.fit_tables PHOTOGRAPHS WEIGHTS...
It prints the fit of each quantizer as source code. The photographs are those that trainings learn from, never
those that are held out; each network quantizes with its calibrated settings, one of all rates at several
lambdas. Tables and decisions take turns: the latents are searched with the tables, the tables refitted
(maximum likelihood) to what was picked. Then the expansion is fitted by gradient descent on the error of the
decoded photographs, the networks fixed. All of it twice: where latents are coded in steps, what the search
picks and the expansion moves is the context of the next step's.
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
from benchmark.learned.architectures.base import Architecture, Step
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

CROP, CROPS, EVERY = 256, 32, 4
"""Pixels a side, number of crops, and the share of the photographs that is read: one in four."""
TURNS, ROUNDS, DESCENT_STEPS, DESCENT_BATCH = 2, 6, 120, 4
RATES = 4
"""Lambdas of a network of all rates, evenly spaced in the logarithm."""
_MAGNITUDES = 64
_LEARNING_RATE = 0.06
_SMOOTHNESS = 1e-5


@dataclass(frozen=True)
class Part:
    """The latents of one step: mu, and residual and scale_index as a quantizer takes them, [C, L] each."""

    step: Step
    mu: Tensor
    residual: F32
    scale_index: U8


@dataclass(frozen=True)
class Crop:
    """One photograph's part and its latents, step by step."""

    x: Tensor
    shape: torch.Size
    parts: Sequence[Part]

    def decoded(self, network: Architecture, values: Sequence[Tensor]) -> Tensor:
        """Return the picture, [1, 3, h, w], that the values, [C, L] of each step, decode to."""
        y_hat = torch.zeros(self.shape)
        for part, value in zip(self.parts, values, strict=True):
            y_hat = part.step.placed(part.mu + value[None], y_hat)
        return network.synthesis(y_hat)


@dataclass(frozen=True)
class Model:
    """A trained network at one rate, its calibrated settings, and crops of photographs, [n, 3, h, w]."""

    network: Architecture
    source: Source
    lmbda: float
    x: Tensor

    def settings(self, quantizer: str) -> QuantizerSettings:
        """Return the calibrated settings, else the quantizer's own."""
        calibrated = self.source.info.settings.get(quantizer) if self.source.info else None
        return calibrated.at(self.lmbda) if calibrated else get_quantizer(quantizer).default_settings()

    def crops(self, quantizer: FittedQuantizer) -> list[Crop]:
        """Return the crops with the latents that `quantizer` meets."""
        return [_encode(self.network, x[None], quantizer, self.settings(quantizer.name)) for x in self.x]


def read_models(photographs: Path, weights: Sequence[str]) -> list[Model]:
    """Return the models with CROPS random crops of training photographs, the same for all."""
    train = split_photographs(photographs).train[::EVERY]
    batch = RandomCrops(load_for_training(train, CROP), CROP, CROPS, seed=0).batch(0)
    models = []
    for name in weights:
        source = open_source(name)
        network = source.network().requires_grad_(False)
        span = network.lmbda_range
        lmbdas = np.geomspace(*span, RATES).tolist() if span else [source.lmbda]
        models += [Model(network.at(lmbda), source, lmbda, batch) for lmbda in lmbdas]
    return models


@torch.no_grad()
def _encode(
    network: Architecture, x: Tensor, quantizer: FittedQuantizer, settings: QuantizerSettings
) -> Crop:
    latents = encode(network, x, ROUND, low_precision=False)
    prior, y_hat, parts = network.prior(latents.z_hat, latents.y), torch.zeros_like(latents.y), []
    for number, step in enumerate(network.steps):
        mu, sigma = prior.params(number, y_hat)
        residual = np.ascontiguousarray((step.gather(latents.y) - mu)[0].numpy())
        scale_index = nearest_scales(scale_position(sigma))
        parts.append(Part(step, mu, residual, scale_index))
        indices = quantizer.quantize(residual, scale_index, settings)
        values = torch.from_numpy(quantizer.dequantize(indices, scale_index, settings))
        y_hat = step.placed(mu + values[None], y_hat)
    return Crop(x, latents.y.shape, parts)


def fitted() -> dict[str, FittedQuantizer]:
    """Return the quantizers that have tables of their own to fit, by name."""
    found = (quantizer for _, quantizer in QUANTIZERS.items() if isinstance(quantizer, FittedQuantizer))
    return {quantizer.name: quantizer for quantizer in found}


Encoded = Sequence[tuple[Model, Sequence[Crop]]]


def count(quantizer: FittedQuantizer, encoded: Encoded) -> tuple[F64, F64]:
    """Return how often each magnitude was picked, [lattices, n, 66], and the n ratios sigma / delta.

    The last magnitude stands for all beyond.
    """
    shape = (quantizer.lattices, SCALES, _MAGNITUDES + 2)
    counts, ratios = [], []
    for model, crops in encoded:
        settings = model.settings(quantizer.name)
        found = np.zeros(math.prod(shape), np.int64)
        for part in (part for crop in crops for part in crop.parts):
            indices = quantizer.quantize(part.residual, part.scale_index, settings)
            magnitude = np.minimum(np.abs(indices), _MAGNITUDES + 1)
            place = np.ravel_multi_index((quantizer.lattice_of(indices), part.scale_index, magnitude), shape)
            found += np.bincount(place.ravel(), minlength=len(found))
        counts.append(found.reshape(shape).astype(np.float64))
        ratios.append(SCALE_TABLE / settings.delta)
    return np.concatenate(counts, axis=1), np.concatenate(ratios)


def fit_all(name: str, start: Fit, models: Sequence[Model]) -> Fit:
    """Return `start` fitted to the latents that the quantizer meets, and its expansion if it has one."""
    fit, quantizer = start, fitted()[name]
    for _ in range(TURNS):
        encoded = [(model, model.crops(quantizer.refitted(fit))) for model in models]
        fit = fit_tables(quantizer, fit, encoded)
        if quantizer.expanded:
            fit = fit_expansion(quantizer, fit, encoded)
    return fit


def fit_tables(quantizer: FittedQuantizer, start: Fit, encoded: Encoded) -> Fit:
    """Return `start` with tables that agree with what a search that uses them picks."""
    fit = start
    for _ in range(ROUNDS):
        fit = most_likely(fit, *count(quantizer.refitted(fit), encoded))
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


def fit_expansion(quantizer: FittedQuantizer, start: Fit, encoded: Encoded) -> Fit:
    """Return `start` with the stretch and shift that the decoders want (least log of error)."""
    searching = quantizer.refitted(start)
    prepared = [[_points(searching, model, crop) for crop in crops] for model, crops in encoded]
    knots = torch.tensor([start.stretch, start.shift]).T.contiguous().requires_grad_(True)
    optimizer = torch.optim.Adam([knots], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=DESCENT_STEPS)
    for step in range(DESCENT_STEPS):
        turn, which = divmod(step, len(encoded))
        model, crops = encoded[which]
        delta, errors = model.settings(quantizer.name).delta, []
        for number in range(turn * DESCENT_BATCH, (turn + 1) * DESCENT_BATCH):
            crop, points = crops[number % len(crops)], prepared[which][number % len(crops)]
            values = [_expanded(knots, *at, delta) for at in points]
            errors.append((crop.decoded(model.network, values) - crop.x).square().mean())
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


def _points(quantizer: FittedQuantizer, model: Model, crop: Crop) -> list[tuple[Tensor, Tensor]]:
    """Return the lattice points of each step, and each sample's place among the expansion's knots."""
    settings, found = model.settings(quantizer.name), []
    for part in crop.parts:
        indices = quantizer.quantize(part.residual, part.scale_index, settings)
        points = torch.from_numpy(quantizer.points(indices, settings))
        found.append((points, torch.from_numpy(part.scale_index).float() / SCALE_STEP))
    return found


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
        fit = fit_all(name, start_of(name) if arguments.afresh else fitted()[name].fit, models)
        print(f"{name.upper().replace('-', '_')}_FIT = {fit!r}", flush=True)


if __name__ == "__main__":
    main()
