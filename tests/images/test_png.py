"""PNG: metadata never makes pixels unusable, and what is done to samples or ignored is said."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmark.errors import ImageError
from benchmark.images import load_image

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(path: Path, kind: bytes, body: bytes) -> Path:
    """Write PIXELS with one chunk more, behind the header."""
    stream = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(stream, "PNG")
    data = stream.getvalue()
    path.write_bytes(data[:33] + chunk(kind, body) + data[33:])
    return path


def one_row(path: Path, head: tuple[int, int, int], row: bytes, key: bytes) -> Path:
    """A PNG of one line, `head` is width, depth and colour type, `key` its tRNS: Pillow writes few."""
    width, depth, colour_type = head
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0))
    image = chunk(b"IDAT", zlib.compress(b"\0" + row))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", key) + image + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"key\0\0" + zlib.compress(b"x" * 3_000_000)),
        (b"iTXt", b"key\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
        (b"tEXt", b"key\0" + b"x" * 3_000_000),
        (b"zTXt", b"no null"),
        (b"pHYs", b"short"),
        (b"eXIf", b"no exif"),
        (b"eXIf", b"II*\0\xff\xff\xff\xff"),
        (b"acTL", b""),
        (b"sPLT", b""),
        (b"gAMA", b"?"),
        (b"cHRM", b"?"),
        (b"cICP", b"?"),
        (b"xxXx", b"from elsewhere"),
    ],
)
def test_metadata_never_makes_pixels_unusable(tmp_path: Path, kind: bytes, body: bytes) -> None:
    loaded = load_image(with_chunk(tmp_path / "m.png", kind, body))
    assert np.array_equal(loaded.pixels, PIXELS)
    assert all(text.startswith("Pillow warned: Corrupt EXIF data") for text in loaded.conversions)


def test_a_wrong_checksum_counts_where_it_guards_pixels(tmp_path: Path) -> None:
    path = with_chunk(tmp_path / "m.png", b"tEXt", b"key\0text")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"key\0text", b"key\0tex!"))
    assert np.array_equal(load_image(path).pixels, PIXELS)
    place = data.index(b"IDAT") + 12
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(ImageError, match=r"m\.png: is damaged: the checksum of the chunk IDAT is wrong"):
        load_image(path)


def test_a_chunk_that_pixels_need_and_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"m\.png: has a chunk CgBI that is not known here"):
        load_image(with_chunk(tmp_path / "m.png", b"CgBI", b"\x50\0\x20\6"))


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (b"iCCP", b"Display P3\0\0" + zlib.compress(b"profile" * 30), ("ICC profile ignored",)),
        (b"iCCP", b"broken", ("ICC profile ignored",)),
        (b"gAMA", struct.pack(">I", 100_000), ("gAMA 1 ignored",)),
        (b"gAMA", struct.pack(">I", 45_455), ()),
        (
            b"cHRM",
            struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
            ("cHRM ignored",),
        ),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000), ()),
        (b"cICP", bytes((9, 16, 0, 1)), ("colour primaries 9 and transfer 16 (ITU-T H.273) ignored",)),
        (b"cICP", bytes((1, 13, 0, 1)), ()),
        (b"sRGB", b"\0", ()),
    ],
)
def test_a_colour_profile_is_ignored_and_said(
    tmp_path: Path, kind: bytes, body: bytes, said: tuple[str, ...]
) -> None:
    loaded = load_image(with_chunk(tmp_path / "m.png", kind, body))
    assert np.array_equal(loaded.pixels, PIXELS)
    assert loaded.conversions == said


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_not_applied(tmp_path: Path, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(with_chunk(tmp_path / "m.png", b"eXIf", exif.tobytes()[6:]))
    assert np.array_equal(loaded.pixels, PIXELS)
    assert loaded.conversions == (f"EXIF orientation {orientation} ignored: not in 1 to 8",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_as_pillow_does(tmp_path: Path, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = with_chunk(tmp_path / "m.png", b"eXIf", exif.tobytes()[6:])
    with PIL.Image.open(path) as file:
        upright = np.asarray(PIL.ImageOps.exif_transpose(file))
    assert np.array_equal(load_image(path).pixels, upright)


def test_a_transparent_level_of_16_bit_grey_is_composited(tmp_path: Path) -> None:
    """0x1234 is transparent, 0x12FF is not, though both have the high byte 0x12."""
    path = one_row(tmp_path / "g.png", (3, 16, 0), bytes.fromhex("123412FF8000"), bytes.fromhex("1234"))
    loaded = load_image(path)
    assert loaded.pixels[0, :, 0].tolist() == [255, 0x12, 0x80]
    assert loaded.conversions == ("16 bits to 8: high byte", "grey to RGB", "alpha composited on white")


@pytest.mark.parametrize(("depth", "row", "key"), [(2, 0b00011011, 2), (4, 0x2B, 2)])
def test_a_transparent_level_of_few_bits_is_composited(
    tmp_path: Path, depth: int, row: int, key: int
) -> None:
    path = one_row(tmp_path / "g.png", (8 // depth, depth, 0), bytes([row]), struct.pack(">H", key))
    loaded = load_image(path)
    assert loaded.pixels[0, :, 0].tolist() == ([0, 85, 255, 255] if depth == 2 else [255, 0xBB])
    assert loaded.conversions == (
        f"{depth} bits widened to 8",
        "grey to RGB",
        "alpha composited on white",
    )


def test_a_transparent_colour_of_16_bit_rgb_is_refused(tmp_path: Path) -> None:
    path = one_row(tmp_path / "c.png", (1, 16, 2), bytes(6), bytes(6))
    with pytest.raises(ImageError, match=r"c\.png: 16-bit RGB with a transparent colour \(tRNS\)"):
        load_image(path)
