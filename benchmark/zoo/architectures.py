"""The image architectures of the installed CompressAI: from an architecture's name and tensors to a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from torch import Tensor, nn

from benchmark.errors import UsageError, WeightsError, did_you_mean
from benchmark.learned.architectures.foreign import sizes_in
from benchmark.learned.architectures.loading import load_tensors
from benchmark.torchvision_stub import make_compressai_importable
from benchmark.zoo.checkpoint import modern_name

_PACKAGE = "compressai.models"

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


def is_autoregressive(arch: str) -> bool:
    """Tell whether each latent's parameters depend on the latents before it in its own step."""
    from compressai.models import JointAutoregressiveHierarchicalPriors

    return issubclass(find_architecture(arch), JointAutoregressiveHierarchicalPriors)


def _filled(kind: type[nn.Module], state: Mapping[str, Tensor]) -> nn.Module:
    """Return a model with these tensors. Raises one of _MISFIT if they are not of this kind."""
    model: nn.Module = kind(**sizes_in(kind, state))
    # The bottleneck of variable-rate models still has the names of old.
    own_names = {modern_name(name): name for name in model.state_dict()}
    load_tensors(model, {own_names.get(name, name): tensor for name, tensor in state.items()})
    return model
