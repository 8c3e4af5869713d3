"""In which precision weights are stored."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.errors import WeightsError


def exactly(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each tensor as float16 if that holds its every number, else as float32."""
    whole = {name: tensor.detach().float().cpu().contiguous() for name, tensor in state.items()}
    half = {name: tensor.half() for name, tensor in whole.items()}
    return {name: half[name] if torch.equal(half[name].float(), t) else t for name, t in whole.items()}


def to_half(state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each tensor as float16: those of `base` as differences, and only where they differ.

    Raises WeightsError for numbers beyond float16's range.
    """
    tensors = {}
    for name, tensor in state.items():
        value = tensor.detach().float().cpu()
        if name in base:
            value = value - base[name]
            if not bool(value.any()):
                continue
        tensors[name] = value.to(torch.float16).contiguous()
        if not bool(torch.isfinite(tensors[name]).all()):
            raise WeightsError(
                f"{name} has values beyond float16's range (largest {float(value.abs().max()):g})"
            )
    return tensors
