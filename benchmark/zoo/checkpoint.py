"""State dicts as people leave them: raw or inside a checkpoint, wrapped, half precision, old names.

Reading runs no code of the file (see `unpickling`).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark.errors import WeightsError
from benchmark.zoo import unpickling

_HOLDERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which keys training scripts put the state dict; the first that there is counts."""
_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before each name: never part of a network."""
_OWNERS = ("model.", "net.")
"""What the network is called in a Lightning module or a trainer; dropped where the analysis is under it."""
_ANALYSIS = "g_a."

_OLD_NAME = re.compile(
    r"(?P<at>(?:^|\.)entropy_bottleneck\.)_"
    r"(?P<stem>matri(?:x|ces\.)|bias(?:es\.)?|factor(?:s\.)?)(?P<layer>\d+)$"
)
_MODERN_STEMS = {
    **dict.fromkeys(("matrix", "matrices."), "matrices"),
    **dict.fromkeys(("bias", "biases."), "biases"),
    **dict.fromkeys(("factor", "factors."), "factors"),
}


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a network by the names that CompressAI gives today, floating ones as float32.

    Reads .safetensors, and torch's files of every age and suffix (.pth, .pt, .pth.tar, .ckpt): a raw state
    dict, or one under `state_dict`, `model_state_dict`, `model` or `net`, with the prefixes of DataParallel,
    torch.compile and Lightning, before or after `update()`. Raises WeightsError, naming the file, if there
    is none, or it cannot be read, or holds no state dict.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    content = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    state = _state_in(content)
    if state is None:
        raise WeightsError(f"{path}: holds no state dict (names to tensors), but {_said_of(content)}")
    named = {modern_name(name): tensor for name, tensor in _without_prefixes(state).items()}
    return {name: t.detach().float() if t.is_floating_point() else t.detach() for name, t in named.items()}


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: damaged or no safetensors file: {error}") from error


def _torch(path: Path) -> object:
    if _is_torchscript(path):
        raise WeightsError(f"{path}: is a TorchScript program; save the state dict of its model instead")
    try:
        return torch.load(  # nosec B614  # our unpickler runs nothing
            path, map_location="cpu", pickle_module=unpickling, weights_only=False
        )
    except Exception as error:  # damage shows itself as anything from struct.error to KeyError
        raise WeightsError(f"{path}: no file that torch reads as tensors: {error}") from error


def _is_torchscript(path: Path) -> bool:
    """Tell the archives that `torch.load` would hand to `torch.jit.load`, which builds code from them."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())


def _state_in(content: object) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping):
        return None
    for holder in _HOLDERS:
        if (found := _state_in(content.get(holder))) is not None:
            return found
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return tensors or None


def _said_of(content: object) -> str:
    held = content.values() if isinstance(content, Mapping) else (content,)
    if any(isinstance(value, unpickling.Skipped) for value in held):
        return "a whole pickled object, not to be had without running code; save its state_dict() instead"
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(sorted(map(str, content))[:8]) or 'nothing'}"
    return f"an object of type {type(content).__name__}"


def _without_prefixes(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return `state` under the network's own names, to whatever depth wrappers and owners are nested."""
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            return _without_prefixes(_inside(state, prefix))
    if _has_analysis(state):
        return state
    for prefix in _OWNERS + _WRAPPERS:
        inside = _inside(state, prefix)
        if inside and _has_analysis(own := _without_prefixes(inside)):
            return own
    return state


def _has_analysis(state: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(_ANALYSIS) for name in state)


def _inside(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def modern_name(name: str) -> str:
    """Return a tensor's name in CompressAI of today.

    Earlier releases wrote `_matrix0`, the first ones, and so the published files, `_matrices.0` (CompressAI's
    issue 125), and `downsample` where residual blocks have `skip`.
    """
    renamed = _OLD_NAME.sub(lambda old: f"{old['at']}{_MODERN_STEMS[old['stem']]}.{old['layer']}", name)
    return renamed.replace(".downsample.", ".skip.")
