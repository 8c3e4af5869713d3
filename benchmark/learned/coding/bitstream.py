"""The bytes of the learned codecs: what a decoder must know, then the two streams (docs/bitstream.md)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from benchmark.errors import BitstreamError
from benchmark.learned.quantizers import find_stream_id, get_quantizer

MAGIC = b"bLC"
VERSION = 2
VARIABLE_RATE_VERSION = 3
"""Of streams of networks that serve many rates: version 2 with the lmbda behind the step."""
MODEL_ID_BYTES = 4
"""Bytes of the model's sha256 that a stream carries."""
LARGEST_SIDE = 2**16 - 1
LARGEST_LMBDA = 10.0
LARGEST_PIXELS = 2**27
"""134 megapixels: decoding one takes minutes and less than 8 GB."""


_FIXED = struct.Struct(f"<3sB{MODEL_ID_BYTES}sBf")
_FLOAT = struct.Struct("<f")
_CHECKSUM = struct.Struct("<I")
_LEAST_BYTES = _FIXED.size + 3 + _CHECKSUM.size


@dataclass(frozen=True)
class Header:
    """What stands before the streams."""

    model_id: bytes
    """The first 4 bytes of the sha256 that identifies the weights."""
    width: int
    height: int
    quantizer: str
    delta: float
    """A float32 value: `stored_float` makes one."""
    lmbda: float | None = None
    """The rate that the network was at, a float32 value; None for a network of one rate."""


@dataclass(frozen=True)
class CodedImage:
    """One coded image."""

    header: Header
    hyper_stream: bytes
    latent_stream: bytes


def stored_float(value: float) -> float:
    """Return the nearest value that the header can hold (float32)."""
    return float(_FLOAT.unpack(_FLOAT.pack(value))[0])


def head(header: Header, hyper_stream: bytes) -> bytes:
    """Return all that stands before the latent stream."""
    version = VERSION if header.lmbda is None else VARIABLE_RATE_VERSION
    return (
        _FIXED.pack(MAGIC, version, header.model_id, get_quantizer(header.quantizer).stream_id, header.delta)
        + (b"" if header.lmbda is None else _FLOAT.pack(header.lmbda))
        + varint(header.width)
        + varint(header.height)
        + varint(len(hyper_stream))
        + hyper_stream
    )


def latent_seed(header: Header, hyper_stream: bytes) -> int:
    """Return the seed of the latent stream: it binds that stream to all that stands before it."""
    return zlib.crc32(head(header, hyper_stream))


def pack(container: CodedImage) -> bytes:
    """Return the bytes of `container`."""
    body = head(container.header, container.hyper_stream) + container.latent_stream
    return body + _CHECKSUM.pack(zlib.crc32(body))


def unpack(data: bytes) -> CodedImage:
    """Return what `pack` was given.

    Raises BitstreamError for bytes that are too short, of another format or version, altered (the checksum
    covers every byte before it), or whose header is out of range. Costs one pass over the bytes.
    """
    if len(data) < _LEAST_BYTES or not data.startswith(MAGIC):
        raise BitstreamError(
            f"{len(data)} bytes that are no stream of a learned codec (no {MAGIC!r} at the start)"
        )
    _, version, model_id, quantizer_id, delta = _FIXED.unpack_from(data)
    if version not in (VERSION, VARIABLE_RATE_VERSION):
        raise BitstreamError(
            f"the stream has version {version} of the format, this decoder reads {VERSION} and "
            f"{VARIABLE_RATE_VERSION}"
        )
    body = data[: -_CHECKSUM.size]
    if _CHECKSUM.pack(zlib.crc32(body)) != data[-_CHECKSUM.size :]:
        raise BitstreamError("the checksum does not match: the stream is truncated or was altered")
    quantizer = find_stream_id(quantizer_id)
    if quantizer is None:
        raise BitstreamError(
            f"the stream names quantizer {quantizer_id}, which does not exist here; a package may be missing"
        )
    if not 2.0**-10 <= delta <= 2.0**10:
        raise BitstreamError(f"the stream has a quantizer step of {delta}: outside 1/1024 to 1024")
    at, lmbda = _FIXED.size, None
    if version == VARIABLE_RATE_VERSION:
        if len(body) < at + _FLOAT.size:
            raise BitstreamError(f"the stream ends in its header, after {len(data)} bytes")
        (lmbda,) = _FLOAT.unpack_from(body, at)
        at += _FLOAT.size
        if not 0.0 < lmbda < LARGEST_LMBDA:
            raise BitstreamError(f"the stream has an lmbda of {lmbda}: outside 0 to {LARGEST_LMBDA:g}")
    width, at = read_varint(body, at, "width")
    height, at = read_varint(body, at, "height")
    check_size(width, height)
    hyper_bytes, at = read_varint(body, at, "length of the hyper-latent stream")
    if hyper_bytes > len(body) - at:
        raise BitstreamError(
            f"a hyper-latent stream of {hyper_bytes} bytes cannot be in {len(body) - at} bytes"
        )
    header = Header(model_id, width, height, quantizer.name, delta, lmbda)
    return CodedImage(header, body[at : at + hyper_bytes], body[at + hyper_bytes :])


def check_size(width: int, height: int) -> None:
    """Raise BitstreamError for an image that no stream of ours holds."""
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE and width * height <= LARGEST_PIXELS):
        raise BitstreamError(
            f"the stream claims {width}x{height} pixels: sides go to {LARGEST_SIDE}, "
            f"images to {LARGEST_PIXELS} pixels"
        )


def varint(value: int) -> bytes:
    """Return `value` in groups of 7 bits, least significant first, the top bit set on all but the last."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int, what: str) -> tuple[int, int]:
    """Return the number that `varint` wrote at `at`, and where what follows begins. Raises BitstreamError."""
    value = 0
    for position in range(5):
        if at + position >= len(data):
            break
        byte = data[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if byte == 0 and position > 0:
                break
            return value, at + position + 1
    raise BitstreamError(f"the {what} in the header is no number of the format")
