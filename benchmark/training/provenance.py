"""What a checkpoint says of its making: recipe, data, start, versions, machine."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import Any

import torch

from benchmark.training.data import Split
from benchmark.training.recipe import Schedule
from benchmark.training.sources import Source


def describe(recipe: Schedule, split: Split, start: Source | None) -> dict[str, Any]:
    """Return what the training is made from, as JSON; equal `identity`, equal training."""
    fixed = {
        "recipe": recipe.model_dump(),
        "data_sha256": split.digest(),
        "start_sha256": start.sha256 if start is not None else None,
    }
    return {
        **fixed,
        "identity": hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
        "photographs": len(split.train),
        "held_out": len(split.held_out),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()} {platform.system()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": {name: version(name) for name in ("torch", "compressai", "numpy")},
    }
