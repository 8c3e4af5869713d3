"""The image architectures of the installed CompressAI: from an architecture's name and tensors to a model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

from benchmark.errors import UsageError, WeightsError, did_you_mean
from benchmark.learned.architectures.loading import load_tensors
from benchmark.torchvision_stub import make_compressai_importable
from benchmark.zoo.checkpoint import modern_name

_PACKAGE = "compressai.models"
_STAGE = re.compile(r"g_a\.(\d+)\.weight")
_GROUP = re.compile(r"latent_codec\.y\.latent_codec\.y(\d+)\.context_prediction\.weight")

_MISFIT = (WeightsError, LookupError, ValueError, AssertionError, RuntimeError)
"""What making a model of sizes that no network has, or filling it with another's tensors, ends in."""


@cache
def architectures() -> Mapping[str, type[nn.Module]]:
    """Return CompressAI's image models by the names under which it registers them."""
    make_compressai_importable()
    from compressai.registry import MODELS

    # Models of videos and of point clouds stand in packages of their own.
    image = {name: kind for name, kind in MODELS.items() if kind.__module__.rpartition(".")[0] == _PACKAGE}
    found: dict[str, type[nn.Module]] = image
    return found


def find_architecture(name: str) -> type[nn.Module]:
    """Return the class of that name. Raises UsageError, with near names."""
    found = architectures().get(name)
    if found is None:
        raise UsageError(
            f"arch {name!r} is no image model of CompressAI; {did_you_mean(name, architectures())}"
        )
    return found


def build(name: str, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the model of an architecture with these tensors, of their sizes, in eval mode.

    CompressAI's own `from_state_dict` is not used: ELIC's assumes M = 320 and its default groups. Coding
    tables in `state` are left out, since `update` makes them. Raises UsageError for an unknown
    architecture, WeightsError, naming what the weights look like, if they are not of this one.
    """
    kind = find_architecture(name)
    try:
        model = _filled(kind, state)
    except _MISFIT as error:
        likeness = looks_like(state)
        hint = f"they look like those of {likeness!r}" if likeness else f"({error or type(error).__name__})"
        raise WeightsError(f"these are not the weights of {name!r}; {hint}") from error
    return model.eval()


def looks_like(state: Mapping[str, Tensor]) -> str | None:
    """Return the architecture of which these are the weights, None if CompressAI has none that fits."""
    for name, kind in architectures().items():
        try:
            _filled(kind, state)
        except _MISFIT:
            continue
        return name
    return None


def _filled(kind: type[nn.Module], state: Mapping[str, Tensor]) -> nn.Module:
    """Return a model with these tensors. Raises one of _MISFIT if they are not of this kind."""
    model: nn.Module = kind(**_sizes(kind, state))
    # The bottleneck of variable-rate models still has the names of old.
    own_names = {modern_name(name): name for name in model.state_dict()}
    load_tensors(model, {own_names.get(name, name): tensor for name, tensor in state.items()})
    return model


def _sizes(kind: type[nn.Module], state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of a model that fits the tensors. Raises LookupError where these are not there."""
    stages = [int(match[1]) for name in state if (match := _STAGE.fullmatch(name))]
    groups = {int(match[1]): len(state[name]) // 2 for name in state if (match := _GROUP.fullmatch(name))}
    known: dict[str, Callable[[], object]] = {
        "N": lambda: len(state["g_a.0.weight" if "g_a.0.weight" in state else "g_a.0.conv1.weight"]),
        "M": lambda: len(state[f"g_a.{max(stages, default='?')}.weight"]),
        "groups": lambda: [groups[number] for number in sorted(groups)],
        "vr_entbttlnck": lambda: any(name.startswith("gayn2zqstep.") for name in state),
    }
    parameters = inspect.signature(kind).parameters
    return {name: size() for name, size in known.items() if name in parameters}
