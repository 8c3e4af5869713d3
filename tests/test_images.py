"""Reading every kind of file, writing PNG whole or not at all, and the colour conversion's floors."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.arrays import Image
from benchmark.errors import ImageError
from benchmark.images import (
    MAX_PIXELS,
    load_image,
    luma_chroma,
    rgb_to_ycbcr,
    save_png,
    ycbcr_to_rgb,
)


def _noise(height: int = 6, width: int = 5, seed: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _png(path: Path, depth: int, colour_type: int, rows: bytes, size: tuple[int, int]) -> Path:
    """A PNG written by hand: Pillow cannot write 16-bit RGB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def _psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 48)])
@pytest.mark.parametrize("suffix", ["png", "ppm", "bmp", "tiff"])
def test_plain_rgb_comes_back_as_it_is(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    pixels = _noise(size[1], size[0])
    path = tmp_path / f"in.{suffix}"
    PIL.Image.fromarray(pixels).save(path)
    loaded = load_image(path)
    assert np.array_equal(loaded.pixels, pixels)
    assert loaded.pixels.flags.c_contiguous
    assert loaded.conversions == ()


def test_names_with_spaces_quotes_newlines_and_unicode(tmp_path: Path) -> None:
    path = tmp_path / "a 'b' \"c\"\nd é 画.png"
    save_png(_noise(), path)
    assert np.array_equal(load_image(path).pixels, _noise())


def test_grey_is_copied_to_three_channels(tmp_path: Path) -> None:
    grey = _noise()[..., 0]
    PIL.Image.fromarray(grey).save(tmp_path / "g.png")
    loaded = load_image(tmp_path / "g.png")
    assert np.array_equal(loaded.pixels, np.stack([grey] * 3, axis=-1))
    assert loaded.conversions == ("grey to RGB",)


def test_bilevel_becomes_black_and_white(tmp_path: Path) -> None:
    PIL.Image.fromarray(_noise()[..., 0] > 127).save(tmp_path / "b.png")
    loaded = load_image(tmp_path / "b.png")
    assert set(np.unique(loaded.pixels)) == {0, 255}
    assert loaded.conversions == ("bilevel to RGB",)


def test_palette_is_looked_up(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(_noise()).quantize(8)
    picture.save(tmp_path / "p.png")
    loaded = load_image(tmp_path / "p.png")
    assert np.array_equal(loaded.pixels, np.asarray(picture.convert("RGB")))
    assert loaded.conversions == ("palette to RGB",)


def test_palette_with_a_transparent_entry_is_composited(tmp_path: Path) -> None:
    picture = PIL.Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30] + [0] * 765)
    picture.save(tmp_path / "p.png", transparency=0)
    loaded = load_image(tmp_path / "p.png")
    assert (loaded.pixels == 255).all()
    assert loaded.conversions == ("palette to RGB", "alpha composited on white")


def test_alpha_is_composited_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (200, 100, 50, 255)
    rgba[0, 1] = (200, 100, 50, 0)
    rgba[1, :] = (0, 0, 0, 128)
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    assert loaded.pixels[0].tolist() == [[200, 100, 50], [255, 255, 255]]
    assert loaded.pixels[1, 0].tolist() == [127, 127, 127]
    assert loaded.conversions == ("alpha composited on white",)


def test_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    PIL.Image.fromarray(_noise()).convert("RGBA").save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    assert np.array_equal(loaded.pixels, _noise())
    assert loaded.conversions == ("opaque alpha dropped",)


