"""Opening image files of strangers with Pillow: which formats, how many pixels, and what a reader gives."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageFile

from benchmark.arrays import U16
from benchmark.errors import ImageError

MAX_PIXELS = 100_000_000
"""The largest image that is decoded, in pixels, unless BENCH_MAX_PIXELS or an argument says otherwise."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "JPEG2000", "AVIF")
"""What is read. Pillow knows more, some of which (EPS) would start other programs on a stranger's file."""

REMEDY = "export it as 8-bit RGB"

_ORIENTATION = 0x0112

_PILLOW_LIMIT = threading.Lock()


@dataclass(frozen=True)
class Samples:
    """The pixels of a file as its reader gives them, not yet upright and not yet RGB."""

    picture: PIL.Image.Image
    """Of a mode whose samples have 8 bits (or 1); of one that has more, it is refused later."""
    notes: tuple[str, ...] = ()
    """What was done to the samples, and what of the file was ignored."""
    orientation: int = 1
    """As EXIF and TIFF have it."""
    orientation_of: str = "EXIF"


def pixel_limit(max_pixels: int | None = None) -> int:
    """Return the largest number of pixels to decode: the argument, else BENCH_MAX_PIXELS, else MAX_PIXELS.

    Raises ImageError if the environment variable is no positive integer.
    """
    if max_pixels is not None:
        return max_pixels
    text = os.environ.get("BENCH_MAX_PIXELS", "").strip()
    if not text:
        return MAX_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise ImageError(f"BENCH_MAX_PIXELS is {text!r}; give a positive number of pixels, or unset it")
    return int(text)


@contextmanager
def open_checked(data: bytes, formats: Sequence[str], max_pixels: int) -> Iterator[PIL.ImageFile.ImageFile]:
    """Open `data` with one of Pillow's `formats`, its size checked, its pixels not yet decoded.

    Raises ImageError for an image of more than `max_pixels`, and whatever Pillow raises for bad data.
    """
    with _PILLOW_LIMIT:  # Pillow's own limit is a global, and warns below it: ours is checked instead
        pillow_limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            file = PIL.Image.open(io.BytesIO(data), formats=list(formats))
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = pillow_limit
    with file:
        check_pixels(*file.size, max_pixels)
        yield file


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError if an image of this size has more than `max_pixels`."""
    if width * height > max_pixels:
        raise ImageError(
            f"{width}x{height} is {width * height:,} pixels, over the limit of {max_pixels:,}; "
            "set BENCH_MAX_PIXELS higher if the image is meant to be that large"
        )


def high_byte(samples: U16, bits: int) -> PIL.Image.Image:
    """Return grey [H, W] or RGB [H, W, 3] samples of `bits` bits as 8-bit ones: their eight highest bits."""
    return PIL.Image.fromarray((samples >> (bits - 8)).astype(np.uint8))


def said_of_depth(bits: int) -> tuple[str, ...]:
    """Return what a row says where samples of `bits` bits became 8-bit ones."""
    if bits == 8:
        return ()
    return (f"{bits} bits to 8: high byte",) if bits > 8 else (f"{bits} bits widened to 8",)


def said_of_frames(frames: int) -> tuple[str, ...]:
    """Return what a row says where a file has several pictures."""
    return (f"first of {frames} frames",) if frames > 1 else ()


def orientation_in(exif: bytes) -> int:
    """Return the orientation that an EXIF block gives, 1 where it gives none or cannot be read."""
    try:
        found = PIL.Image.Exif()
        found.load(exif)
        return int(found.get(_ORIENTATION, 1))
    except Exception:  # metadata, however damaged, never makes pixels unusable
        return 1
