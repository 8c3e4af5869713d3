"""PNG: only the chunks that make pixels reach the decoder, and what Pillow does not say of them is said."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import PIL.Image
import PIL.ImageFile

from benchmark.errors import ImageError
from benchmark.images.opening import (
    REMEDY,
    Samples,
    high_byte,
    open_checked,
    orientation_in,
    said_of_depth,
    said_of_frames,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GREY, _RGB = 0, 2

# PNG, third edition, 11.3.2: what these chunks hold where they say sRGB, times 100000.
_GAMMA = 45455
_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_NEAR = 1000
_BT709_OR_UNSPECIFIED = (1, 2)
_TRANSFER_OF_SRGB = (1, 2, 6, 13)
"""Of ITU-T H.273: BT.709, unspecified, BT.601 and sRGB, which decoders show alike."""


def read(data: bytes, max_pixels: int) -> Samples:
    """Decode a PNG file, its metadata left aside but for the orientation.

    Raises ImageError for a broken chunk, a checksum that is wrong, or a layout that cannot be converted, and
    whatever Pillow raises for bad data.
    """
    chunks = list(_chunks(data))
    others = {kind: body for kind, body in chunks if kind not in _PIXELS}
    depth, colour_type = _header(chunks)
    pixels = SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks if kind in _PIXELS)
    with open_checked(pixels, ("PNG",), max_pixels) as file:
        samples = _samples(file, depth, colour_type)
    frames = struct.unpack(">I", others.get(b"acTL", b"").ljust(4, b"\0")[:4])[0]
    notes = (*said_of_frames(frames), *samples.notes, *_said_of_colour(others))
    return replace(samples, notes=notes, orientation=orientation_in(others.get(b"eXIf", b"")))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of each chunk up to IEND. Raises ImageError for a broken one that makes pixels."""
    position = len(SIGNATURE)
    while True:
        head = data[position : position + 8]
        if len(head) < 8:
            raise ImageError(
                "is damaged or truncated: it ends before the chunk IEND; fetch or export it again"
            )
        length, kind = struct.unpack(">I4s", head)
        body = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if len(checksum) < 4:
            raise ImageError(f"is damaged or truncated in the chunk {_name(kind)}; fetch or export it again")
        if kind in _PIXELS and zlib.crc32(kind + body) != int.from_bytes(checksum):
            raise ImageError(f"is damaged: the checksum of the chunk {_name(kind)} is wrong; fetch it again")
        if kind not in _PIXELS and not kind[0] & 0x20:  # an upper-case letter: pixels cannot do without
            raise ImageError(f"has a chunk {_name(kind)} that is not known here; {REMEDY}")
        yield kind, body
        if kind == b"IEND":
            return
        position += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def _header(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return bit depth and colour type."""
    kind, body = chunks[0]
    if kind != b"IHDR" or len(body) != 13:
        raise ImageError("is damaged: it does not begin with its header; fetch or export it again")
    return body[8], body[9]


def _samples(file: PIL.ImageFile.ImageFile, depth: int, colour_type: int) -> Samples:
    """Decode what Pillow has opened."""
    key = file.info.get("transparency")
    if depth == 16 and colour_type == _RGB and key is not None:
        raise ImageError(f"16-bit RGB with a transparent colour (tRNS) is not converted; {REMEDY}")
    if depth in (2, 4) and colour_type == _GREY and key is not None:
        # Pillow widens the samples but not the value that it compares them with.
        file.info["transparency"] = key * 255 // ((1 << depth) - 1)
    file.load()
    if depth == 16 and colour_type == _GREY:
        return Samples(_narrow(file, key), said_of_depth(16))
    widened = depth in (2, 4) and colour_type == _GREY
    return Samples(file, said_of_depth(depth) if depth == 16 or widened else ())


def _narrow(file: PIL.ImageFile.ImageFile, key: int | None) -> PIL.Image.Image:
    """Return 16-bit grey as 8-bit grey, with alpha where one of its 65536 levels is transparent."""
    wide = np.asarray(file).astype(np.uint16)
    grey = high_byte(wide, 16)
    if key is not None:
        grey.putalpha(PIL.Image.fromarray(np.where(wide == key, 0, 255).astype(np.uint8)))
    return grey


def _said_of_colour(chunks: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """Name what says that the samples are not sRGB's: it is ignored."""
    notes = ["ICC profile ignored"] if b"iCCP" in chunks else []
    if b"sRGB" not in chunks:
        notes += _said_of_gamma(_numbers(chunks.get(b"gAMA", b"")))
        notes += _said_of_primaries(_numbers(chunks.get(b"cHRM", b"")))
    if len(code := chunks.get(b"cICP", b"")) >= 2:
        notes += said_of_code_points(code[0], code[1])
    return tuple(notes)


def said_of_code_points(primaries: int, transfer: int) -> tuple[str, ...]:
    """Name code points of ITU-T H.273 that are not sRGB's: they are ignored."""
    if primaries in _BT709_OR_UNSPECIFIED and transfer in _TRANSFER_OF_SRGB:
        return ()
    return (f"colour primaries {primaries} and transfer {transfer} (ITU-T H.273) ignored",)


def _numbers(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(body) // 4}I", body[: len(body) // 4 * 4])


def _said_of_gamma(numbers: tuple[int, ...]) -> tuple[str, ...]:
    if not numbers or abs(numbers[0] - _GAMMA) <= _NEAR:
        return ()
    return (f"gAMA {numbers[0] / 100_000:g} ignored",)


def _said_of_primaries(numbers: tuple[int, ...]) -> tuple[str, ...]:
    if all(abs(found - usual) <= _NEAR for found, usual in zip(numbers, _CHROMATICITIES, strict=False)):
        return ()
    return ("cHRM ignored",)
