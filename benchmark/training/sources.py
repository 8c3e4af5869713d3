"""Where a training starts from: our checkpoints, our weights files, or CompressAI's published weights."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from benchmark.errors import TrainingError, WeightsError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.loading import described, load_foreign, load_network, trained_state
from benchmark.learned.weights import ModelInfo, content_sha256, read_weights
from benchmark.training.checkpoint import best_weights, read_checkpoint

_COMPRESSAI = "compressai:"
_PUBLISHED = "mbt2018-mean"
_PUBLISHED_LMBDA = (0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18)
"""CompressAI's README: the lambdas of qualities 1 to 8 for MSE."""
_OLD_NAME = re.compile(
    r"^entropy_bottleneck\._(?P<stem>matri(?:x|ces\.)|bias(?:es\.)?|factor(?:s\.)?)(?P<layer>\d+)$"
)
_MODERN_STEMS = {
    **dict.fromkeys(("matrix", "matrices."), "matrices"),
    **dict.fromkeys(("bias", "biases."), "biases"),
    **dict.fromkeys(("factor", "factors."), "factors"),
}


@dataclass(frozen=True)
class Source:
    """A model to start from."""

    name: str
    description: Mapping[str, Any]
    """Of the network: architecture and config."""
    state: Mapping[str, Tensor]
    lmbda: float
    provenance: Mapping[str, Any]
    info: ModelInfo | None = None
    """Set if the model is a weights file, which may hold calibrated quantizer settings."""

    @property
    def sha256(self) -> str:
        """The identity of the weights."""
        return content_sha256(self.state)

    def network(self) -> Architecture:
        """Return a fresh network with these weights, in eval mode. Raises WeightsError if they do not fit."""
        return load_network(self.description, self.state)


def open_source(name: str, lmbda: float | None = None) -> Source:
    """Open a checkpoint, a weights file, a CompressAI state dict, or "compressai:mbt2018-mean:3".

    State dicts of CompressAI are read from .safetensors or from torch's own files, the latter by torch's
    restricted loader that runs no code. They do not say their lmbda: give it, but for published ones.
    Raises TrainingError for names and files that cannot be used and for another `lmbda` than the model says
    of itself, WeightsError for weights that do not fit.
    """
    source = _open(name, lmbda)
    if lmbda is not None and abs(source.lmbda - lmbda) > 1e-9:
        raise TrainingError(f"--from {name}: was trained for lmbda {source.lmbda:g}, not {lmbda:g}")
    return source


def _open(name: str, lmbda: float | None) -> Source:
    if name.startswith(_COMPRESSAI):
        return _published(name)
    path = Path(name)
    if not path.is_file():
        raise TrainingError(
            f"--from {name}: no such file; give a checkpoint, weights, or compressai:{_PUBLISHED}:3"
        )
    if path.suffix != ".safetensors":
        return _foreign(name, _load_restricted(path), lmbda)
    kind = _kind_of(path)
    if kind == "weights":
        state, info = read_weights(path, path.parent.parent)
        return Source(name, info.network, state, info.lmbda, info.provenance, info)
    if kind == "checkpoint":
        model, adam, course, about = read_checkpoint(path)
        tensors = best_weights(model, adam)
        network = load_network(about["network"], tensors) if "network" in about else load_foreign(tensors)
        return _source(name, network, about["recipe"]["lmbda"], {**about, "course": course.summary()})
    return _foreign(name, load_file(path), lmbda)


def _kind_of(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"--from {path}: damaged or no safetensors file: {error}") from error
    if "bench" in metadata:
        return "weights"
    return "checkpoint" if "course" in metadata else "foreign"


def _load_restricted(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise TrainingError(
            f"--from {path}: no state dict that torch reads without running code: {error}"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TrainingError(f"--from {path}: holds no state dict (names to tensors)")
    return state


def _foreign(name: str, state: Mapping[str, Tensor], lmbda: float | None) -> Source:
    if lmbda is None:
        raise TrainingError(f"--from {name}: a plain state dict does not say its lmbda; give --from-lmbda")
    try:
        network = load_foreign(_modern_names(state))
    except WeightsError as error:
        raise WeightsError(f"--from {name}: {error}") from error
    return _source(name, network, lmbda, {"source": name})


def _source(name: str, network: Architecture, lmbda: float, provenance: Mapping[str, Any]) -> Source:
    return Source(name, described(network), trained_state(network), lmbda, provenance)


def _modern_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` with the names that CompressAI gives today.

    Earlier releases wrote `_matrix0`, the first ones, and so the published files, `_matrices.0` (CompressAI's
    issue 125).
    """
    return {_OLD_NAME.sub(_modern_name, name.removeprefix("module.")): t for name, t in state.items()}


def _modern_name(old: re.Match[str]) -> str:
    return f"entropy_bottleneck.{_MODERN_STEMS[old['stem']]}.{old['layer']}"


def _published(name: str) -> Source:
    from compressai.zoo.image import model_urls

    parts = name.removeprefix(_COMPRESSAI).split(":")
    qualities = model_urls[_PUBLISHED]["mse"]
    if (
        len(parts) != 2
        or parts[0] != _PUBLISHED
        or not parts[1].isdecimal()
        or int(parts[1]) not in qualities
    ):
        raise TrainingError(f"--from {name}: known are compressai:{_PUBLISHED}:1 to :{max(qualities)}")
    url = qualities[int(parts[1])]
    try:
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        raise TrainingError(f"--from {name}: {url} cannot be fetched: {error}") from error
    return _foreign(name, state, _PUBLISHED_LMBDA[int(parts[1]) - 1])
