"""Minimal filtering against direct convolution: close in float32, equal to the last bit on h_s's grids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmark.learned.exact.grid import LARGEST_ACTIVATION, on_grid
from benchmark.learned.exact.winograd import (
    INPUT_GROWTH,
    WEIGHT_BITS,
    WEIGHT_GROWTH,
    Down,
    Same,
    Up,
    _shared_inputs,
)

Layer = type[Down] | type[Same] | type[Up]
LAYERS: tuple[Layer, ...] = (Down, Same, Up)
MINIMAL: Any = {"growth": INPUT_GROWTH * WEIGHT_GROWTH, "finer_bits": WEIGHT_BITS}
SUMMED = {Down: (1, 2, 3), Same: (1, 2, 3), Up: (0, 2, 3)}


def taps(layer: Layer, inside: int, outside: int, dtype: torch.dtype) -> Tensor:
    shape = {Down: (outside, inside, 5, 5), Same: (outside, inside, 3, 3), Up: (inside, outside, 5, 5)}
    weight: Tensor = torch.randn(shape[layer], dtype=dtype) / (5 * inside**0.5)
    return weight


def direct(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return torch's own result, [rows, width, channels]."""
    image = x.permute(2, 0, 1)[None]
    if layer is Up:
        made = functional.conv_transpose2d(image, weight, bias, stride=2, padding=2, output_padding=1)
    elif layer is Down:
        made = functional.conv2d(image, weight, bias, stride=2, padding=2)
    else:
        made = functional.conv2d(image, weight, bias, padding=1)
    return made[0].permute(1, 2, 0)


def minimal(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    ready = layer(weight, bias)
    rows, width, _ = x.shape
    out = torch.full(
        (rows * ready.made // ready.step, width * ready.made // ready.step, ready.channels),
        float("nan"),
        dtype=x.dtype,
    )
    ready(functional.pad(x, (0, 0, 0, 0, ready.above, ready.below)), out)
    return out


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", [(4, 4), (4, 12), (12, 8), (16, 64)])
@pytest.mark.parametrize("channels", [(1, 1), (5, 7), (32, 16)])
def test_the_same_function_as_a_direct_convolution(
    layer: Layer, size: tuple[int, int], channels: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(*size, channels[0], dtype=torch.float64)
    weight, bias = taps(layer, *channels, torch.float64), torch.randn(channels[1], dtype=torch.float64)
    expected = direct(layer, x, weight, bias)
    assert torch.allclose(minimal(layer, x, weight, bias), expected, rtol=0, atol=1e-12)
    assert torch.allclose(minimal(layer, x, weight, None), expected - bias, rtol=0, atol=1e-12)
    single = minimal(layer, x.float(), weight.float(), bias.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_float32_loses_no_more_than_a_direct_convolution_does(layer: Layer) -> None:
    """Layers as large as the real ones: the root mean square error is within twice the direct one's."""
    torch.manual_seed(1)
    x, weight = torch.randn(8, 32, 128), taps(layer, 128, 128, torch.float32)
    exact = direct(layer, x.double(), weight.double(), None)
    errors = [(run(layer, x, weight, None) - exact).square().mean().sqrt() for run in (minimal, direct)]
    assert 0 < errors[0] < 2 * errors[1]


@pytest.mark.parametrize("layer", [Same, Up])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_sums_on_the_grid_are_exact(layer: Layer, spread: float) -> None:
    """Largest activations of both signs: both ways of computing give the same bits, hence the exact sum.

    Direct sums stay far below 2^52 units, so they are exact whatever their order; those of minimal filtering
    go up to the bound that `on_grid` keeps.
    """
    torch.manual_seed(2)
    size = (8, 12, 24)
    x = torch.randint(0, 2, size).double() * (2 * LARGEST_ACTIVATION) - LARGEST_ACTIVATION
    x[::2, ::3] += torch.randint(1, 1000, (4, 4, 24)) * -x[::2, ::3].sign()
    weight = taps(layer, 24, 10, torch.float32)
    weight *= torch.exp(spread * torch.randn_like(weight))
    weight, bias = on_grid(weight, torch.randn(10), SUMMED[layer], **MINIMAL)
    assert torch.equal(minimal(layer, x, weight, bias), direct(layer, x, weight, bias))


def test_the_proof_rests_on_the_grid() -> None:
    """Weights off the grid by less than one of its steps: the two ways no longer agree to the bit."""
    torch.manual_seed(3)
    x = torch.randint(-(2**24), 2**24, (8, 12, 24)).double()
    weight, bias = on_grid(taps(Same, 24, 10, torch.float32), torch.randn(10), SUMMED[Same], **MINIMAL)
    weight *= 1 + 1e-9
    assert not torch.equal(minimal(Same, x, weight, bias), direct(Same, x, weight, bias))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_tap_meets_products_of_the_stated_size(layer: Layer) -> None:
    """Unit taps, one at a time: the sum of their transforms, and the grid these are on."""
    size = 3 if layer is Same else 5
    sums = []
    for place in range(size * size):
        weight = torch.zeros(size * size, dtype=torch.float64)
        weight[place] = 1
        products = layer(weight.view(1, 1, size, size), None)._products
        parts = torch.cat([part.flatten() for line in products for part in line])
        assert torch.equal(parts * 2**WEIGHT_BITS, (parts * 2**WEIGHT_BITS).round())
        sums.append(float(parts.abs().sum()))
    assert max(sums) == WEIGHT_GROWTH


def test_an_input_grows_as_stated() -> None:
    """Tiles of inputs +-1 in all patterns that are a product of rows and columns, the extreme ones."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
    largest = 0.0
    for rows in signs:
        for columns in signs:
            tile = torch.outer(rows, columns)[:, 1:3, None].contiguous()
            largest = max(largest, float(_shared_inputs(tile).abs().max()))
    assert largest == INPUT_GROWTH
