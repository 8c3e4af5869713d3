from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.learned.coding.indices import IndexCoder
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.tables import SCALE_TABLE
from benchmark.training.coding import LoopQuantizer, loop_quantizer

SHAPE = (2, 8, 12, 16)


def latents() -> tuple[
    torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray[tuple[int, int], np.dtype[np.uint8]]
]:
    """y and mu such that y - mu is Gaussian of the scales in the table, and the indices of those."""
    rng = np.random.default_rng(4)
    index = rng.integers(0, 40, (16, 192)).astype(np.uint8)
    residual = torch.from_numpy(rng.normal(size=index.shape) * SCALE_TABLE[index]).float().view(SHAPE)
    mu = torch.from_numpy(rng.normal(size=index.shape) * 3).float().view(SHAPE)
    return residual + mu, mu, torch.from_numpy(SCALE_TABLE[index]).float().view(SHAPE), index


@pytest.mark.parametrize("name", ["scalar", "deadzone", "rdoq", "tcq4", "tcq8"])
def test_values_are_the_decoders_and_bits_the_coders(name: str) -> None:
    y, mu, sigma, index = latents()
    quantizer = get_quantizer(name)
    settings = quantizer.default_settings()
    y_hat, bits = LoopQuantizer(name, settings)(y, mu, sigma)
    bits = bits.sum()
    rows = (y - mu).flatten(2).flatten(0, 1).numpy()
    indices = quantizer.quantize(rows, index, settings)
    expected = mu + torch.from_numpy(quantizer.dequantize(indices, index, settings)).view(SHAPE)
    assert torch.equal(y_hat, expected)
    coder = IndexCoder(quantizer, settings)
    assert float(bits) == pytest.approx(coder.entropy_bits(indices, index), rel=1e-5)
    assert 8 * len(coder.encode([indices], [index], 1)) == pytest.approx(float(bits), rel=0.02)


@pytest.mark.parametrize("name", ["scalar", "tcq8"])
def test_the_gradient_of_sigma_is_that_of_the_bits(name: str) -> None:
    """Indices hang on the nearest scale: a smaller change moves the bits by the gradient alone."""
    y, mu, sigma, _ = latents()
    loop = LoopQuantizer(name, get_quantizer(name).default_settings())
    sigma = (sigma * 1.02).requires_grad_()
    loop(y, mu, sigma)[1].sum().backward()  # type: ignore[no-untyped-call]
    assert sigma.grad is not None
    with torch.no_grad():
        up, down = (float(loop(y, mu, sigma * (1 + sign * 1e-2))[1].sum()) for sign in (1, -1))
        expected = float((sigma.grad * sigma * 1e-2).sum())
    assert abs(expected) > 1
    assert (up - down) / 2 == pytest.approx(expected, rel=0.05)


def test_too_wide_a_sigma_costs_bits_and_the_gradient_says_so() -> None:
    y, mu, sigma, _ = latents()
    loop = LoopQuantizer("tcq8", get_quantizer("tcq8").default_settings())
    wide = (3 * sigma).requires_grad_()
    bits = loop(y, mu, wide)[1].sum()
    assert float(bits.detach()) > 1.1 * float(loop(y, mu, sigma)[1].sum())
    bits.backward()  # type: ignore[no-untyped-call]
    assert wide.grad is not None and float(wide.grad.sum()) > 0


@pytest.mark.parametrize("name", ["scalar", "rdoq", "tcq8"])
@pytest.mark.parametrize("scale", [2, 18, 34])
def test_the_gradient_of_mu_is_that_of_coding_anew(name: str, scale: int) -> None:
    """Moved means, quantized afresh, change bits and decoded latents as the gradient says, on average."""
    sigma = float(SCALE_TABLE[scale])
    y = torch.randn((1, 64, 64, 64), generator=torch.Generator().manual_seed(scale)) * sigma
    wide = torch.full_like(y, sigma)
    loop = LoopQuantizer(name, get_quantizer(name).default_settings())
    mu = torch.full_like(y, 0.5 * sigma).requires_grad_()  # too large: the right mean is 0
    y_hat, bits = loop(y, mu, wide)
    bits = bits.sum()
    (slope,) = torch.autograd.grad(bits, mu, retain_graph=True)
    (follows,) = torch.autograd.grad(y_hat.sum(), mu)
    with torch.no_grad():
        step = 0.05 * sigma
        (up, more), (down, less) = (loop(y, mu + sign * step, wide) for sign in (1, -1))
    if scale > 2:  # at the finest scale nearly all are zero, and no difference along the tables is seen
        assert float((more - less) / (2 * step)) == pytest.approx(float(slope.sum()), rel=0.3)
    assert float((up - down).mean() / (2 * step)) == pytest.approx(float(follows.mean()), abs=0.35)


def test_settings_reach_the_search() -> None:
    y, mu, sigma, _ = latents()
    few = LoopQuantizer("tcq8", QuantizerSettings(0.6, 10.0))(y, mu, sigma)[1].sum()
    many = LoopQuantizer("tcq8", QuantizerSettings(0.6, 0.01))(y, mu, sigma)[1].sum()
    assert float(few) < 0.8 * float(many)


def test_each_image_of_a_batch_has_its_own_settings() -> None:
    generator = torch.Generator().manual_seed(5)
    y, mu = (torch.randn(3, 2, 40, generator=generator) * 2 for _ in range(2))
    sigma = torch.rand(3, 2, 40, generator=generator) + 0.5
    settings = [QuantizerSettings(0.6, 0.1), QuantizerSettings(1.5, 0.5), QuantizerSettings(0.6, 0.1)]
    y_hat, bits = loop_quantizer("tcq8", settings)(y, mu, sigma)
    for i, one in enumerate(settings):
        alone = LoopQuantizer("tcq8", one)(y[i : i + 1], mu[i : i + 1], sigma[i : i + 1])
        assert torch.equal(y_hat[i : i + 1], alone[0])
        assert torch.equal(bits[i : i + 1], alone[1])
    assert isinstance(loop_quantizer("tcq8", settings[:1] * 3), LoopQuantizer)
