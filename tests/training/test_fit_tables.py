"""The fit of the tables: its formula is the coder's, it finds what samples were drawn from, it helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.learned.architectures.loading import described, trained_state
from benchmark.learned.coding.indices import IndexCoder
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.fits import OCTAVES, SCALE_KNOTS, SCALE_STEP, Fit
from benchmark.learned.quantizers.fitted import FittedQuantizer
from benchmark.learned.tables import SCALE_TABLE, SCALES
from benchmark.learned.weights import load_model, shipped_folder
from benchmark.training.fit_tables import (
    _MAGNITUDES,
    Encoded,
    Model,
    _expanded,
    _log2_magnitudes,
    fit_expansion,
    fit_tables,
    fitted,
    most_likely,
    start_of,
)
from benchmark.training.sources import Source

FITS = {name: quantizer.fit for name, quantizer in fitted().items()}
NAMES = sorted(FITS)
EXPANDED = sorted(name for name, quantizer in fitted().items() if quantizer.expanded)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_have_the_shape_that_their_reader_expects(name: str) -> None:
    fit, quantizers = FITS[name], get_quantizer(name).lattices
    for rows in (fit.narrowing, fit.wide_weight, fit.zero_log_odds):
        assert [len(row) for row in rows] == [OCTAVES] * quantizers
    assert len(fit.stretch) == len(fit.shift) == SCALE_KNOTS
    assert all(0 <= weight < 0.6 for row in fit.wide_weight for weight in row)


@pytest.mark.parametrize("name", NAMES)
def test_the_fitted_formula_is_that_of_the_coder(name: str) -> None:
    fit, delta = FITS[name], 0.7
    pmf = get_quantizer(name).pmf_tables(QuantizerSettings(delta))
    weight = np.array(fit.wide_weight)
    raw = np.stack([np.log(fit.narrowing), np.log(weight / (1 - weight)), fit.zero_log_odds], axis=2)
    ours = _log2_magnitudes(torch.from_numpy(raw), torch.from_numpy(np.log2(SCALE_TABLE / delta))).exp2()
    scales = np.flatnonzero(pmf.radius < _MAGNITUDES)
    for scale in scales[scales > 8]:
        radius = int(pmf.radius[scale])
        theirs = pmf.probabilities[:, scale, pmf.max_radius : pmf.max_radius + radius + 1].copy()
        theirs[:, 1:] *= 2
        # the coder interpolates weights, the fit logits at the knots only: the same thing at every scale
        np.testing.assert_allclose(ours[:, scale, : radius + 1].numpy(), theirs, rtol=2e-4, atol=1e-7)


def test_most_likely_finds_what_the_counts_were_drawn_from() -> None:
    truth = FITS["rdoq"]
    pmf = fitted()["rdoq"].refitted(truth).pmf_tables(QuantizerSettings(1.0))
    rng = np.random.default_rng(0)
    counts = np.zeros((1, SCALES, _MAGNITUDES + 2))
    for scale in range(40):
        magnitudes = 2.0 * pmf.probabilities[0, scale, pmf.max_radius :]
        magnitudes[0] /= 2
        draws = rng.choice(len(magnitudes), 20_000, p=magnitudes / magnitudes.sum())
        counts[0, scale] = np.bincount(np.minimum(draws, _MAGNITUDES + 1), minlength=_MAGNITUDES + 2)
    found = most_likely(start_of("rdoq"), counts, SCALE_TABLE)
    assert _bits(found, counts) == pytest.approx(_bits(truth, counts), rel=1e-3)
    assert _bits(start_of("rdoq"), counts) > 1.01 * _bits(truth, counts)


def _bits(fit: Fit, counts: np.ndarray) -> float:
    """Return the bits that `counts` of magnitudes take with step 1; none is an escape."""
    quantizer = fitted()["rdoq"].refitted(fit)
    indices = np.repeat(np.tile(np.arange(counts.shape[2]), SCALES), counts[0].ravel().astype(int))
    scales = np.repeat(np.repeat(np.arange(SCALES), counts.shape[2]), counts[0].ravel().astype(int))
    coder = IndexCoder(quantizer, QuantizerSettings(1.0))
    return coder.entropy_bits(indices.astype(np.int32)[None], scales.astype(np.uint8)[None])


@pytest.mark.parametrize("name", EXPANDED)
def test_the_expansion_with_a_gradient_is_the_decoders(name: str) -> None:
    quantizer, settings = fitted()[name], QuantizerSettings(0.8)
    rng = np.random.default_rng(1)
    indices = rng.integers(-9, 10, (7, 50)).astype(np.int32)
    scale_index = rng.integers(0, SCALES, indices.shape).astype(np.uint8)
    points = torch.from_numpy(quantizer.points(indices, settings))
    knots = torch.tensor([quantizer.fit.stretch, quantizer.fit.shift]).T
    ours = _expanded(knots, points, torch.from_numpy(scale_index).float() / SCALE_STEP, 0.8)
    values = quantizer.dequantize(indices, scale_index, settings)
    np.testing.assert_allclose(ours.numpy(), values, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(points.numpy(), values)


@pytest.mark.parametrize("step_by_step", [False, True])
def test_the_fit_lowers_bits_and_error_of_a_network(
    step_by_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With context too, where what one step picks, and its offsets, are what the next is predicted from."""
    monkeypatch.setattr("benchmark.training.fit_tables.ROUNDS", 2)
    monkeypatch.setattr("benchmark.training.fit_tables.DESCENT_STEPS", 24)
    model = tiny(step_by_step=step_by_step)
    start, quantizer = start_of("tcq8-expanded"), fitted()["tcq8-expanded"]
    encoded = [(model, model.crops(quantizer.refitted(start)))]
    found = fit_tables(quantizer, start, encoded)
    assert _cost_of(quantizer.refitted(found), encoded)[0] < _cost_of(quantizer.refitted(start), encoded)[0]
    expanded = fit_expansion(quantizer, found, encoded)
    assert (
        _cost_of(quantizer.refitted(expanded), encoded)[1] < _cost_of(quantizer.refitted(found), encoded)[1]
    )


def tiny(*, step_by_step: bool) -> Model:
    """Return a shipped network, of one step or of many, with crops of random waves."""
    variant = "patch" if step_by_step else "baseline"
    network, _ = load_model(variant, 0.013, shipped_folder())
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    waves = [torch.sin(x / a + y / b) * 0.3 + 0.5 for a, b in ((3, 7), (9, 4), (2, 30), (5, 5))]
    batch = torch.stack([torch.stack([w, w.flip(0), w.T]) for w in waves])
    source = Source("tiny", described(network), trained_state(network), 0.013, {})
    return Model(network.requires_grad_(False), source, 0.013, batch)


def _cost_of(quantizer: FittedQuantizer, encoded: Encoded) -> tuple[float, float]:
    """Return the bits and the squared error of the crops, the latents before the search fixed."""
    bits, error = 0.0, 0.0
    for model, crops in encoded:
        settings = model.settings(quantizer.name)
        coder = IndexCoder(quantizer, settings)
        for crop in crops:
            values = []
            for part in crop.parts:
                indices = quantizer.quantize(part.residual, part.scale_index, settings)
                bits += coder.entropy_bits(indices, part.scale_index)
                values.append(torch.from_numpy(quantizer.dequantize(indices, part.scale_index, settings)))
            error += float((crop.decoded(model.network, values) - crop.x).square().sum())
    return bits, error
