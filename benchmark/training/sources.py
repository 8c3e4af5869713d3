"""Where a training starts from: our checkpoints, our weights files, or CompressAI's published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from benchmark.errors import TrainingError, WeightsError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.loading import described, load_foreign, load_network, trained_state
from benchmark.learned.weights import ModelInfo, content_sha256, read_weights
from benchmark.training.checkpoint import best_weights, read_checkpoint
from benchmark.zoo.architectures import looks_like
from benchmark.zoo.checkpoint import read_state
from benchmark.zoo.published import addresses, fetched

_COMPRESSAI = "compressai:"
_PUBLISHED = "mbt2018-mean"
_PUBLISHED_LMBDA = (0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18)
"""CompressAI's README: the lambdas of qualities 1 to 8 for MSE."""


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

    State dicts of CompressAI are read from .safetensors or from torch's own files in every shape that
    `zoo.checkpoint.read_state` knows, without running code of theirs. They do not say their lmbda: give it,
    but for published ones.
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
    kind = _kind_of(path) if path.suffix == ".safetensors" else "foreign"
    if kind == "weights":
        state, info = read_weights(path, path.parent.parent)
        return Source(name, info.network, state, info.lmbda, info.provenance, info)
    if kind == "checkpoint":
        model, adam, course, about = read_checkpoint(path)
        tensors = best_weights(model, adam)
        network = load_network(about["network"], tensors) if "network" in about else load_foreign(tensors)
        return _source(name, network, about["recipe"]["lmbda"], {**about, "course": course.summary()})
    return _foreign(name, path, lmbda)


def _kind_of(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"--from {path}: damaged or no safetensors file: {error}") from error
    if "bench" in metadata:
        return "weights"
    return "checkpoint" if "course" in metadata else "foreign"


def _foreign(name: str, path: Path, lmbda: float | None) -> Source:
    try:
        state = read_state(path)
    except WeightsError as error:
        raise TrainingError(f"--from {error}") from error
    if lmbda is None:
        raise TrainingError(f"--from {name}: a plain state dict does not say its lmbda; give --from-lmbda")
    try:
        network = load_foreign(state)
    except WeightsError as error:
        raise WeightsError(f"--from {name}: {error}{_likeness(state)}") from error
    return _source(name, network, lmbda, {"source": name})


def _likeness(state: Mapping[str, Tensor]) -> str:
    """Return what the weights look like, and which codec runs them, if CompressAI has such a model."""
    arch = looks_like(state)
    if arch is None:
        return ""
    return (
        f"; they look like those of CompressAI's {arch!r}, which the codec compressai runs as it is: "
        f"--option arch={arch} --option checkpoints.POINT=FILE"
    )


def _source(name: str, network: Architecture, lmbda: float, provenance: Mapping[str, Any]) -> Source:
    return Source(name, described(network), trained_state(network), lmbda, provenance)


def _published(name: str) -> Source:
    parts = name.removeprefix(_COMPRESSAI).split(":")
    known = addresses(_PUBLISHED, "mse")
    if (
        len(parts) != 2
        or parts[0] != _PUBLISHED
        or not parts[1].isdecimal()
        or (quality := int(parts[1])) not in known
    ):
        raise TrainingError(f"--from {name}: known are compressai:{_PUBLISHED}:1 to :{max(known):g}")
    try:
        file = fetched(known[quality])
    except WeightsError as error:
        raise TrainingError(f"--from {name}: {error}") from error
    return _foreign(name, file, _PUBLISHED_LMBDA[quality - 1])