@pytest.mark.parametrize("widen", [257, 256])
def test_16_bit_rgb_keeps_the_high_byte(tmp_path: Path, widen: int) -> None:
    pixels = _noise()
    wide = (pixels.astype(np.uint16) * widen).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    loaded = load_image(_png(tmp_path / "w.png", 16, 2, rows, (5, 6)))
    assert np.array_equal(loaded.pixels, pixels)
    assert loaded.conversions == ("16 bits to 8: high byte",)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_keeps_the_high_byte(tmp_path: Path, suffix: str) -> None:
    grey = np.array([[0, 255, 256, 65535]], np.uint16)
    PIL.Image.fromarray(grey).save(tmp_path / f"w.{suffix}")
    loaded = load_image(tmp_path / f"w.{suffix}")
    assert loaded.pixels[0, :, 1].tolist() == [0, 0, 1, 255]
    assert "16 bits to 8: high byte" in loaded.conversions


def test_float_samples_are_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(ImageError, match=r"f\.tiff.*mode F.*export it as 8-bit RGB"):
        load_image(tmp_path / "f.tiff")


def test_cmyk_is_converted(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.tiff")
    loaded = load_image(tmp_path / "c.tiff")
    assert loaded.pixels[0, 0].tolist() == [255, 0, 0]
    assert loaded.conversions == ("CMYK to RGB",)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = _noise(4, 6)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the top row of the file is the right side of the picture
    PIL.Image.fromarray(pixels).save(tmp_path / "r.png", exif=exif)
    loaded = load_image(tmp_path / "r.png")
    assert np.array_equal(loaded.pixels, np.rot90(pixels, -1))
    assert loaded.conversions == ("EXIF orientation 6 applied",)


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [PIL.Image.new("RGB", (4, 4), (level, level, level)) for level in (0, 255)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    loaded = load_image(tmp_path / "a.png")
    assert (loaded.pixels == 0).all()
    assert loaded.conversions == ("first of 2 frames",)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.05])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "ppm", "bmp", "jp2"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"t.{suffix}"
    PIL.Image.fromarray(_noise(64, 64)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match=f"t.{suffix}"):
        load_image(path)


def test_empty_missing_foreign_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello, this is no image" * 50)
    for name, reason in [
        ("empty.png", "0 bytes"),
        ("text.png", "no image of a known format"),
        ("gone.png", "no such file"),
        (".", "no regular file"),
    ]:
        with pytest.raises(ImageError, match=reason):
            load_image(tmp_path / name)


def test_postscript_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(ImageError, match="no image of a known format"):
        load_image(tmp_path / "x.png")


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = _png(tmp_path / "bomb.png", 8, 2, b"\0", (60000, 60000))
    with pytest.raises(ImageError, match=r"bomb\.png: 60000x60000 .* BENCH_MAX_PIXELS"):
        load_image(path)


def test_the_pixel_limit_comes_from_argument_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_png(_noise(10, 10), tmp_path / "i.png")
    pillow_limit = PIL.Image.MAX_IMAGE_PIXELS
    monkeypatch.setenv("BENCH_MAX_PIXELS", "99")
    with pytest.raises(ImageError, match="over the limit of 99"):
        load_image(tmp_path / "i.png")
    assert load_image(tmp_path / "i.png", max_pixels=100).pixels.shape == (10, 10, 3)
    monkeypatch.setenv("BENCH_MAX_PIXELS", "many")
    with pytest.raises(ImageError, match="BENCH_MAX_PIXELS is 'many'"):
        load_image(tmp_path / "i.png")
    assert pillow_limit == PIL.Image.MAX_IMAGE_PIXELS
    assert MAX_PIXELS >= 50_000_000  # the largest photographs of today's cameras must pass


