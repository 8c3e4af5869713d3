"""Untrained models of CompressAI's own classes, small, with latents that are not all zero."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.codecs.base import Codec
from benchmark.zoo.architectures import architectures

N, M, GROUPS = 8, 12, [4, 8]
LOUDER = 3.0
"""What the analysis's last weights are multiplied by, so that latents do not all round to zero."""


def small(arch: str, seed: int = 0, **more: object) -> nn.Module:
    """Return an untrained model of few channels."""
    kind = architectures()[arch]
    known = {"N": N, "M": M, "groups": GROUPS}
    taken = inspect.signature(kind).parameters
    torch.manual_seed(seed)
    model = kind(**{name: size for name, size in known.items() if name in taken}, **more)
    with torch.no_grad():
        for weights in (p for p in model.g_a.parameters() if p.ndim == 4):  # type: ignore[operator, union-attr]
            weights.mul_(LOUDER)
    return model.eval()


def saved(model: nn.Module, path: Path) -> Path:
    """Write the model's state dict."""
    torch.save(model.state_dict(), path)
    return path


def codec_of(arch: str, folder: Path, **more: object) -> Codec:
    """Return the codec of one small model at point 3."""
    path = saved(small(arch), folder / f"{arch}.pth.tar")
    return make_codec("compressai", {"arch": arch, "checkpoints": {"3": str(path)}, **more})


def picture(width: int = 64, height: int = 64) -> Image:
    """Return shades, an edge and a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        128 + 90 * np.sin(x / 11) * np.cos(y / 17),
        60 + 120 * (x + y) / (width + height),
        190.0 * (x > y),
    ]
    noise = np.random.default_rng(3).normal(0, 4, (height, width, 3))
    image = np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)
    image.setflags(write=False)  # as some of the readers of images give them
    return image


def tensor(image: Image) -> torch.Tensor:
    """Return [1, 3, height, width] in 0 .. 1."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def pixels(x_hat: torch.Tensor) -> Image:
    """Return the 8-bit image of what a model decodes."""
    return (x_hat[0].detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
