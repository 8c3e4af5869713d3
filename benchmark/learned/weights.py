"""Trained weights as safetensors with a manifest: found, checked, loaded; nothing is ever unpickled.

A weights folder holds `manifest.json` and `<variant>/<lmbda>.safetensors`. Tensors are float16, those of
weights made elsewhere float32 where float16 would change them; all are computed with as float32. A variant
whose file names a `base` holds differences: only the retrained tensors, each as retrained minus base. The
metadata of every file is JSON: network, lmbda, variant, quantizer settings, provenance, sha256. Files and
manifests that call the variant "arm", as they used to, are read as well.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchError, WeightsError
from benchmark.files import locked, read_text, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.learned.architectures.base import Architecture
    from benchmark.learned.quantizers.by_rate import CalibratedSettings

MANIFEST = "manifest.json"
USUAL_LMBDAS = (0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483)
"""Those of CompressAI's qualities 1 to 6 for MSE: the default points of a network that serves a range."""
_FLOAT32_SLACK = 1e-6
_LOCK = ".lock"
_METADATA_KEY = "bench"
_VARIANT, _FORMER_VARIANT = "variant", "arm"
_LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class ModelInfo:
    """What a weights file says of its model.

    `network` is the description of its architecture (`architectures.loading.described`).
    `sha256` is the model's identity: a hash of every number that the network computes with, whatever file
    it came from. `settings` are the calibrated ones by quantizer; one not listed has its defaults.
    `provenance` tells how the weights were made: recipe, data hash, versions, validation.
    """

    variant: str
    lmbda: float
    network: Mapping[str, Any]
    sha256: str
    settings: Mapping[str, CalibratedSettings] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None
    lmbda_range: tuple[float, float] | None = None
    """The rates that a variable-rate network serves; `lmbda` is then the one in the middle."""


def weights_folder() -> Path:
    """Return the folder that models are loaded from: BENCH_WEIGHTS_DIR if set, else the package's own."""
    chosen = os.environ.get("BENCH_WEIGHTS_DIR", "").strip()
    return Path(chosen) if chosen else shipped_folder()


def shipped_folder() -> Path:
    """Return the package's own weights folder."""
    return Path(__file__).parent / "shipped"


def available(variant: str, folder: Path | None = None) -> tuple[float, ...]:
    """Return the usual lambdas for which `variant` has weights, rising; empty if there are none.

    Imports no torch. Raises WeightsError if the manifest is damaged.
    """
    return tuple(sorted({lmbda for entry in entries_of(variant, folder) for lmbda in _usual(entry)}))


def entries_of(variant: str, folder: Path | None = None) -> list[dict[str, Any]]:
    """Return the manifest's entries of `variant`, lambda rising. Raises as `read_manifest`."""
    mine = [entry for entry in read_manifest(folder) if entry[_VARIANT] == variant]
    return sorted(mine, key=lambda entry: float(entry["lmbda"]))


def serves(entry: Mapping[str, Any], lmbda: float) -> bool:
    """Tell whether the weights of a manifest's entry are for this lambda."""
    span = entry.get("lmbda_range")
    return float(entry["lmbda"]) == lmbda if span is None else within(span, lmbda)


def within(span: Sequence[float], lmbda: float) -> bool:
    """Tell whether a lambda, or the float32 value of one that streams carry, lies in a range."""
    return span[0] * (1 - _FLOAT32_SLACK) <= lmbda <= span[1] * (1 + _FLOAT32_SLACK)


def _usual(entry: Mapping[str, Any]) -> tuple[float, ...]:
    if "lmbda_range" not in entry:
        return (float(entry["lmbda"]),)
    return tuple(lmbda for lmbda in USUAL_LMBDAS if serves(entry, lmbda))


def read_manifest(folder: Path | None = None) -> list[dict[str, Any]]:
    """Return the manifest's entries (variant, lmbda, file, bytes, sha256); empty without a manifest.

    Raises WeightsError if the manifest is no JSON of that form.
    """
    return _listed(
        folder or weights_folder(), "files", {_VARIANT: str, "lmbda": float, "file": str, "sha256": str}
    )


def read_codecs(folder: Path) -> list[dict[str, Any]]:
    """Return the codecs that the manifest lists (name, variant, quantizer, summary), perhaps none.

    Raises WeightsError if the manifest is no JSON of that form.
    """
    return _listed(folder, "codecs", dict.fromkeys(("name", _VARIANT, "quantizer", "summary"), str))


