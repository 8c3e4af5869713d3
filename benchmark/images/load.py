"""An image file becomes the 8-bit RGB that codecs get; what was done on the way is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import PIL.Image

from benchmark.arrays import Image
from benchmark.errors import ImageError
from benchmark.images import others, png, tiff
from benchmark.images.opening import FORMATS, REMEDY, Samples, pixel_limit

_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""What brings each orientation of EXIF (tag 0x0112) upright; 1 is."""


@dataclass(frozen=True)
class LoadedImage:
    """An image as the codecs get it."""

    pixels: Image
    conversions: tuple[str, ...]
    """What was done to the file's pixels to make 8-bit RGB of them, and what of the file was ignored that
    could have changed them; empty for 8-bit RGB files that are meant as sRGB or say nothing."""


def load_image(path: Path, max_pixels: int | None = None) -> LoadedImage:
    """Read the image file `path` as 8-bit RGB.

    Conversions, each named in the result: deeper samples keep their eight highest bits (which restores images
    that were widened from 8 bits, by either of the usual ways), of PPM those whose range is no power of two
    are scaled; grey is copied to the three channels; a palette is looked up; an opaque alpha channel is
    dropped and any other composited on white; min-is-white samples are inverted; CMYK and YCbCr are converted
    as Pillow does, without a profile; an orientation of EXIF or TIFF is applied; of an animation the first
    frame is taken. Colour profiles, gamma and primaries are ignored, which is named too: codecs are measured
    on the sample values.

    The number of pixels is checked from the header, before any is decoded, against `max_pixels`, else the
    environment variable BENCH_MAX_PIXELS, else MAX_PIXELS.

    Raises ImageError, naming the file, the reason and the remedy, for everything that cannot be read.
    """
    try:
        data = read_bytes(path)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            loaded = decode_image(data, max_pixels)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    remarks = tuple(f"Pillow warned: {w.message}" for w in warned)
    return LoadedImage(loaded.pixels, loaded.conversions + remarks)


def read_bytes(path: Path) -> bytes:
    """Return what the file `path` holds. Raises ImageError, which does not name it, if that is nothing."""
    try:
        if not path.is_file():
            reason = "a link that leads nowhere" if path.is_symlink() else "no such file"
            raise ImageError("no regular file" if path.exists() else reason)
        check_file_size(path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError("the file is empty (0 bytes); fetch or export it again")
    return data


def check_file_size(size: int) -> None:
    """Raise ImageError for more bytes than 16 for each pixel of the largest image (`pixel_limit`)."""
    most = 16 * pixel_limit() + (1 << 20)
    if size > most:
        raise ImageError(
            f"the file has {size:,} bytes, more than the {most:,} of any image that is read; "
            "set BENCH_MAX_PIXELS higher if it is meant to be that large"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings back; around threads that decode, as filters are those of the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode_image(data: bytes, max_pixels: int | None = None) -> LoadedImage:
    """Return the image in the bytes of a file, as `load_image` does: what this takes, that takes.

    Raises ImageError, which knows no file to name.
    """
    limit = pixel_limit(max_pixels)
    try:
        return _to_rgb8(_reader(data)(data, limit))
    except ImageError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise ImageError(f"is no image of a known format; known: {', '.join(FORMATS)}") from error
    except Exception as error:  # a stranger's bytes make Pillow raise anything, even struct.error
        raise ImageError(
            f"is damaged or truncated ({type(error).__name__}: {error}); fetch or export it again"
        ) from error


def _reader(data: bytes) -> Callable[[bytes, int], Samples]:
    if data.startswith(png.SIGNATURE):
        return png.read
    return tiff.read if data.startswith(tiff.SIGNATURES) else others.read


def _to_rgb8(samples: Samples) -> LoadedImage:
    """Turn decoded samples upright and convert them to RGB, listing the conversions."""
    picture, notes = samples.picture, list(samples.notes)
    if samples.orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[samples.orientation])
        notes.append(f"{samples.orientation_of} orientation {samples.orientation} applied")
    elif samples.orientation != 1:
        notes.append(f"{samples.orientation_of} orientation {samples.orientation} ignored: not in 1 to 8")
    rgb, mode_notes = _mode_to_rgb(picture)
    return LoadedImage(np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8)), (*notes, *mode_notes))


def _mode_to_rgb(picture: PIL.Image.Image) -> tuple[PIL.Image.Image, list[str]]:
    """Convert any 8-bit mode of Pillow to RGB, listing the conversions."""
    mode = picture.mode
    if mode in ("I", "F", "LAB") or mode.startswith("I;"):
        raise ImageError(f"samples of Pillow mode {mode} have no defined 8-bit range; {REMEDY}")
    names = {"1": "bilevel to RGB", "L": "grey to RGB", "LA": "grey to RGB", "P": "palette to RGB"}
    names |= {"PA": "palette to RGB", "CMYK": "CMYK to RGB", "YCbCr": "YCbCr to RGB", "HSV": "HSV to RGB"}
    names |= {"La": "grey to RGB"}
    conversions = [names[mode]] if mode in names else []
    if not picture.has_transparency_data:
        return picture.convert("RGB"), conversions
    rgba = (picture.convert("LA") if mode == "La" else picture).convert("RGBA")
    if rgba.getchannel("A").getextrema() == (255, 255):
        return rgba.convert("RGB"), [*conversions, "opaque alpha dropped"]
    white = PIL.Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return PIL.Image.alpha_composite(white, rgba).convert("RGB"), [*conversions, "alpha composited on white"]
