"""What a dataset is once it is found: images on disk whose bytes are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER_PREFIX = "folder:"
"""What stands before the path where a folder of the user's is the dataset."""


@dataclass(frozen=True)
class ImageRef:
    """One image file: its name, unique in the dataset, its absolute path, and the sha256 of its bytes."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Images that were found and checked.

    `size` counts the images of the whole dataset, so that "n of size" can be said of a partial one.
    `notes` are remarks for the user: files skipped, duplicates, a record that could not be kept.
    """

    name: str
    size: int
    images: tuple[ImageRef, ...]
    notes: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether images of the dataset are missing."""
        return len(self.images) < self.size


def cache_folder(name: str) -> Path:
    """Return the folder of the user's cache where the downloaded dataset `name` lies."""
    import pooch  # here, as it takes longer to load than listing datasets

    return Path(pooch.os_cache("bench")) / "datasets" / name
