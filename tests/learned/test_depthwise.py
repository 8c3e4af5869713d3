"""The depthwise convolution equals torch's, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.learned.architectures.depthwise import Depthwise


def pair(channels: int, size: int) -> tuple[nn.Conv2d, Depthwise]:
    torch.manual_seed(channels)
    peer = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels)
    ours = Depthwise(channels, size)
    ours.load_state_dict(peer.state_dict())
    return peer, ours


@pytest.mark.parametrize(
    ("channels", "size", "shape"), [(8, 5, (2, 12, 9)), (3, 3, (1, 4, 4)), (1, 5, (3, 2, 7))]
)
def test_equals_torch_forward_and_backward(channels: int, size: int, shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    found = []
    for layer in pair(channels, size):
        x = (
            torch.linspace(-1, 1, batch * channels * height * width)
            .view(batch, channels, height, width)
            .sin()
        )
        x.requires_grad_()
        out = layer(x)
        (out * torch.arange(out.numel()).view_as(out).cos()).sum().backward()
        found.append((out, x.grad, layer.weight.grad, layer.bias.grad))
    for peer, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, peer, rtol=1e-4, atol=1e-5)


def test_gradients_of_frozen_parts_are_not_made_and_low_precision_stays_near() -> None:
    peer, ours = pair(16, 5)
    ours.requires_grad_(False)
    x = torch.randn(2, 16, 10, 10, generator=torch.Generator().manual_seed(1))
    grads = []
    for layer in (peer, ours):
        moving = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(moving)
        assert out.dtype == torch.bfloat16
        out.float().square().sum().backward()
        grads.append(moving.grad)
    assert ours.weight.grad is None
    assert grads[1].dtype == torch.float32
    torch.testing.assert_close(grads[1], grads[0], rtol=0.05, atol=0.05)