def _listed(folder: Path, kind: str, fields: Mapping[str, Callable[[Any], object]]) -> list[dict[str, Any]]:
    path = folder / MANIFEST
    if not path.is_file():
        return []
    try:
        entries = [_with_variant(entry) for entry in json.loads(read_text(path)).get(kind, [])]
        for entry in entries:
            _ = [form(entry[name]) for name, form in fields.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged ({type(error).__name__}: {error}); restore it") from error
    return entries


def _with_variant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a manifest's entry or a file's metadata, the variant under its name of today."""
    return {_VARIANT if name == _FORMER_VARIANT else name: value for name, value in fields.items()}


def load_model(variant: str, lmbda: float, folder: Path | None = None) -> tuple[Architecture, ModelInfo]:
    """Return the network of `variant` at `lmbda`, float32 and in eval mode, and what its file says of it.

    Raises WeightsError if there are no such weights (saying which exist), or if the file is missing,
    truncated, altered, or does not fit the network.
    """
    from benchmark.learned.architectures.loading import load_network

    folder = folder or weights_folder()
    entry = _find_entry(folder, variant, lmbda)
    path = folder / entry["file"]
    check_file(path, entry["sha256"])
    state, info = read_weights(path, folder)
    try:
        return load_network(info.network, state).at(lmbda), info
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def check_file(path: Path, sha256: str) -> None:
    """Raise WeightsError, with both hashes, unless `path` is the file that was released."""
    if not path.is_file():
        raise WeightsError(f"{path} is missing, though the manifest names it; restore it or reinstall")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise WeightsError(f"{path} is damaged: sha256 {found}, expected {sha256}; restore it or reinstall")


def read_weights(path: Path, folder: Path | None = None) -> tuple[dict[str, Tensor], ModelInfo]:
    """Return (float32 tensors, info) of a weights file; differences are added to their base in `folder`.

    Raises WeightsError if the file is damaged, no weights file, or of another content than it says.
    """
    tensors, metadata = _read_safetensors(path)
    state = {name: tensor.float() for name, tensor in tensors.items()}
    base = metadata.get("base")
    if base is not None:
        state = _add_to_base(path, state, (folder or weights_folder()) / base)
    try:
        info = _info_from(metadata)
    except (KeyError, TypeError, ValueError, AttributeError, BenchError) as error:
        raise WeightsError(f"{path}: its metadata lacks or garbles a field ({error})") from error
    found = content_sha256(state)
    if found != info.sha256:
        replaced = f", or its base {base} is not the one that it was made from" if base else ""
        raise WeightsError(
            f"{path}: the tensors' sha256 is {found}, its metadata says {info.sha256}: damaged{replaced}"
        )
    return state, info


def write_weights(
    folder: Path,
    state: Mapping[str, Tensor],
    *,
    network: Mapping[str, Any],
    variant: str,
    lmbda: float,
    settings: Mapping[str, CalibratedSettings],
    provenance: Mapping[str, Any],
    base: tuple[str, float] | None = None,
    lmbda_range: tuple[float, float] | None = None,
    exact: bool = False,
) -> Path:
    """Write `state` as float16 to `folder`/`variant`/`lmbda`.safetensors and enter it in the manifest.

    Where `exact`, tensors that float16 would change are written as float32.

    `base` is the (variant, lmbda) of a whole model in the same folder: then only tensors that differ from it
    are kept, as differences. Processes that write to one folder wait for each other. Raises WeightsError if
    a number does not fit float16, the base is missing or holds differences itself, or other files hold
    differences from what would be overwritten; OSError if the file cannot be written.
    """
    from safetensors.torch import save

    from benchmark.learned.precision import exactly, to_half

    base_file = _find_entry(folder, *base)["file"] if base else None
    base_state: dict[str, Tensor] = {}
    if base_file:
        base_state, base_info = read_weights(folder / base_file, folder)
        if base_info.base is not None:
            raise WeightsError(
                f"{folder / base_file} holds differences itself; the base must be {base_info.base}"
            )
    tensors = exactly(state) if exact else to_half(state, base_state)
    values = {name: tensor.float() for name, tensor in tensors.items()}
    loaded = {**base_state, **{n: base_state[n] + v if n in base_state else v for n, v in values.items()}}
    metadata: dict[str, Any] = {
        _VARIANT: variant,
        "lmbda": lmbda,
        "network": dict(network),
        "sha256": content_sha256(loaded),
        "settings": {name: value.to_json() for name, value in settings.items()},
        "provenance": dict(provenance),
        "base": base_file,
    }
    if lmbda_range is not None:
        metadata["lmbda_range"] = list(lmbda_range)
    file = f"{variant}/{lmbda:g}.safetensors" if lmbda_range is None else f"{variant}/all.safetensors"
    data = save(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    with locked(folder / _LOCK):
        _check_not_needed(folder, file, metadata["sha256"])
        _enter(folder, metadata, file, data)
    return folder / file


def update_settings(
    folder: Path, variant: str, lmbda: float, settings: Mapping[str, CalibratedSettings]
) -> Path:
    """Put calibrated `settings` into the file of `variant` at `lmbda`; return its path. No tensor changes.

    Settings of quantizers and lambdas not named stay. Raises WeightsError as `load_model` does.
    """
    from safetensors.torch import save

    with locked(folder / _LOCK):
        entry = _find_entry(folder, variant, lmbda)
        path = folder / str(entry["file"])
        check_file(path, entry["sha256"])
        tensors, metadata = _read_safetensors(path)
        known = _settings_of(metadata)
        joined = {name: value.joined(known.get(name)) for name, value in settings.items()}
        metadata["settings"] |= {name: value.to_json() for name, value in joined.items()}
        data = save(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})
        _enter(folder, metadata, entry["file"], data)
    return path


def content_sha256(state: Mapping[str, Tensor]) -> str:
    """Return a sha256 over names, shapes and float32 values, independent of order, file and memory layout."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {list(values.shape)}\n".encode())
        digest.update(values.astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


def _find_entry(folder: Path, variant: str, lmbda: float) -> dict[str, Any]:
    entries = read_manifest(folder)
    for entry in entries:
        if entry[_VARIANT] == variant and serves(entry, lmbda):
            return entry
    rates = sorted(x for entry in entries if entry[_VARIANT] == variant for x in _usual(entry))
    if rates:
        known = ", ".join(f"{x:g}" for x in rates)
        raise WeightsError(f"variant {variant!r} has no weights for lmbda {lmbda:g}; there are: {known}")
    variants = ", ".join(sorted({entry[_VARIANT] for entry in entries})) or "none"
    raise WeightsError(f"no weights for variant {variant!r} in {folder}; variants with weights: {variants}")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if path.stat().st_size > _LARGEST_BYTES:
        raise WeightsError(f"{path}: {path.stat().st_size} bytes are no weights of this network")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, _with_variant(metadata)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged or no weights file of this project: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a weights file, its tensors unread and torch not imported.

    Raises WeightsError if the file is missing, damaged or none of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return _with_variant(json.loads(file.metadata()[_METADATA_KEY]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is missing or damaged: {error}") from error


def _add_to_base(path: Path, differences: dict[str, Tensor], base: Path) -> dict[str, Tensor]:
    tensors, metadata = _read_safetensors(base)
    if metadata.get("base") is not None:
        raise WeightsError(f"{path}: its base {base} holds differences itself")
    state = {name: tensor.float() for name, tensor in tensors.items()}
    for name, difference in differences.items():
        if name not in state or state[name].shape != difference.shape:
            raise WeightsError(f"{path}: {name} does not fit the base {base}")
        state[name] = state[name] + difference
    return state


def _info_from(metadata: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        variant=str(metadata[_VARIANT]),
        lmbda=float(metadata["lmbda"]),
        network=_network_of(metadata),
        sha256=str(metadata["sha256"]),
        settings=_settings_of(metadata),
        provenance=metadata["provenance"],
        base=metadata["base"],
        lmbda_range=tuple(metadata["lmbda_range"]) if "lmbda_range" in metadata else None,
    )


def _settings_of(metadata: Mapping[str, Any]) -> dict[str, CalibratedSettings]:
    from benchmark.learned.quantizers.by_rate import CalibratedSettings

    lmbda = float(metadata["lmbda"])
    return {name: CalibratedSettings.from_json(found, lmbda) for name, found in metadata["settings"].items()}


def _network_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network's description; files from before there were several hold a mean-scale hyperprior."""
    if "network" in metadata:
        return dict(metadata["network"])
    sizes = {name: metadata[name] for name in ("N", "M", "linear_branch")}
    return {"architecture": "mean-scale", **sizes}


def _check_not_needed(folder: Path, file: str, sha256: str) -> None:
    """Raise WeightsError if other files hold differences from `file`, whose content shall be another."""
    with suppress(WeightsError):  # nothing can be read from what is missing or damaged: it may be written
        if read_metadata(folder / file).get("sha256") == sha256:
            return
    others = [entry["file"] for entry in read_manifest(folder) if entry["file"] != file]
    dependents = [
        other
        for other in others
        if (folder / other).is_file() and read_metadata(folder / other).get("base") == file
    ]
    if dependents:
        raise WeightsError(
            f"{folder / file} is the base of {', '.join(dependents)}, which hold differences from it and "
            f"would be lost; write to another folder or variant, or delete them first, in {MANIFEST} too"
        )


def _enter(folder: Path, metadata: Mapping[str, Any], file: str, data: bytes) -> None:
    write_atomically(folder / file, data)
    sha256 = hashlib.sha256(data).hexdigest()
    entry = {name: metadata[name] for name in (_VARIANT, "lmbda", "lmbda_range") if name in metadata}
    entry |= {"file": file, "bytes": len(data), "sha256": sha256}
    others = [e for e in read_manifest(folder) if e["file"] != file]
    files = sorted([*others, entry], key=lambda e: (e[_VARIANT], e["lmbda"]))
    codecs = read_codecs(folder)
    manifest = {"codecs": codecs, "files": files} if codecs else {"files": files}
    write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
