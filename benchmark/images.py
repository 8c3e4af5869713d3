"""8-bit RGB images in and out, and the colour planes: the only place that converts colours."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps

from benchmark.arrays import F64, U16, Image
from benchmark.errors import ImageError
from benchmark.files import replacing

MAX_PIXELS = 100_000_000
"""The largest image that is decoded, in pixels, unless BENCH_MAX_PIXELS or an argument says otherwise."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "JPEG2000", "AVIF")
"""What is read. Pillow knows more, some of which (EPS) would start other programs on a stranger's file."""

# ITU-R BT.709-6, table 3, times 10000: whole numbers, so that a grey has exactly no chroma in floating point.
_KR, _KG, _KB = 2126.0, 7152.0, 722.0
_ONE = _KR + _KG + _KB
_CB_SCALE, _CR_SCALE = 2.0 * (_ONE - _KB), 2.0 * (_ONE - _KR)

_PILLOW_LIMIT = threading.Lock()


@dataclass(frozen=True)
class LoadedImage:
    """An image as the codecs get it."""

    pixels: Image
    conversions: tuple[str, ...]
    """What was done to the file's pixels to make 8-bit RGB of them, in order; empty for 8-bit RGB files."""


def load_image(path: Path, max_pixels: int | None = None) -> LoadedImage:
    """Read the image file `path` as 8-bit RGB.

    Conversions, each named in the result: 16-bit samples keep their high byte (which restores images that
    were widened from 8 bits, by either of the usual ways); grey is copied to the three channels; a palette
    is looked up; an opaque alpha channel is dropped and any other composited on white; CMYK and YCbCr are
    converted as Pillow does, without a profile; an EXIF orientation is applied; of an animation the first
    frame is taken. An embedded colour profile is ignored: codecs are measured on the sample values.

    The number of pixels is checked from the header, before any is decoded, against `max_pixels`, else the
    environment variable BENCH_MAX_PIXELS, else MAX_PIXELS.

    Raises ImageError, naming the file, the reason and the remedy, for everything that cannot be read.
    """
    if not path.is_file():
        raise ImageError(f"{path}: {'is no regular file' if path.exists() else 'no such file'}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError(f"{path}: the file is empty (0 bytes); fetch or export it again")
    limit = pixel_limit(max_pixels)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with open_checked(data, FORMATS, limit) as file:
                pixels, conversions = _to_rgb8(file)
    except PIL.UnidentifiedImageError as error:
        raise ImageError(f"{path}: is no image of a known format; known: {', '.join(FORMATS)}") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except Exception as error:  # a stranger's bytes make Pillow raise anything, even struct.error
        raise ImageError(
            f"{path}: is damaged or truncated ({type(error).__name__}: {error}); fetch or export it again"
        ) from error
    conversions += [f"Pillow warned: {w.message}" for w in warned]
    return LoadedImage(pixels, tuple(conversions))


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


def _to_rgb8(file: PIL.ImageFile.ImageFile) -> tuple[Image, list[str]]:
    """Decode an opened file and convert it to 8-bit RGB, listing the conversions."""
    conversions = []
    is_16_bit = any(";16" in str(tile[3]) for tile in file.tile) or file.mode.startswith("I;16")
    frames = getattr(file, "n_frames", 1)
    file.load()
    if frames > 1:
        conversions.append(f"first of {frames} frames")
    if is_16_bit:
        conversions.append("16 bits to 8: high byte")
    upright = PIL.ImageOps.exif_transpose(file)
    if orientation := file.getexif().get(0x0112, 1):
        conversions += [f"EXIF orientation {orientation} applied"] if orientation != 1 else []
    if is_16_bit and upright.mode.startswith("I"):
        wide = np.asarray(upright).astype(np.uint32)
        upright = PIL.Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8))
    rgb, mode_conversions = _mode_to_rgb(upright)
    return np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8)), conversions + mode_conversions


def _mode_to_rgb(picture: PIL.Image.Image) -> tuple[PIL.Image.Image, list[str]]:
    """Convert any 8-bit mode of Pillow to RGB, listing the conversions."""
    mode = picture.mode
    if mode in ("I", "F", "LAB") or mode.startswith("I;"):
        raise ImageError(f"samples of Pillow mode {mode} have no defined 8-bit range; export it as 8-bit RGB")
    names = {"1": "bilevel to RGB", "L": "grey to RGB", "LA": "grey to RGB", "P": "palette to RGB"}
    names |= {"PA": "palette to RGB", "CMYK": "CMYK to RGB", "YCbCr": "YCbCr to RGB", "HSV": "HSV to RGB"}
    conversions = [names[mode]] if mode in names else []
    if not picture.has_transparency_data:
        return picture.convert("RGB"), conversions
    rgba = picture.convert("RGBA")
    if rgba.getchannel("A").getextrema() == (255, 255):
        return rgba.convert("RGB"), [*conversions, "opaque alpha dropped"]
    white = PIL.Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return PIL.Image.alpha_composite(white, rgba).convert("RGB"), [*conversions, "alpha composited on white"]


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


def luma_chroma(image: Image) -> F64:
    """Return full-range BT.709 Y, Cb, Cr of an 8-bit RGB image, float64 [3, H, W], not rounded.

    Y lies in 0..255, Cb and Cr in -127.5..127.5 (no offset). Source: ITU-R BT.709-6, item 3.
    """
    # Plane by plane in float64, without BLAS: the same bits on every machine.
    red, green, blue = (image[..., i].astype(np.float64) for i in range(3))
    y = _KR * red + _KG * green + _KB * blue
    return np.stack([y / _ONE, (_ONE * blue - y) / _CB_SCALE, (_ONE * red - y) / _CR_SCALE])


def rgb_to_ycbcr(image: Image, bit_depth: int) -> U16:
    """Return the planes of an 8-bit RGB image as full-range BT.709 YCbCr 4:4:4, uint16 [3, H, W].

    All three planes span 0..peak, peak = 2^bit_depth - 1 (8 to 16 bits), and are rounded, halves upwards.
    Chroma is centred on peak / 2, as CompressAI's rgb2ycbcr and the published VTM anchors have it (with it
    they are met to the last digit); ITU-T H.273 would centre it half a code higher.
    """
    peak = _peak(bit_depth)
    planes = luma_chroma(image) * (peak / 255.0)
    planes[1:] += peak / 2.0
    samples: U16 = np.clip(np.floor(planes + 0.5), 0, peak).astype(np.uint16)
    return samples


def ycbcr_to_rgb(planes: U16, bit_depth: int) -> Image:
    """Return the 8-bit RGB image of full-range BT.709 YCbCr 4:4:4 planes, uint16 [3, H, W]; rounded, clipped.

    The inverse of `rgb_to_ycbcr`: lossless or nearly so from 10 bits on, about 53 dB at 8 bits (where even
    greys are one level off, their chroma lying between two codes).
    """
    peak = _peak(bit_depth)
    y = planes[0] * (255.0 / peak)
    blue_less_y = (planes[1] - peak / 2.0) * (255.0 / peak * _CB_SCALE / _ONE)
    red_less_y = (planes[2] - peak / 2.0) * (255.0 / peak * _CR_SCALE / _ONE)
    green = y - (_KR * red_less_y + _KB * blue_less_y) / _KG
    rgb = np.stack([y + red_less_y, green, y + blue_less_y], axis=-1)
    image: Image = np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)
    return image


def _peak(bit_depth: int) -> int:
    """Return the largest sample of full-range planes."""
    if not 8 <= bit_depth <= 16:
        raise ValueError(f"bit depth {bit_depth} is not in 8..16")
    return (1 << bit_depth) - 1
