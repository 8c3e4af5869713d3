"""8-bit RGB images in memory: what they must be, their centre, and writing them as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from benchmark.arrays import Image
from benchmark.errors import ImageError
from benchmark.files import replacing


def save_png(image: Image, path: Path, compress_level: int = 6) -> None:
    """Write `image` to `path` as PNG: the whole file appears at once or not at all.

    Raises ImageError, naming the file, if it cannot be written.
    """
    check_image(image)
    try:
        with replacing(path) as file:
            PIL.Image.fromarray(image).save(file, format="PNG", compress_level=compress_level)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_image(image: Image) -> None:
    """Raise ValueError unless `image` is what `Image` promises."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"need uint8 [height, width, 3], not {image.dtype} {list(image.shape)}")


def centre_crop(image: Image, side: int) -> Image:
    """Return the centre of `image`, at most `side` pixels wide and high, C-contiguous."""
    height, width = image.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return np.ascontiguousarray(image[top : top + side, left : left + side])
