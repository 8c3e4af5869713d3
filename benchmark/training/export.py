"""From a checkpoint to a weights file: float16 where trained here, with provenance, as codecs load it."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.errors import TrainingError
from benchmark.learned.architectures.loading import lmbda_range
from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.learned.weights import available, write_weights
from benchmark.training.checkpoint import check_writable
from benchmark.training.sources import Source

_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def export(source: Source, folder: Path, variant: str) -> Path:
    """Write the model `source` into the weights folder `folder` as `variant`; return the file's path.

    A finetuned model is written as differences from the variant that it started from, or from that one's own
    base, if it is in `folder`, else whole. It keeps its calibrated settings, or those with which it was
    finetuned.
    Raises TrainingError or WeightsError if it cannot be written.
    """
    base = source.provenance.get("base_variant", source.provenance.get("base_arm"))  # its former name
    check_destination(folder, variant, base)
    stored = source.provenance.get("settings", {})
    settings = {name: CalibratedSettings.from_json(found, source.lmbda) for name, found in stored.items()}
    try:
        return write_weights(
            folder,
            source.state,
            network=source.description,
            variant=variant,
            lmbda=source.lmbda,
            settings=source.info.settings if source.info else settings,
            provenance=source.provenance,
            lmbda_range=lmbda_range(source.description),
            exact=source.foreign,
            base=(base, source.lmbda) if base and source.lmbda in available(base, folder) else None,
        )
    except OSError as error:
        raise TrainingError(
            f"--weights {folder}: {error.strerror}; {source.name} holds the model: correct that and rerun"
        ) from error


def check_destination(folder: Path, variant: str, base: str | None) -> None:
    """Raise TrainingError unless `variant` can be added to `folder`: to be called before hours of training.

    `base` is the variant from which differences would be stored.
    """
    if not _VARIANT.fullmatch(variant):
        raise TrainingError(
            f"--variant {variant!r}: give letters, digits and any of . _ -, a letter or digit first"
        )
    if variant == base:
        raise TrainingError(
            f"variant {variant!r} cannot be stored as differences from itself; give another --variant"
        )
    check_writable(folder, "--weights")
