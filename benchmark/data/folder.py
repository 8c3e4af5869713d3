"""Any folder of images as a dataset, checked so far that a damaged file is named before work starts."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmark.data.dataset import FOLDER_PREFIX, Dataset, ImageRef
from benchmark.errors import DatasetError, ImageError
from benchmark.images import decode_image, quiet, read_bytes

IMAGE_SUFFIXES = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".ppm",
        ".pgm",
        ".pnm",
        ".jp2",
        ".j2k",
        ".avif",
    )
)

_MOST_THREADS = 8


def read_folder(name: str, folder: Path, *, allow_partial: bool) -> Dataset:
    """Return the images that lie in `folder` itself, not below it, sorted by file name.

    A file that has an image's suffix must be one: each is decoded as a run will, DatasetError names those
    that cannot be, and with `allow_partial` they are excluded but counted in `size`. Other files are skipped
    with a note, hidden ones without. Raises DatasetError too if `folder` is none or holds no image.
    """
    if name == FOLDER_PREFIX:  # pathlib would take the empty path for the working directory
        raise DatasetError(f"{name!r}: give the path of a folder of images, as in folder:photos")
    folder = folder.absolute()
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DatasetError(f"{name!r}: {str(folder)!r} cannot be listed: {error.strerror}") from error
    files = [path for path in entries if not path.name.startswith(".") and not path.is_dir()]
    candidates = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not candidates:
        raise DatasetError(f"{name!r}: no images in {str(folder)!r}{_what_else(entries)}")
    # Decoding releases the interpreter lock; each thread holds a whole image.
    with quiet(), ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        checked = list(pool.map(_check, candidates))
    faults = [fault for _, fault in checked if fault]
    images = tuple(image for image, _ in checked if image)
    if faults and not (allow_partial and images):
        raise DatasetError("\n".join([f"{name!r}: files cannot be used as images", *faults, _REMEDY]))
    others = [path.name for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    return Dataset(name, len(candidates), images, _notes(images, others, faults))


_REMEDY = "repair them or move them away; --allow-partial leaves them out"


def _check(path: Path) -> tuple[ImageRef | None, str | None]:
    """Return the image, or what is wrong with the file."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        return None, f"  {str(path)!r}: the file name is not valid UTF-8: rename it"
    try:
        data = read_bytes(path)
    except ImageError as error:
        return None, f"  {str(path)!r}: {error}"
    try:
        decode_image(data)  # as a run does, so that what passes here does not fail there
    except ImageError as error:
        return None, f"  {str(path)!r}: no image that can be read: {error}"
    return ImageRef(path.name, path, hashlib.sha256(data).hexdigest()), None


def _what_else(entries: Sequence[Path]) -> str:
    """Return, as the end of a message, what a folder without images holds instead."""
    folders = sum(path.is_dir() for path in entries)
    if folders:
        return f" itself (it holds {folders} folders, which are not searched)"
    return f" (it holds {len(entries)} other files)" if entries else " (it is empty)"


def _notes(images: Sequence[ImageRef], others: Sequence[str], faults: Sequence[str]) -> tuple[str, ...]:
    """Return what the user should know of a folder that is used all the same."""
    by_hash = defaultdict(list)
    for image in images:
        by_hash[image.sha256].append(image.name)
    notes = [
        f"the same file more than once: {', '.join(map(repr, same))}"
        for same in by_hash.values()
        if len(same) > 1
    ]
    if others:
        notes.append(f"skipped, no image suffix: {', '.join(map(repr, others))}")
    return (*notes, *(f"excluded:{fault}" for fault in faults))
