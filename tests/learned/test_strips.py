"""Strips and threads: the same as whole-image convolutions, and the same bits whatever the threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tiny_model import photograph_like, tiny_network

from benchmark.learned.architectures.mean_scale import HyperSynthesis

SIZES = [(64, 64), (64, 320), (192, 448), (384, 128)]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("size", SIZES)
def test_strips_give_what_the_whole_network_gives(size: tuple[int, int]) -> None:
    network = tiny_network()
    image = photograph_like(*size)
    y, z = network.transforms().analysis(image)
    whole = network.double()
    with torch.inference_mode():
        x = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
        expected = whole.g_a(x) + whole.g_a_linear(x)
        x_hat = whole.g_s(y.double()) + whole.g_s_linear(y.double())
    assert y.shape == expected.shape
    assert float((y - expected).abs().max()) < 5e-4  # DC is a difference of large sums in the linear branch
    assert z.shape == (1, network.N, size[0] // 64, size[1] // 64)
    pixels = tiny_network().transforms().synthesis(y[0].numpy())
    off = (x_hat[0].permute(1, 2, 0).numpy() * 255).clip(0, 255) - pixels
    assert pixels.shape == image.shape
    assert np.abs(off).max() < 0.501


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [(8, 12), (5, 6)])
def test_threads_do_not_change_a_bit(size: tuple[int, int], channels: tuple[int, int]) -> None:
    network = tiny_network(1, *channels)
    image = photograph_like(*size)
    rng = np.random.default_rng(0)
    y_hat = rng.normal(0, 3, (channels[1], size[0] // 16, size[1] // 16)).astype(np.float32)
    z_hat = rng.integers(-20, 20, (channels[0], size[0] // 64, size[1] // 64)).astype(np.float64)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        transforms = network.transforms()
        y, _ = transforms.analysis(image)
        results.append(
            (y.numpy(), transforms.synthesis(y_hat), *HyperSynthesis(network.h_s).parameters(z_hat))
        )
        assert torch.get_num_threads() == threads
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_an_error_in_a_thread_arrives_and_the_thread_count_comes_back() -> None:
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError):
        tiny_network().transforms().synthesis(np.zeros((11, 4, 4), np.float32))  # M is 12
    assert torch.get_num_threads() == 2
