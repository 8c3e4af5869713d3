"""What a checkpoint says of its making: recipe, data, start, versions, machine."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.training.data import Split
from benchmark.training.recipe import Schedule
from benchmark.training.sources import Source


def describe(
    recipe: Schedule,
    split: Split,
    start: Source | None,
    settings: Mapping[str, CalibratedSettings],
    *,
    device: str,
    network: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the training is made from, as JSON; equal `identity`, equal training.

    `settings` are those of the quantizer in the loop, by its name; `network` describes the architecture.
    """
    fixed = {
        "recipe": recipe.model_dump(),
        "data_sha256": split.digest(),
        "start_sha256": start.sha256 if start is not None else None,
        "settings": {name: value.to_json() for name, value in settings.items()},
        "network": dict(network),
    }
    return {
        **fixed,
        "identity": hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
        "photographs": len(split.train),
        "held_out": len(split.held_out),
        **_surroundings(device),
    }


def resumed(found: Mapping[str, Any], about: Mapping[str, Any], step: int) -> dict[str, Any]:
    """Return what a checkpoint says from `step` on that said `found` and is resumed as `about`.

    A training that goes on elsewhere (other threads, machine, versions) still begins where it began; the list
    `elsewhere` tells where it went on, for its numbers are then not those of an undisturbed run to the bit.
    """
    places = [found, *found.get("elsewhere", [])]
    here = {key: about[key] for key in ("device", "threads", "machine", "versions")}
    if any(places[-1].get(key) != value for key, value in here.items()):
        places.append({"step": step, **here})
    return {**about, **{key: found.get(key) for key in here}, "elsewhere": places[1:]}


def _surroundings(device: str) -> dict[str, Any]:
    machine = f"{platform.machine()} {platform.system()}, {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "machine": machine,
        "versions": {name: version(name) for name in ("torch", "compressai", "numpy")},
    }
