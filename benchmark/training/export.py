"""From a checkpoint to a weights file: float16, with provenance, as the codecs load it."""

from __future__ import annotations

from pathlib import Path

from benchmark.errors import TrainingError
from benchmark.learned.quantizers import QuantizerSettings
from benchmark.learned.weights import available, write_weights
from benchmark.training.sources import open_source


def export(checkpoint: Path, folder: Path, arm: str) -> Path:
    """Write the model of `checkpoint` into the weights folder `folder` as `arm`; return the file's path.

    A finetuned model is written as differences if the arm that it started from is in `folder`, else whole.
    It keeps the quantizer settings with which it was finetuned. Raises TrainingError or WeightsError for
    files that cannot be used.
    """
    source = open_source(str(checkpoint))
    base = source.provenance.get("start_arm")
    if base == arm:
        raise TrainingError(f"arm {arm!r} cannot be stored as differences from itself; give another --arm")
    stored = source.provenance.get("settings", {})
    return write_weights(
        folder,
        source.state,
        arm=arm,
        lmbda=source.lmbda,
        settings={name: QuantizerSettings(**fields) for name, fields in stored.items()},
        provenance=source.provenance,
        base=(base, source.lmbda) if base and source.lmbda in available(base, folder) else None,
    )