@given(data=st.binary(min_size=1, max_size=60), place=st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_an_image_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "d"
    stream = io.BytesIO()
    PIL.Image.fromarray(_noise(12, 12)).save(stream, format=("PNG", "JPEG", "TIFF", "GIF")[place % 4])
    whole = bytearray(stream.getvalue())
    whole[place : place + len(data)] = data
    path.write_bytes(whole)
    try:
        loaded = load_image(path, max_pixels=10_000)
    except ImageError as error:
        assert str(path) in str(error)
    else:
        assert loaded.pixels.dtype == np.uint8
        assert loaded.pixels.shape[2] == 3


def test_save_png_leaves_nothing_behind_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_png(_noise(seed=1), tmp_path / "o.png")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", full)
    with pytest.raises(ImageError, match=r"o\.png: cannot be written: No space left"):
        save_png(_noise(seed=2), tmp_path / "o.png")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["o.png"]
    assert np.array_equal(load_image(tmp_path / "o.png").pixels, _noise(seed=1))


def test_save_png_names_a_missing_folder_and_a_wrong_array(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file or directory"):
        save_png(_noise(), tmp_path / "none" / "o.png")
    with pytest.raises(ValueError, match=r"float64 \[4, 4\]"):
        save_png(np.zeros((4, 4)), tmp_path / "o.png")  # type: ignore[arg-type]


def test_primaries_and_greys_have_the_expected_codes() -> None:
    """By hand from BT.709: Y = peak * K; Cb, Cr = peak * (0.5 +- K / scale); greys at peak / 2, rounded."""
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [77, 77, 77]]], np.uint8)
    planes = rgb_to_ycbcr(colours, 8)[:, 0].T.tolist()
    assert planes == [[54, 98, 255], [182, 29, 12], [18, 255, 116], [255, 128, 128], [77, 128, 128]]
    assert rgb_to_ycbcr(colours, 10)[:, 0].T.tolist()[3:] == [[1023, 512, 512], [309, 512, 512]]


def test_luma_chroma_is_bt709_and_unrounded() -> None:
    image = _noise(9, 9)
    matrix = np.array(
        [
            [0.2126, 0.7152, 0.0722],
            [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5],
            [0.5, -0.7152 / 1.5748, -0.0722 / 1.5748],
        ]
    )
    assert np.allclose(luma_chroma(image), np.einsum("ij,hwj->ihw", matrix, image), atol=1e-12)


def test_every_grey_gets_the_same_chroma_and_survives_10_bits() -> None:
    """A tie that float noise would break one way or the other would put texture into grey areas."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert (rgb_to_ycbcr(greys, 10)[1:] == 512).all()
    assert np.array_equal(ycbcr_to_rgb(rgb_to_ycbcr(greys, 10), 10), greys)
    assert (luma_chroma(greys)[1:] == 0).all()


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_from_10_bits_on_next_to_nothing_is_lost(depth: int) -> None:
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    back = ycbcr_to_rgb(rgb_to_ycbcr(cube, depth), depth)
    assert np.abs(back.astype(int) - cube).max() <= 1
    assert (back != cube).mean() < 1e-3


def test_8_bit_floor_on_random_colours() -> None:
    image = _noise(512, 512)
    assert 52.0 < _psnr(image, ycbcr_to_rgb(rgb_to_ycbcr(image, 8), 8)) < 54.0


@pytest.mark.parametrize("depth", [7, 17])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"bit depth {depth}"):
        rgb_to_ycbcr(_noise(), depth)


@pytest.mark.skipif(not os.environ.get("BENCH_DATA_DIR"), reason="BENCH_DATA_DIR is not set")
def test_floor_on_kodak() -> None:
    """About 53 to 54 dB for rounded 8-bit planes, nothing lost at 10 (measured: 52.995 dB, lossless)."""
    files = sorted(Path(os.environ["BENCH_DATA_DIR"], "kodak").glob("*.png"))
    assert len(files) == 24
    floors = []
    for number, file in enumerate(files):
        loaded = load_image(file)
        assert loaded.conversions == ()
        floors.append(_psnr(loaded.pixels, ycbcr_to_rgb(rgb_to_ycbcr(loaded.pixels, 8), 8)))
        if number < 6:
            assert np.array_equal(ycbcr_to_rgb(rgb_to_ycbcr(loaded.pixels, 10), 10), loaded.pixels)
    assert abs(np.mean(floors) - 52.9945) < 0.0005
    assert min(floors) > 52.49
