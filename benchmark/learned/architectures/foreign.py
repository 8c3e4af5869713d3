"""Networks of CompressAI known by their tensors: the sizes of a state dict, and whether it is of a class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

_STAGE = re.compile(r"g_a\.(\d+)\.weight")
_GROUP = re.compile(r"latent_codec\.y\.latent_codec\.y(\d+)\.context_prediction\.weight")


def sizes_in(kind: type[nn.Module], state: Mapping[str, Tensor]) -> dict[str, Any]:
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


def sizes_if_of(kind: type[nn.Module], state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return the sizes of a model of this kind if its parameters are these tensors, else None."""
    try:
        sizes = sizes_in(kind, state)
        parameters = dict(kind(**sizes).named_parameters())
    except (LookupError, ValueError, AssertionError, RuntimeError):  # sizes that no network has
        return None
    fits = all(name in state and state[name].shape == value.shape for name, value in parameters.items())
    unknown = [name for name in state if name.endswith(("weight", "bias")) and name not in parameters]
    return sizes if fits and not unknown else None
