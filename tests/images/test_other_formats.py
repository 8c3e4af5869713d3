"""PPM, BMP, JPEG, JPEG 2000 and AVIF: one rule for depth, and what is done or ignored is said."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from benchmark.errors import ImageError
from benchmark.images import load_image

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)


def saved(format_: str, picture: PIL.Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (picture or PIL.Image.fromarray(PIXELS)).save(stream, format_, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "case",
    [
        (65535, 0x12FF, 18, "16 bits to 8: high byte"),
        (65535, 65535, 255, "16 bits to 8: high byte"),
        (1023, 75, 18, "10 bits to 8: high byte"),
        (1023, 1023, 255, "10 bits to 8: high byte"),
        (4095, 0x12F, 18, "12 bits to 8: high byte"),
        (1000, 1000, 255, "samples of 0 to 1000 scaled to 0 to 255"),
        (1000, 71, 18, "samples of 0 to 1000 scaled to 0 to 255"),
        (100, 7, 18, "samples of 0 to 100 scaled to 0 to 255"),
        (15, 15, 255, "samples of 0 to 15 scaled to 0 to 255"),
    ],
)
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_ppm_of_any_depth(tmp_path: Path, kind: str, case: tuple[int, int, int, str]) -> None:
    greatest, sample, expected, said = case
    channels = 3 if kind in ("P3", "P6") else 1
    samples = [0, sample] * 3 * channels
    if kind in ("P2", "P3"):
        body = b"# a remark 7 8\n" + " ".join(map(str, samples)).encode()
    else:
        body = struct.pack(f">{len(samples)}{'H' if greatest > 255 else 'B'}", *samples)
    (tmp_path / "p.pnm").write_bytes(f"{kind}\n# remark\n3 2\n{greatest}\n".encode() + body)
    loaded = load_image(tmp_path / "p.pnm")
    assert sorted(set(loaded.pixels.ravel().tolist())) == [0, expected]
    assert loaded.pixels.shape == (2, 3, 3)
    assert loaded.conversions == ((said,) if channels == 3 else (said, "grey to RGB"))


@pytest.mark.parametrize(
    "body", [b"P6 3 2 1023\n" + bytes(35), b"P2 3 2 1023\n1 2 3 4 5", b"P2 1 1 1023\n2000", b"P2 1 1 1023\nx"]
)
def test_deep_ppm_that_is_cut_off_or_wrong_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "p.pnm").write_bytes(body)
    with pytest.raises(ImageError, match=r"p\.pnm: is damaged or truncated"):
        load_image(tmp_path / "p.pnm")


def test_the_fourth_channel_of_bmp_is_ignored_and_said(tmp_path: Path) -> None:
    rgba = np.dstack([PIXELS, np.full((6, 5), 9, np.uint8)])
    (tmp_path / "b.bmp").write_bytes(saved("BMP", PIL.Image.fromarray(rgba)))
    loaded = load_image(tmp_path / "b.bmp")
    assert np.array_equal(loaded.pixels, PIXELS)
    assert loaded.conversions == ("fourth channel ignored (no alpha in this kind of BMP)",)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "tif"])
def test_an_icc_profile_is_ignored_and_said(tmp_path: Path, suffix: str) -> None:
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"i.{suffix}"
    PIL.Image.fromarray(PIXELS).save(path, icc_profile=profile)
    with_profile = load_image(path)
    PIL.Image.fromarray(PIXELS).save(path)
    assert np.array_equal(with_profile.pixels, load_image(path).pixels)
    assert with_profile.conversions == ("ICC profile ignored",)
    assert load_image(path).conversions == ()


@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE2, 0xED, 0xFE])
def test_broken_metadata_of_jpeg_does_not_matter(tmp_path: Path, marker: int) -> None:
    data = saved("JPEG")
    for body in (
        b"",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"ICC_PROFILE\0\1\2",
        b"MPF\0II*\0",
        b"Photoshop 3.0\0",
    ):
        segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        (tmp_path / "j.jpg").write_bytes(data[:2] + segment + data[2:])
        with PIL.Image.open(io.BytesIO(data)) as plain:
            assert np.array_equal(load_image(tmp_path / "j.jpg").pixels, np.asarray(plain))


def test_ycc_of_jpeg_2000_is_converted_and_said(tmp_path: Path) -> None:
    """Colour space 18 (sYCC) in place of 16 (sRGB): equal samples of 128 are the grey 128, others are not."""
    grey = PIL.Image.new("RGB", (64, 64), (100, 128, 128))
    data = saved("JPEG2000", grey, irreversible=False)
    colours = struct.pack(">BBBI", 1, 0, 0, 16)
    assert data.count(colours) == 1
    (tmp_path / "y.jp2").write_bytes(data.replace(colours, colours[:-1] + b"\x12"))
    loaded = load_image(tmp_path / "y.jp2")
    assert (loaded.pixels == 100).all()
    assert loaded.conversions == ("YCbCr to RGB",)
    (tmp_path / "y.jp2").write_bytes(data.replace(colours, colours[:-1] + b"\x0e"))
    with pytest.raises(ImageError, match="enumerated colour space 14 is not converted"):
        load_image(tmp_path / "y.jp2")


@pytest.mark.parametrize(("size", "found"), [(15, "16-bit"), (9, "10-bit"), (3, "4-bit"), (0x87, "signed")])
@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
def test_jpeg_2000_of_another_depth_is_refused_by_name(
    tmp_path: Path, suffix: str, size: int, found: str
) -> None:
    """Pillow rounds 16 bits, makes 10 bits overflow to black, and 4-bit white 240."""
    data = bytearray(saved("JPEG2000", no_jp2=suffix == "j2k"))
    place = data.index(b"\xff\x4f\xff\x51") + 42
    data[place : place + 9 : 3] = bytes([size]) * 3
    (tmp_path / f"d.{suffix}").write_bytes(data)
    with pytest.raises(ImageError, match=f"JPEG 2000 with {found} samples is not converted; export it as"):
        load_image(tmp_path / f"d.{suffix}")


def test_16_bit_grey_of_jpeg_2000_keeps_the_high_byte(tmp_path: Path) -> None:
    wide = np.full((40, 40), 0x12FF, np.uint16)
    PIL.Image.fromarray(wide).save(tmp_path / "g.jp2", irreversible=False)
    loaded = load_image(tmp_path / "g.jp2")
    assert (loaded.pixels == 18).all()
    assert loaded.conversions == ("16 bits to 8: high byte", "grey to RGB")


AVIF_10_BITS = (
    "0000WW^{RQVRmU|00000VRmU|ZE0pPZE0a<O+hh10002%ZDn*}000000000XXk=`10000000000aA{+7000000000000000000004sdC7Z2"
    "$lO000310016oY;R)#0000)000310RR910RR926951JAOHXWC~0YKW&i*H00031000_kZf0cy000000RRADb}%tRZ)|UJ00000YH4tCZ~y="
    "ROKEUpZvX%Q6lrsCWdHyG000005C8xG5C8xG5O8UDX#fBK00RmN3IG5A3}JRLLxCVb000006Ju{|a&BX6cmM(b0ssJj0000NX>e^}000000"
    "0001009I60)qqq001a$WMOm?015>-4FCD0G8GU2000!Zw`nN^(M7<vZAy-~qj%^"
)
"""Constant 0x12F of 0x3FF, 16 x 16, by imagecodecs 2026.3.6 (lossless). Pillow writes 8 bits alone."""


def test_depth_of_avif_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.avif").write_bytes(base64.b85decode(AVIF_10_BITS))
    loaded = load_image(tmp_path / "a.avif")
    assert (loaded.pixels == 76).all()  # 303 / 1023 * 255 = 75.5
    assert loaded.conversions == ("10 bits to 8: rounded",)


def test_colours_of_avif_are_said(tmp_path: Path) -> None:
    data = saved("AVIF", PIL.Image.fromarray(PIXELS).resize((64, 64)))
    (tmp_path / "a.avif").write_bytes(data)
    assert load_image(tmp_path / "a.avif").conversions == ()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:place] + struct.pack(">HH", 9, 16) + data[place + 4 :])
    loaded = load_image(tmp_path / "a.avif")
    assert loaded.conversions == ("colour primaries 9 and transfer 16 (ITU-T H.273) ignored",)
