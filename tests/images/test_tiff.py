"""TIFF: every layout is converted rightly or refused by name, whatever Pillow makes of it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from numpy.typing import NDArray

from benchmark.errors import ImageError
from benchmark.images import load_image

EXIF = 34665
DEEP = "16 bits to 8: high byte"


def write(path: Path, samples: NDArray[np.generic], **options: object) -> Path:
    """Write samples as they are: [H, W], [H, W, C], or with planarconfig="separate" [C, H, W]."""
    tifffile.imwrite(path, samples, metadata=None, **options)
    return path


def of_colours(*values: int, dtype: str = "uint16", planar: bool = False) -> NDArray[np.generic]:
    """A picture of one colour, 5 high and 6 wide."""
    pixel = np.array(values, dtype)
    return np.tile(pixel[:, None, None], (1, 5, 6)) if planar else np.tile(pixel, (5, 6, 1))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "packbits"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_16_bit_rgb_is_its_high_bytes_in_whatever_order(
    tmp_path: Path, planar: bool, compression: str | None, order: str, big: bool
) -> None:
    path = write(
        tmp_path / "t.tif",
        of_colours(0x4080, 0x80FE, 0xC001, planar=planar),
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        compression=compression,
        byteorder=order,
        bigtiff=big,
    )
    loaded = load_image(path)
    assert loaded.pixels.shape == (5, 6, 3)
    assert (loaded.pixels == (64, 128, 192)).all()
    assert loaded.conversions == (DEEP,)


@pytest.mark.parametrize("layout", ["strips", "tiles"])
@pytest.mark.parametrize("predictor", [False, True])
def test_planes_of_noise_come_back_sample_by_sample(tmp_path: Path, layout: str, predictor: bool) -> None:
    wide = np.random.default_rng(3).integers(0, 65536, (3, 37, 41), np.uint16)
    options = {"tile": (16, 16)} if layout == "tiles" else {"rowsperstrip": 5}
    options |= {"compression": "zlib", "predictor": True} if predictor else {}
    path = write(tmp_path / "t.tif", wide, photometric="rgb", planarconfig="separate", **options)
    assert np.array_equal(load_image(path).pixels, np.moveaxis(wide >> 8, 0, -1))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("dtype", "value", "expected"), [("uint16", 0x4000, 191), ("uint8", 0x40, 191), ("uint16", 0, 255)]
)
def test_min_is_white_is_inverted(
    tmp_path: Path, dtype: str, value: int, expected: int, compression: str | None
) -> None:
    picture = of_colours(value, dtype=dtype)[..., 0]
    path = write(tmp_path / "t.tif", picture, photometric="miniswhite", compression=compression)
    loaded = load_image(path)
    assert (loaded.pixels == expected).all()
    depth = (DEEP,) if dtype == "uint16" else ()
    assert loaded.conversions == (*depth, "min-is-white inverted", "grey to RGB")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.full((5, 6), -1, np.int16), "signed samples"),
        (np.full((5, 6), -300, np.int16), "signed samples"),
        (np.full((5, 6), -1, np.int8), "signed samples"),
        (np.full((5, 6, 3), 7, np.int16), "signed samples"),
        (np.zeros((5, 6), np.float32), "floating-point"),
        (np.zeros((5, 6, 3), np.float16), "floating-point"),
        (np.zeros((5, 6), np.uint32), "samples of 32 bits"),
        (np.zeros((5, 6, 3), np.uint32), "samples of 32 bits"),
    ],
)
def test_samples_without_an_8_bit_range_are_refused_by_name(
    tmp_path: Path, samples: NDArray[np.generic], reason: str
) -> None:
    kind = "rgb" if samples.ndim == 3 else "minisblack"
    path = write(tmp_path / "t.tif", samples, photometric=kind)
    with pytest.raises(ImageError, match=rf"t\.tif: {reason}.*have no defined 8-bit range; export it as"):
        load_image(path)


def test_colours_that_are_not_converted_are_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tif", of_colours(9, 9, 9, dtype="uint8"), photometric="cielab")
    with pytest.raises(ImageError, match="photometric interpretation 8 are not converted"):
        load_image(path)
    PIL.Image.new("LA", (6, 5)).save(tmp_path / "la.tif", compression="tiff_lzw")
    data = (tmp_path / "la.tif").read_bytes()
    (tmp_path / "la.tif").write_bytes(with_tag(data, 284, 2))
    with pytest.raises(
        ImageError, match="8-bit min-is-black, 1 extra samples, in planes, compression 5; export"
    ):
        load_image(tmp_path / "la.tif")


def test_12_bit_grey_keeps_its_highest_bits(tmp_path: Path) -> None:
    """12 bits a sample, packed: 0xABC and 0x123 are A B C 1 2 3."""
    data = write_bytes(np.zeros((2, 3), np.uint8))
    data = with_tag(with_tag(data, 258, 12), 256, 2)
    start = struct.unpack_from("<I", entry_of(data, 273), 8)[0]
    path = tmp_path / "t.tif"
    path.write_bytes(data[:start] + bytes.fromhex("ABC123ABC123") + data[start + 6 :])
    loaded = load_image(path)
    assert loaded.pixels[..., 0].tolist() == [[0xAB, 0x12], [0xAB, 0x12]]
    assert loaded.conversions == ("12 bits to 8: high byte", "grey to RGB")


@pytest.mark.parametrize(
    ("extra", "expected", "said"),
    [
        ("unassalpha", (255 - 128 + 64, 191, 223), "alpha composited on white"),
        ("unspecified", (128, 128, 192), "extra samples dropped"),
    ],
)
@pytest.mark.parametrize("planar", [False, True])
def test_extra_samples_are_alpha_or_dropped(
    tmp_path: Path, extra: str, expected: tuple[int, ...], said: str, planar: bool
) -> None:
    path = write(
        tmp_path / "t.tif",
        of_colours(0x8000, 0x8000, 0xC000, 0x8000, planar=planar),
        photometric="rgb",
        extrasamples=[extra],
        planarconfig="separate" if planar else "contig",
    )
    loaded = load_image(path)
    assert np.abs(loaded.pixels.astype(int) - expected).max() <= 1
    assert loaded.conversions == (DEEP, said)


@pytest.mark.parametrize("planar", [False, True])
def test_orientation_is_applied_once_and_said(tmp_path: Path, planar: bool) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (4, 6, 3), np.uint8)
    samples = np.moveaxis(rgb, -1, 0) if planar else rgb
    path = write(
        tmp_path / "t.tif",
        samples,
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        extratags=[(274, "H", 1, 6, True)],
    )
    loaded = load_image(path)
    assert np.array_equal(loaded.pixels, np.rot90(rgb, -1))
    assert loaded.conversions == ("TIFF orientation 6 applied",)


def test_an_orientation_that_does_not_exist_is_not_applied(tmp_path: Path) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (4, 6, 3), np.uint8)
    path = write(tmp_path / "t.tif", rgb, photometric="rgb", extratags=[(274, "H", 1, 9, True)])
    assert np.array_equal(load_image(path).pixels, rgb)
    assert load_image(path).conversions == ("TIFF orientation 9 ignored: not in 1 to 8",)


def test_further_pictures_and_a_profile_are_said(tmp_path: Path) -> None:
    path = tmp_path / "t.tif"
    with tifffile.TiffWriter(path) as file:
        for level in (10, 20, 30):
            file.write(
                of_colours(level, level, level, dtype="uint8"), photometric="rgb", iccprofile=b"p" * 200
            )
    loaded = load_image(path)
    assert (loaded.pixels == 10).all()
    assert loaded.conversions == ("first of 3 frames", "ICC profile ignored")


@pytest.mark.parametrize("tag", [270, 305, 33723, 700, EXIF])
@pytest.mark.parametrize("place", [0, 5, 2**31, 2**32 - 1])
def test_metadata_that_leads_nowhere_does_not_matter(tmp_path: Path, tag: int, place: int) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (4, 6, 3), np.uint8)
    written = 270 if tag == EXIF else tag  # tifffile does not write EXIF
    data = write_bytes(rgb, photometric="rgb", extratags=[(written, "s", 0, "text" * 9, True)], software=None)
    entry = entry_of(data, written)
    path = tmp_path / "t.tif"
    path.write_bytes(data.replace(entry, struct.pack("<H", tag) + entry[2:8] + struct.pack("<I", place)))
    loaded = load_image(path)
    assert np.array_equal(loaded.pixels, rgb)
    assert loaded.conversions == ()


@pytest.mark.parametrize("kept", [0.97, 0.5, 0.1])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_are_cut_off_are_refused(tmp_path: Path, kept: float, compression: str | None) -> None:
    wide = np.random.default_rng(3).integers(0, 65536, (3, 64, 64), np.uint16)
    path = write(
        tmp_path / "t.tif", wide, photometric="rgb", planarconfig="separate", compression=compression
    )
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ImageError, match=r"t\.tif: .*damaged or truncated"):
        load_image(path)


def test_a_plane_that_is_not_there_is_not_taken_for_black(tmp_path: Path) -> None:
    data = write_bytes(np.full((3, 8, 8), 9, np.uint16), photometric="rgb", planarconfig="separate")
    place = struct.unpack_from("<I", entry_of(data, 279), 8)[0]
    (tmp_path / "t.tif").write_bytes(data[:place] + bytes(4) + data[place + 4 :])
    with pytest.raises(ImageError, match="lacks parts of the picture"):
        load_image(tmp_path / "t.tif")


def test_a_large_picture_is_refused_from_its_tags(tmp_path: Path) -> None:
    data = write_bytes(np.zeros((3, 8, 8), np.uint16), photometric="rgb", planarconfig="separate")
    (tmp_path / "t.tif").write_bytes(with_tag(with_tag(data, 256, 60000), 257, 60000))
    with pytest.raises(ImageError, match=r"60000x60000 .* BENCH_MAX_PIXELS"):
        load_image(tmp_path / "t.tif")


def write_bytes(samples: NDArray[np.generic], **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, byteorder="<", **options)
    return stream.getvalue()


def entry_of(data: bytes, tag: int) -> bytes:
    """The twelve bytes that stand for a tag in the directory of a small-endian file."""
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    entries = [data[start + 2 + 12 * i :][:12] for i in range(count)]
    return next(entry for entry in entries if struct.unpack_from("<H", entry)[0] == tag)


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """The same file, a tag's only number replaced (as a 32-bit one)."""
    entry = entry_of(data, tag)
    return data.replace(entry, struct.pack("<HHII", tag, 4, 1, value))
