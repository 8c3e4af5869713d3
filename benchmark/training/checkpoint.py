"""Checkpoints: network, optimizer and course of a training in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.errors import TrainingError
from benchmark.files import write_atomically

_MODEL, _ADAM = "model/", "adam/"
AVERAGE = "average"
"""The averaged weights' key among what the optimizer keeps of a parameter."""


@dataclass
class Course:
    """How far a training has come and how it went there; JSON in the checkpoint's metadata."""

    step: int = 0
    seconds: float = 0.0
    losses: list[dict[str, float]] = field(default_factory=list)
    """One entry per logged window: step, loss, bpp, mse (255 scale), learning rate."""
    validations: list[dict[str, float]] = field(default_factory=list)
    """One entry per validation: step, bpp (entropy estimate), psnr, cost."""
    window: list[tuple[float, float, float]] = field(default_factory=list)
    """Loss, bpp and mse of the steps since the last entry of `losses`."""

    def summary(self) -> dict[str, Any]:
        """Return what weights files keep of it: steps, seconds, the last validation, every tenth loss."""
        last = self.validations[-1] if self.validations else None
        losses = [[entry["step"], round(entry["loss"], 4)] for entry in self.losses[9::10]]
        return {"steps": self.step, "seconds": round(self.seconds), "validation": last, "losses": losses}


def check_writable(folder: Path, option: str) -> None:
    """Make `folder` if it is not there. Raises TrainingError, naming `option`, if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f"{option} {folder}: cannot be written to: {error.strerror}") from error


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, course: Course, about: Mapping[str, Any]
) -> None:
    """Write everything that the next step depends on to `path`, atomically and durably.

    `about` is what the training was made from (recipe, data hash, settings, versions): JSON. Raises
    TrainingError if the file cannot be written; the one before it is kept then.
    """
    tensors = {
        _MODEL + name: value.detach().contiguous().cpu() for name, value in network.state_dict().items()
    }
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{_ADAM}{name}/{key}"] = value.detach().contiguous().cpu()
    metadata = {"about": json.dumps(about), "course": json.dumps(course.__dict__)}
    try:
        write_atomically(path, save(tensors, metadata), durable=True)
    except OSError as error:
        kept = "the one before it is kept" if path.exists() else "there is none yet"
        raise TrainingError(
            f"{path}: step {course.step} cannot be saved ({error.strerror}), {kept}; "
            f"correct that and rerun to resume from the checkpoint"
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], Course, dict[str, Any]]:
    """Return (network state, optimizer state, course, about) of the checkpoint at `path`.

    Raises TrainingError if the file is none of ours or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        course, about = Course(**json.loads(metadata["course"])), json.loads(metadata["about"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path} is no checkpoint of a training, or damaged: {error}") from error
    model = {name.removeprefix(_MODEL): t for name, t in tensors.items() if name.startswith(_MODEL)}
    adam = {name.removeprefix(_ADAM): t for name, t in tensors.items() if name.startswith(_ADAM)}
    return model, adam, course, about


def best_weights(model: Mapping[str, Tensor], adam: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's state, with its averaged weights where the training kept an average."""
    averages = {name.rpartition("/")[0]: t for name, t in adam.items() if name.rpartition("/")[2] == AVERAGE}
    return {**model, **averages}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, network: nn.Module, adam: Mapping[str, Tensor]
) -> None:
    """Put the optimizer's state back, in the memory layout that it had: sums then round as before."""
    for name, parameter in network.named_parameters():
        keys = [key for key in adam if key.rpartition("/")[0] == name]
        if keys:
            optimizer.state[parameter] = {key.rpartition("/")[2]: _like(parameter, adam[key]) for key in keys}


def _like(parameter: Tensor, saved: Tensor) -> Tensor:
    if saved.shape != parameter.shape:  # Adam's step counter
        return saved.to(parameter.device, copy=True)
    return torch.empty_like(parameter, memory_format=torch.preserve_format).detach().copy_(saved)
