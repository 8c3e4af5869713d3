"""From a description and tensors to a network, and from a network to what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from benchmark.errors import UsageError, WeightsError
from benchmark.learned.architectures import ARCHITECTURES
from benchmark.learned.architectures.base import Architecture


def described(network: Architecture) -> dict[str, Any]:
    """Return the network's name and config, JSON, from which `build` makes one like it."""
    return {"architecture": network.name, **network.config.model_dump()}


def build(description: Mapping[str, Any]) -> Architecture:
    """Return a new network of a description that `described` gave.

    Raises WeightsError for an architecture that is not known here and for a config that it does not take.
    """
    fields = dict(description)
    kind = _kind(fields)
    fields.pop("architecture")
    try:
        return kind(**kind.config_type.model_validate(fields).model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        raise WeightsError(f"{kind.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _kind(description: Mapping[str, Any]) -> type[Architecture]:
    try:
        return ARCHITECTURES.find(str(description.get("architecture")))
    except UsageError as error:
        raise WeightsError(f"{error}; a package that adds it may not be installed here") from error


def lmbda_range(description: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the rates that networks of a description serve; None for a single one. Raises as `build`."""
    return _kind(description).lmbda_range


def load_network(description: Mapping[str, Any], state: Mapping[str, Tensor]) -> Architecture:
    """Return the network of a description with the tensors `state`, in eval mode.

    Raises WeightsError as `build` and `load_tensors` do.
    """
    network = build(description)
    load_tensors(network, state)
    return network.eval()


def load_foreign(state: Mapping[str, Tensor]) -> Architecture:
    """Return a network with the tensors of a state dict that does not say what it is of, in eval mode.

    Raises WeightsError if no architecture recognises it, or as `load_tensors` does.
    """
    for _, kind in ARCHITECTURES.items():
        if (config := kind.recognise(state)) is not None:
            network = kind(**config.model_dump())
            load_tensors(network, state)
            return network.eval()
    known = ", ".join(ARCHITECTURES.names())
    raise WeightsError(f"these are not the weights of any architecture known here ({known})")


def load_tensors(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load `state` into `network`; coding tables that CompressAI keeps in its state dicts are left out.

    Raises WeightsError if tensors are missing, left over, of another shape, or not finite.
    """
    own = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if not _is_coding_table(name)}
    wanted = {name for name in own if not _is_coding_table(name)}
    if missing := sorted(wanted - given.keys()):
        raise WeightsError(f"weights lack {len(missing)} tensors of the network, {missing[0]!r} first")
    if unknown := sorted(given.keys() - wanted):
        raise WeightsError(
            f"weights hold {len(unknown)} tensors that the network has not, {unknown[0]!r} first"
        )
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(f"{name}: shape {list(tensor.shape)}, the network has {list(own[name].shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{name} holds values that are not finite")
    network.load_state_dict({**own, **{name: tensor.float() for name, tensor in given.items()}})


def trained_state(network: Architecture) -> dict[str, Tensor]:
    """Return the tensors that training made: the state dict without coding tables and constants."""
    return {name: t.detach() for name, t in network.state_dict().items() if not _is_coding_table(name)}


def _is_coding_table(name: str) -> bool:
    """Tell the buffers that depend on the entropy coder or are constants, not on training."""
    leaf = name.rsplit(".", 1)[-1]
    return leaf in {
        "_offset",
        "_quantized_cdf",
        "_cdf_length",
        "scale_table",
        "scale_bound",
        "bound",
        "pedestal",
        "target",
    }
