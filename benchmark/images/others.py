"""Formats other than PNG and TIFF: Pillow decodes; what it does unasked is undone, said or refused."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image
import PIL.ImageFile

from benchmark.arrays import U16
from benchmark.errors import ImageError
from benchmark.images.opening import (
    FORMATS,
    REMEDY,
    Samples,
    high_byte,
    open_checked,
    said_of_depth,
    said_of_frames,
)
from benchmark.images.png import said_of_code_points

_Read = tuple[PIL.Image.Image, tuple[str, ...]]

_ORIENTATION = 0x0112
_FORMATS = tuple(name for name in FORMATS if name not in ("PNG", "TIFF"))


def read(data: bytes, max_pixels: int) -> Samples:
    """Decode an image file, its metadata left aside but for the orientation.

    Raises ImageError for a layout that cannot be converted, and whatever Pillow raises for bad data.
    """
    with open_checked(data, _FORMATS, max_pixels) as file:
        frames = said_of_frames(getattr(file, "n_frames", 1))
        picture, notes = _READERS.get(str(file.format), _read_plain)(file, data)
        profile = ("ICC profile ignored",) if file.info.get("icc_profile") else ()
        return Samples(picture, (*frames, *notes, *profile), _orientation(file))


def _orientation(file: PIL.ImageFile.ImageFile) -> int:
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except Exception:  # metadata, however damaged, never makes pixels unusable
        return 1


def _read_plain(file: PIL.ImageFile.ImageFile, data: bytes) -> _Read:
    file.load()
    return file, ()


# PPM: Pillow rounds what is not of 8 bits, and refuses deep grey; here depth is reduced as everywhere else.


def _read_ppm(file: PIL.ImageFile.ImageFile, data: bytes) -> _Read:
    decoder, _, offset, arguments = file.tile[0]
    if file.mode not in ("L", "I", "RGB"):
        return _read_plain(file, data)
    greatest = 65535 if arguments == "I;16B" else arguments[1] if isinstance(arguments, tuple) else 255
    if greatest == 255:
        return _read_plain(file, data)
    shape = (file.height, file.width, *((3,) if file.mode == "RGB" else ()))
    body = data[offset:]
    wide = (_words if decoder == "ppm_plain" else _bytes)(body, int(np.prod(shape)), greatest).reshape(shape)
    bits = int(greatest).bit_length()
    if greatest + 1 == 1 << bits and bits > 8:
        return high_byte(wide, bits), said_of_depth(bits)
    scaled = (wide.astype(np.uint32) * 255 + greatest // 2) // greatest
    return PIL.Image.fromarray(scaled.astype(np.uint8)), (f"samples of 0 to {greatest} scaled to 0 to 255",)


def _bytes(body: bytes, count: int, greatest: int) -> U16:
    """Return `count` samples of a binary file, one or two bytes each. Raises ValueError where some lack."""
    samples = np.frombuffer(body, ">u2" if greatest > 255 else "u1", count)
    return np.minimum(samples, greatest).astype(np.uint16)


def _words(body: bytes, count: int, greatest: int) -> U16:
    """Return `count` samples of a text file. Raises ValueError where some lack or are no numbers."""
    words = re.sub(rb"#[^\r\n]*", b"", body).split()[:count]
    samples = np.array(words, dtype="S11").astype(np.int64)
    if len(samples) < count or (count and not 0 <= samples.min() <= samples.max() <= greatest):
        raise ValueError("samples are missing or not in the range that the header names")
    return samples.astype(np.uint16)


# BMP


def _read_bmp(file: PIL.ImageFile.ImageFile, data: bytes) -> _Read:
    raw_mode = str(file.tile[0].args)
    notes = []
    if "X" in raw_mode:
        notes.append("fourth channel ignored (no alpha in this kind of BMP)")
    if "BGR;1" in raw_mode:
        notes.append("5 or 6 bits widened to 8")
    # From version 4 on the header says what the colours are: sRGB, the system's own, or others.
    if int.from_bytes(data[14:18], "little") >= 108 and data[70:74] not in (b"BGRs", b" niW"):
        notes.append("colour profile ignored")
    file.load()
    return file, tuple(notes)


# JPEG 2000: box and marker names are those of ISO/IEC 15444-1, annexes A and I.

_JP2_COLOURS = {12: "CMYK", 16: "sRGB", 17: "grey", 18: "YCbCr"}


def _read_jpeg2000(file: PIL.ImageFile.ImageFile, data: bytes) -> _Read:
    header = _find(data, b"jp2h")
    colours = [data[a:b] for kind, a, b in _boxes(data, *header) if kind == b"colr"] if header else []
    stream = _find(data, b"jp2c") if header else (0, len(data))
    depths, subsampled = _components(data, stream[0] if stream else len(data))
    bits = max(depths)
    grey = len(depths) == 1 and file.mode == "I;16"
    if set(depths) != {bits} or (bits != 8 and not grey):
        found = " and ".join("signed" if d < 0 else f"{d}-bit" for d in sorted(set(depths)))
        raise ImageError(f"JPEG 2000 with {found} samples is not converted; {REMEDY}")
    code = next((int.from_bytes(c[3:7]) for c in colours if c[:1] == b"\1"), None)
    if code is not None and code not in _JP2_COLOURS:
        raise ImageError(f"JPEG 2000 of enumerated colour space {code} is not converted; {REMEDY}")
    file.load()
    notes = said_of_depth(bits)
    if code == 18 or (code is None and subsampled):
        notes += ("YCbCr to RGB",)
    if code is None and colours:
        notes += ("ICC profile ignored",)
    if grey:  # Pillow has moved the samples up to 16 bits
        return high_byte(np.asarray(file).astype(np.uint16), 16), notes
    return file, notes


def _components(data: bytes, start: int) -> tuple[tuple[int, ...], bool]:
    """Return the depth of each component, negative where it is signed, and whether any is subsampled."""
    (count,) = struct.unpack_from(">H", data, start + 40)
    found = [struct.unpack_from("BBB", data, start + 42 + 3 * i) for i in range(count)]
    depths = tuple(-1 if size & 0x80 else (size & 0x7F) + 1 for size, _, _ in found)
    return depths, any(step != (1, 1) for _, *steps in found for step in [tuple(steps)])


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, begin and end of the content of each box between two places."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if length == 1 and body + 8 <= end:
            (length,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if length == 0 else start + length
        if stop < body:
            return
        yield kind, body, min(stop, end)
        start = stop


def _find(data: bytes, wanted: bytes) -> tuple[int, int] | None:
    """Return where the content of the first box of a kind begins and ends."""
    return next(((start, end) for kind, start, end in _boxes(data, 0, len(data)) if kind == wanted), None)


# AVIF: the boxes are those of AV1-ISOBMFF, 2.3.3, and ISO/IEC 23008-12.


def _read_avif(file: PIL.ImageFile.ImageFile, data: bytes) -> _Read:
    """Decode with libavif, which rounds deeper samples when it makes RGB of them."""
    file.load()
    configuration = data.partition(b"av1C")[2][:4].ljust(4, b"\0")
    deep, twelve = configuration[2] & 0x40, configuration[2] & 0x20
    notes: tuple[str, ...] = (f"{12 if twelve else 10} bits to 8: rounded",) if deep else ()
    codes = data.partition(b"colrnclx")[2][:4]
    if len(codes) == 4:
        notes += said_of_code_points(*struct.unpack(">HH", codes))
    return file, notes


_READERS: dict[str, Callable[[PIL.ImageFile.ImageFile, bytes], _Read]] = {
    "PPM": _read_ppm,
    "BMP": _read_bmp,
    "JPEG2000": _read_jpeg2000,
    "AVIF": _read_avif,
}
