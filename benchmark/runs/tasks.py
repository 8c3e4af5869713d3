"""The evaluations that a suite asks for, and those of them that a user picks by image."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmark.devices import CPU
from benchmark.errors import UsageError, did_you_mean
from benchmark.results.records import Asked

RATE = "bpp"
"""What the points of a suite are called that asks for rates."""


@dataclass(frozen=True)
class Task(Asked):
    """One evaluation to do. A value: it can be pickled, sent to another machine, compared and hashed."""

    image_path: Path
    metrics: tuple[str, ...] = ()
    crop: int | None = None
    """Side of the centre crop that is coded instead of the whole image."""
    point_name: str | None = None
    codec_family: str | None = None
    """What the registry says of the codec (see Record), so that rows say it wherever they are read."""
    folder: Path = Path()
    """Of the suite's file: relative paths in the codec's name and options are seen from it."""
    search: tuple[float, ...] = ()
    """The codec's points in rising quality from which the one whose rate is nearest to `point`, then bits per
    pixel, is searched; empty where `point` is the codec's own."""
    point_options: str = "{}"
    """JSON object of the options that rows leave out (see `CodecEntry`)."""

    @property
    def device(self) -> str:
        """What the codec's networks run on."""
        return str(self.options.get("device", CPU))

    @property
    def searched(self) -> str | None:
        """What `point` is where it is a target; None where it is the codec's own operating point."""
        return RATE if self.search else None

    @property
    def options(self) -> dict[str, Any]:
        """All options of the codec."""
        return {**json.loads(self.codec_options), **json.loads(self.point_options)}


def select_images(tasks: Sequence[Task], patterns: Sequence[str]) -> list[Task]:
    """Return the tasks on these images (each a file name, its stem, or a glob); all of them without patterns.

    Raises UsageError, with near names, for a pattern that matches no image.
    """
    wanted = matching_images([task.image for task in tasks], patterns)
    return [task for task in tasks if task.image in wanted]


def matching_images(images: Collection[str], patterns: Sequence[str]) -> set[str]:
    """Return which of these names of images match any of the patterns (see `select_images`)."""
    names = set(images)
    wanted: set[str] = set() if patterns else names
    for pattern in patterns:
        found = {name for name in names if _image_matches(name, pattern)}
        if not found:
            near = did_you_mean(pattern, names | {Path(name).stem for name in names})
            raise UsageError(f"--image {pattern!r} matches no image of the dataset; {near}")
        wanted |= found
    return wanted


def _image_matches(name: str, pattern: str) -> bool:
    return pattern in (name, Path(name).stem) or fnmatchcase(name, pattern)
