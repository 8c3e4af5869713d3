"""The parts of `patch`: its sizes, and the transforms without their linear branches."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from benchmark.learned.architectures.base import Config
from benchmark.learned.architectures.depthwise import Depthwise
from benchmark.learned.architectures.layers import conv


class PatchConfig(Config):
    """Channels and depths; groups: channels of the latents, group by group, coded in this order."""

    fine: int = Field(default=96, ge=1, le=1024)
    """Channels at 1/8."""
    coarse: int = Field(default=192, ge=1, le=1024)
    """Channels at 1/16."""
    blocks: tuple[int, int] = (3, 3)
    """Blocks at 1/8 and at 1/16."""
    N: int = Field(default=96, ge=1, le=1024)
    """Channels of the hyper-latents."""
    features: int = Field(default=128, ge=1, le=1024)
    hidden: int = Field(default=128, ge=1, le=1024)
    """Channels of the hyper decoder's output, and of the parameter networks."""
    groups: tuple[int, ...] = (16, 16, 32, 32, 64)


class Block(nn.Module):
    """x + gain * narrow(gelu(widen(depthwise 5x5 of x))), the gain linear in t."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, 5)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        self.gain = nn.Parameter(torch.full((channels,), 0.2))
        self.gain_slope = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return float [batch, channels, h, w]; t is [batch or 1, 1, 1, 1]."""
        gain = self.gain.view(1, -1, 1, 1) + t * self.gain_slope.view(1, -1, 1, 1)
        inside = functional.gelu(self.widen(self.depthwise(x)), approximate="tanh")
        return cast(Tensor, x + gain.to(x.dtype) * self.narrow(inside))


class Analysis(nn.Module):
    """RGB to latents, without the linear branch."""

    def __init__(self, config: PatchConfig, latents: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, config.fine, 16, stride=8, padding=4)
        self.fine = nn.ModuleList(Block(config.fine) for _ in range(config.blocks[0]))
        self.down = nn.Conv2d(4 * config.fine, config.coarse, 1)
        self.coarse = nn.ModuleList(Block(config.coarse) for _ in range(config.blocks[1]))
        self.last = nn.Conv2d(config.coarse, latents, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return float [batch, latents, height / 16, width / 16]."""
        return cast(Tensor, self.last(self.features(x, t)))

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """Return what the last layer has, float [batch, coarse, height / 16, width / 16]."""
        u: Tensor = self.stem(4 * x - 2)
        for block in self.fine:
            u = block(u, t)
        u = self.down(functional.pixel_unshuffle(u, 2))
        for block in self.coarse:
            u = block(u, t)
        return u


class Synthesis(nn.Module):
    """Latents to RGB, without the linear branch."""

    def __init__(self, config: PatchConfig, latents: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(latents, config.coarse, 1)
        self.coarse = nn.ModuleList(Block(config.coarse) for _ in range(config.blocks[1]))
        self.up = nn.Conv2d(config.coarse, 4 * config.fine, 1)
        self.fine = nn.ModuleList(Block(config.fine) for _ in range(config.blocks[0]))
        self.last = nn.ConvTranspose2d(config.fine, 3, 16, stride=8, padding=4)

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """Return float [batch, 3, height, width]."""
        u = self.first(y)
        for block in self.coarse:
            u = block(u, t)
        u = functional.pixel_shuffle(self.up(u), 2)
        for block in self.fine:
            u = block(u, t)
        return cast(Tensor, self.last(u))


class HyperAnalysis(nn.Module):
    """Latents to hyper-latents, a quarter of the rows and columns."""

    def __init__(self, config: PatchConfig, latents: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(latents, config.N, 1)
        self.block = Block(config.N)
        self.down = nn.Sequential(conv(config.N, config.N), nn.LeakyReLU(), conv(config.N, config.N))

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """Return float [batch, N, h / 4, w / 4]."""
        return cast(Tensor, self.down(self.block(self.first(y), t)))
