"""Suites: a TOML file becomes a plan, a list of tasks; no work is done while planning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """One evaluation to do. A value: it can be pickled, sent to another machine, compared and hashed."""

    suite: str
    dataset: str
    dataset_images: int
    dataset_size: int
    codec: str
    """The label in the suite."""
    codec_id: str
    """The registry name."""
    codec_options: str
    """JSON object of the options that the suite sets, keys sorted."""
    point: float
    image: str
    image_path: Path
    image_sha256: str
