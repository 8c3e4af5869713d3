"""The bytes of models from elsewhere: what `compress()` wrote, behind what a decoder must know.

Layout: magic (1 byte), model id (4), CRC-32 of all the rest (4), CRC-32 of the decoded latents (4), where
the model serves several points the point as text behind its length, width, height, the length of each
string but the last, then the strings. Numbers are varints. The latents' shapes follow from the image's size
(see `model.Template`), so that they cost nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import BitstreamError
from benchmark.learned.coding.bitstream import check_size, read_varint, varint

VERSION = 1
_ONE_POINT, _AT_POINT = 0xC1, 0xC2
"""The magic bytes of version 1: without and with the point."""
_FIXED = struct.Struct("<B4sII")


@dataclass(frozen=True)
class Stream:
    """One coded image."""

    model_id: bytes
    """The first 4 bytes of what identifies the weights."""
    point: float | None
    """None where the model has one point."""
    width: int
    height: int
    latents_crc: int
    """Of the latents as the encoder's machine decodes them."""
    strings: Sequence[bytes]


def pack(stream: Stream) -> bytes:
    """Return the bytes of `stream`."""
    lengths = [len(string) for string in stream.strings[:-1]]
    numbers = b"".join(varint(number) for number in (stream.width, stream.height, *lengths))
    body = point_bytes(stream.point) + numbers + b"".join(stream.strings)
    magic = _ONE_POINT if stream.point is None else _AT_POINT
    return (
        _FIXED.pack(
            magic, stream.model_id, _crc(magic, stream.model_id, stream.latents_crc, body), stream.latents_crc
        )
        + body
    )


def unpack(data: bytes, strings: int) -> Stream:
    """Return what `pack` was given, of a model that makes so many strings.

    Raises BitstreamError for bytes that are too short, foreign or altered, before any entropy decoder.
    """
    magic, model_id, latents_crc, body = _checked(data)
    point, at = read_point(body) if magic == _AT_POINT else (None, 0)
    width, at = read_varint(body, at, "width")
    height, at = read_varint(body, at, "height")
    check_size(width, height)
    lengths = []
    for _ in range(strings - 1):
        length, at = read_varint(body, at, "length of a string")
        lengths.append(length)
    if sum(lengths) > len(body) - at:
        raise BitstreamError(f"strings of {sum(lengths)} bytes cannot be in {len(body) - at} bytes")
    ends = [at + sum(lengths[:number]) for number in range(strings)]
    found = [body[start:end] for start, end in zip(ends, [*ends[1:], len(body)], strict=True)]
    return Stream(model_id, point, width, height, latents_crc, found)


def read_model(data: bytes) -> tuple[bytes, float | None]:
    """Return the model id and the point of a stream, which say how to read on. Raises BitstreamError."""
    magic, model_id, _, body = _checked(data)
    return model_id, read_point(body)[0] if magic == _AT_POINT else None


def _checked(data: bytes) -> tuple[int, bytes, int, bytes]:
    if len(data) < _FIXED.size or data[0] not in (_ONE_POINT, _AT_POINT):
        raise BitstreamError(f"{len(data)} bytes that are no stream of a CompressAI model")
    magic, model_id, crc, latents_crc = _FIXED.unpack_from(data)
    body = data[_FIXED.size :]
    if crc != _crc(magic, model_id, latents_crc, body):
        raise BitstreamError("the checksum does not match: the stream is truncated or was altered")
    return magic, model_id, latents_crc, body


def _crc(magic: int, model_id: bytes, latents_crc: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_FIXED.pack(magic, model_id, 0, latents_crc)))


def point_bytes(point: float | None) -> bytes:
    """Return a point as text behind its length; nothing for none."""
    if point is None:
        return b""
    text = repr(float(point)).removesuffix(".0").encode()
    return bytes([len(text)]) + text


def read_point(body: bytes) -> tuple[float, int]:
    """Return the point that begins `body`, and where what follows begins. Raises BitstreamError."""
    end = 1 + body[0] if body else 1
    try:
        return float(body[1:end]), end
    except ValueError as error:
        raise BitstreamError("the point in the header is no number") from error
