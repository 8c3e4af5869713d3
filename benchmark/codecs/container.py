"""The file that `bench encode` writes: a codec's bitstream behind a header that names the codec.

Layout: 8 bytes magic, 4 bytes length of the header (big-endian), the header as a JSON object in UTF-8 with
`codec`, `options` and `point`, then the codec's own bytes up to the end. Suites never use this wrapper: the
rates in results count the codec's own bytes alone, which hold all that its decoder needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.arrays import Image
from benchmark.codecs import codec_entry, make_codec
from benchmark.codecs.process import most_file_bytes
from benchmark.errors import BitstreamError, UsageError
from benchmark.files import write_atomically
from benchmark.registry import names_file

MAGIC = b"\x89BENCH\r\n"
MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class Container:
    """A codec's bitstream, and what makes the codec that reads it."""

    codec: str
    options: Mapping[str, Any]
    point: float
    payload: bytes
    """The codec's own bytes."""

    def pack(self) -> bytes:
        """Return the file."""
        header = {"codec": self.codec, "options": dict(self.options), "point": self.point}
        encoded = json.dumps(header).encode()
        return MAGIC + len(encoded).to_bytes(4, "big") + encoded + self.payload

    @staticmethod
    def unpack(data: bytes, source: str) -> Container:
        """Return what the file holds. Raises BitstreamError, naming `source`, for bytes that are none."""
        if not data.startswith(MAGIC):
            raise BitstreamError(
                f"{source}: was not written by `bench encode`; "
                f"for a bare bitstream name its codec with --codec"
            )
        start = len(MAGIC) + 4
        length = int.from_bytes(data[len(MAGIC) : start], "big")
        end = start + length
        if len(data) < start or length > MAX_HEADER_BYTES or end > len(data):
            raise BitstreamError(f"{source}: is truncated or damaged in its header")
        try:
            header = json.loads(data[start:end])
            name, options, point = header["codec"], header["options"], float(header["point"])
        except (ValueError, KeyError, TypeError) as error:
            raise BitstreamError(f"{source}: its header is damaged") from error
        if not isinstance(name, str) or not isinstance(options, dict):
            raise BitstreamError(f"{source}: its header is damaged")
        return Container(name, options, point, data[end:])


def encode(
    codec_name: str, point: float, image: Image, options: Mapping[str, Any] | None = None
) -> Container:
    """Encode `image`. Raises UsageError, PointError or CodecError, as the codec does."""
    codec = make_codec(codec_name, options)
    codec.version()  # says what is missing if the codec cannot run here
    codec.check_point(point)
    codec.prepare(point)
    return Container(codec_name, options or {}, point, codec.encode(image, point))


def decode(
    data: bytes, codec_name: str | None, source: str, options: Mapping[str, Any] | None = None
) -> tuple[Image, str]:
    """Return the image and the codec's name; with `codec_name`, `data` may be that codec's bare bitstream.

    `options` take the place of those that the file names. Raises BitstreamError, naming `source`, for bytes
    that are none, UsageError for a file that names code to run which its reader did not name.
    """
    if codec_name is None or data.startswith(MAGIC):
        held = Container.unpack(data, source)
        _check_trusted(held, codec_name, options or {}, source)
        codec_name, options, data = held.codec, {**held.options, **(options or {})}, held.payload
    codec = make_codec(codec_name, options)
    codec.version()
    try:
        return codec.decode(data), codec_name
    except BitstreamError as error:
        raise BitstreamError(f"{source}: {error}") from error


def _check_trusted(held: Container, codec_name: str | None, options: Mapping[str, Any], source: str) -> None:
    """Raise UsageError unless the reader names the code that a file, perhaps a stranger's, asks for."""
    is_code = names_file(held.codec)
    if codec_name is not None and not (is_code and codec_name == held.codec):
        raise UsageError(f"{source}: names its codec itself, {held.codec}; omit --codec")
    if is_code and codec_name is None:
        raise UsageError(
            f"{source}: its codec is a program, {held.codec}; if you trust it give --codec {held.codec}"
        )
    for option in codec_entry(held.codec).code_options:
        if option in held.options and option not in options:
            raise UsageError(
                f"{source}: asks to run {option} = {held.options[option]!r}; if you trust it give the option "
                f"yourself: --option {option}=..."
            )


def read_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises UsageError, naming it, if it cannot be read, or is too large."""
    try:
        if (size := path.stat().st_size) > most_file_bytes():
            raise UsageError(
                f"{path}: has {size:,} bytes, more than the {most_file_bytes():,} of any stream; "
                "set BENCH_MAX_PIXELS higher if it is meant to be that large"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all. Raises UsageError, naming it, if that fails."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
