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


def entries() -> Mapping[str, CodecEntry]:
    """Return the codecs of the package's own manifest, then those of the folder that BENCH_WEIGHTS_DIR names.

    Where both have a name it is the package's. Raises WeightsError if a manifest is damaged.
    """
    found: dict[str, CodecEntry] = {}
    for folder in (shipped_folder(), weights_folder()):
        manifest = folder / MANIFEST
        if manifest.is_file():
            found = {**_entries(folder, manifest.stat().st_mtime_ns), **found}
    return found


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
