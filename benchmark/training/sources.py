"""Where a training starts from: checkpoints and weights files of ours, or weights of CompressAI's models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from benchmark.errors import TrainingError, UsageError, WeightsError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.loading import described, load_foreign, load_network, trained_state
from benchmark.learned.weights import ModelInfo, content_sha256, read_weights
from benchmark.training.checkpoint import best_weights, read_checkpoint
from benchmark.training.slope import estimated_lmbda
from benchmark.zoo.architectures import is_autoregressive, looks_like
from benchmark.zoo.checkpoint import read_state
from benchmark.zoo.published import addresses, fetched, published_form

_COMPRESSAI = "compressai:"
_EXAMPLE = "compressai:mbt2018-mean:3"
_PUBLISHED_LMBDA = (0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18)
"""CompressAI's README: the lambdas of qualities 1 to 8 for MSE."""
_AUTOREGRESSIVE = (
    " (autoregressive: the choice at a position moves the parameters of the next, so that no quantizer can "
    "search along them)"
)


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
    foreign: bool = False
    """Whether the weights were made elsewhere: they are stored as they are, whatever precision that takes."""

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
        raise TrainingError(f"--from {name}: no such file; give a checkpoint, weights, or {_EXAMPLE}")
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
    network = _network_of(name, state)
    if lmbda is None:
        seems = estimated_lmbda(network)
        hint = "" if seems is None else f" (the weights behave as if trained for about {seems:.2g})"
        raise TrainingError(
            f"--from {name}: a plain state dict does not say its lmbda; give --from-lmbda{hint}"
        )
    return _source(name, network, lmbda, {"source": name}, foreign=True)


def _network_of(name: str, state: Mapping[str, Tensor]) -> Architecture:
    try:
        return load_foreign(state)
    except WeightsError as error:
        raise WeightsError(f"--from {name}: {error}{_likeness(state)}") from error


def _likeness(state: Mapping[str, Tensor]) -> str:
    """Return what the weights look like, and which codec runs them, if CompressAI has such a model."""
    arch = looks_like(state)
    if arch is None:
        return ""
    why = _AUTOREGRESSIVE if is_autoregressive(arch) else ""
    return (
        f"; they look like those of CompressAI's {arch!r}{why}, which the codec compressai runs as it is: "
        f"--option arch={arch} --option checkpoints.POINT=FILE"
    )


def _source(
    name: str, network: Architecture, lmbda: float, provenance: Mapping[str, Any], *, foreign: bool = False
) -> Source:
    return Source(name, described(network), trained_state(network), lmbda, provenance, foreign=foreign)


def _published(name: str) -> Source:
    arch, _, quality = name.removeprefix(_COMPRESSAI).partition(":")
    try:
        known = addresses(arch, "mse")
    except UsageError as error:
        raise TrainingError(f"--from {name}: {error}") from error
    if not quality.isdecimal() or int(quality) not in known or int(quality) > len(_PUBLISHED_LMBDA):
        raise TrainingError(f"--from {name}: known are {_COMPRESSAI}{arch}:1 to :{max(known):g}")
    _network_of(name, published_form(arch, int(quality)))  # refused before anything is fetched
    try:
        file = fetched(known[int(quality)])
    except WeightsError as error:
        raise TrainingError(f"--from {name}: {error}") from error
    return _foreign(name, file, _PUBLISHED_LMBDA[int(quality) - 1])
