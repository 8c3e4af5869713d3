"""The learned codecs of the registry: what the manifests of weights folders say of them.

A manifest lists codecs beside its files: `{"name": ..., "variant": ..., "quantizer": ..., "summary": ...}`,
which weights, and which quantizer of the latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from benchmark.codecs.base import CodecEntry
from benchmark.learned.weights import MANIFEST, available, read_codecs, shipped_folder, weights_folder

_TARGET = "benchmark.learned.codec:LearnedCodec"
_PROGRESSIVE = CodecEntry(
    "benchmark.learned.progressive:ProgressiveCodec",
    "embedded quantization of one network's latents: a stream that is cut behind any layer",
    "layers",
    tuple(float(layers) for layers in range(5, 15)),
    {"variant": "baseline"},
    family="progressive",
)
"""Of a network that a manifest lists, without settings or weights of its own."""


def entries() -> Mapping[str, CodecEntry]:
    """Return the codecs of the package's own manifest, those of the folder that BENCH_WEIGHTS_DIR names, and
    the progressive one, which cuts the stream of one of their networks.

    Where both have a name it is the package's. Raises WeightsError if a manifest is damaged.
    """
    found: dict[str, CodecEntry] = {}
    for folder in (shipped_folder(), weights_folder()):
        manifest = folder / MANIFEST
        if manifest.is_file():
            found = {**_entries(folder, manifest.stat().st_mtime_ns), **found}
    return {**found, "progressive": _PROGRESSIVE}


@lru_cache(maxsize=16)
def _entries(folder: Path, manifest_changed: int) -> Mapping[str, CodecEntry]:
    """Return the codecs of one manifest; `manifest_changed` only renews the cache."""
    return {
        codec["name"]: CodecEntry(
            _TARGET,
            codec["summary"],
            "lmbda",
            available(codec["variant"], folder),
            {"variant": codec["variant"], "quantizer": codec["quantizer"]},
            family="learned",
            kin=(codec["variant"], codec["quantizer"]),
        )
        for codec in read_codecs(folder)
    }
