"""JPEG XL, BPG, VTM and HM: their command lines, their failures, and the published figures where they exist.

Where the programs are missing, small stand-ins check what the adapters ask of them; where they are found
(BENCH_BPG_DIR, BENCH_VTM_DIR, BENCH_HM_DIR or PATH) the same adapters are held to published numbers.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.codecs.base import Codec, collect_facts
from benchmark.errors import BitstreamError, CodecError, CodecUnavailableError, PointError, UsageError
from benchmark.images import load_image, rgb_to_ycbcr

IMAGE: Image = np.random.default_rng(0).integers(0, 256, (9, 30, 3), dtype=np.uint8)


def _script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _kodak() -> list[Path]:
    folder = os.environ.get("BENCH_DATA_DIR")
    if not folder:
        pytest.skip("BENCH_DATA_DIR is not set")
    files = sorted(Path(folder, "kodak").glob("*.png"))
    assert len(files) == 24
    return files


def _real(name: str) -> Codec:
    codec = make_codec(name)
    try:
        codec.version()
    except CodecUnavailableError as error:
        pytest.skip(str(error))
    return codec


def _psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


JVET = {
    "vtm": (
        "EncoderAppStatic",
        "DecoderAppStatic",
        "encoder_intra_vtm.cfg",
        "VVCSoftware: VTM {} Version 23.4 []",
    ),
    "hm": (
        "TAppEncoderStatic",
        "TAppDecoderStatic",
        "encoder_intra_main_rext.cfg",
        "HM: {} Version [16.20] (R)",
    ),
}


def _stand_in(name: str, root: Path, option: str = "ConformanceWindowMode") -> None:
    """An encoder and a decoder that copy the planes and know one name of the conformance option."""
    encoder, decoder, config, version = JVET[name]
    option_case = f'case " $* " in *" --{option}=1 "*) ;; *) echo unknown option; exit 1;; esac'
    parse = "while [ $# -gt 0 ]; do case $1 in -i) i=$2;; -b) b=$2;; -o) o=$2;; -c) c=$2;; esac; shift; done"
    told = f"echo '{version}'; echo '        --{option}  Window conformance mode'"
    for program, role, work in (
        (encoder, "Encoder", f'{option_case}\n{parse}\ntest -f "$c" && cp "$i" "$b"'),
        (decoder, "Decoder", f'{parse}\ncp "$b" "$o"'),
    ):
        help_text = told.format(role)
        _script(root / "bin" / program, f'if [ "$1" = --help ]; then {help_text}; exit 0; fi\n{work}')
    (root / "cfg").mkdir(exist_ok=True)
    (root / "cfg" / config).write_text("QP : 32\n")


@pytest.mark.parametrize("option", ["ConformanceWindowMode", "ConformanceMode"])
@pytest.mark.parametrize("name", ["vtm", "hm"])
def test_jvet_command_lines(name: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(name, tmp_path, option)
    monkeypatch.setenv(f"BENCH_{name.upper()}_DIR", str(tmp_path))
    codec = make_codec(name)
    encoder, decoder, config, _ = JVET[name]
    with collect_facts() as facts:
        stream = codec.encode(IMAGE, 37)
        decoded = codec.decode(stream)
    expected = (
        f"{encoder} -c {config} -i source.yuv -b stream.bin -o /dev/null -wdt 30 -hgt 9 -fr 1 -f 1 -q 37 "
        f"--InputChromaFormat=444 --InputBitDepth=10 --OutputBitDepth=10 --{option}=1"
    )
    assert facts["encode_argv"] == expected.split()
    assert facts["decode_argv"] == f"{decoder} -b stream.bin -o decoded.yuv -d 10".split()
    assert len(facts["config_sha256"]) == 64
    assert stream == struct.pack(">HH", 30, 9) + rgb_to_ycbcr(IMAGE, 10).astype("<u2").tobytes()
    assert np.array_equal(decoded, IMAGE)


@pytest.mark.parametrize("place", ["", "bin", "bin/umake/gcc-12.2/x86_64/release"])
def test_vtm_is_found_wherever_its_folder_variable_points(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in("vtm", tmp_path)
    target = tmp_path / (place or "bin")
    target.mkdir(parents=True, exist_ok=True)
    for program in ("EncoderAppStatic", "DecoderAppStatic"):
        # Builds without the static target leave only the plain name.
        (tmp_path / "bin" / program).rename(target / program.removesuffix("Static"))
    monkeypatch.setenv("BENCH_VTM_DIR", str(tmp_path / place))
    version = make_codec("vtm").version()
    assert version.startswith("EncoderApp 23.4 [")
    assert "encoder_intra_vtm.cfg [" in version


def test_vtm_without_its_configuration_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in("vtm", tmp_path)
    (tmp_path / "cfg" / "encoder_intra_vtm.cfg").unlink()
    monkeypatch.setenv("BENCH_VTM_DIR", str(tmp_path))
    with pytest.raises(CodecUnavailableError, match=r"no encoder_intra_vtm\.cfg near .*BENCH_VTM_DIR"):
        make_codec("vtm").version()


def test_an_encoder_without_the_conformance_window_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in("vtm", tmp_path, "SomethingElse")
    monkeypatch.setenv("BENCH_VTM_DIR", str(tmp_path))
    with pytest.raises(CodecUnavailableError, match="neither of ConformanceWindowMode, ConformanceMode"):
        make_codec("vtm").encode(IMAGE, 37)


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"", "empty"),
        (b"\0\x1e\0", "3 bytes"),
        (struct.pack(">HH", 0, 9) + b"xx", "0x9"),
        (struct.pack(">HH", 65535, 65535) + b"xx", "over the limit"),
        (struct.pack(">HH", 30, 9) + b"xx", "2 bytes of planes, but 30x9 has 1620"),
        (struct.pack(">HH", 31, 9) + bytes(1620), "1620 bytes of planes, but 31x9 has 1674"),
    ],
)
def test_vtm_headers_that_lie(
    stream: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in("vtm", tmp_path)
    monkeypatch.setenv("BENCH_VTM_DIR", str(tmp_path))
    with pytest.raises(BitstreamError, match=reason):
        make_codec("vtm").decode(stream)


def test_bpg_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = 'if [ "$1" = -h ]; then echo "BPG Image Encoder version 0.9.8"; exit 1; fi'
    head = "printf 'BPG\\373\\140\\000\\036\\011\\000'"
    _script(tmp_path / "bpgenc", f'{version}\ncase "$*" in *source.png) {head} > "$2";; esac')
    _script(tmp_path / "bpgdec", f"{version}\necho 'no such stream' >&2; exit 1")
    monkeypatch.setenv("BENCH_BPG_DIR", str(tmp_path))
    codec = make_codec("bpg")
    with collect_facts() as facts:
        stream = codec.encode(IMAGE, 37)
    expected = "bpgenc -o stream.bpg -q 37 -f 444 -e x265 -c ycbcr -b 8 source.png"
    assert facts["encode_argv"] == expected.split()
    with (
        collect_facts() as facts,
        pytest.raises(BitstreamError, match=r"bpgdec ended with status 1; .*no such"),
    ):
        codec.decode(stream)
    assert facts["decode_argv"] == ["bpgdec", "-o", "decoded.ppm", "stream.bpg"]
    with pytest.raises(CodecError, match=r"24x9 is too narrow; bpgenc needs 25 columns"):
        codec.encode(IMAGE[:, :24], 37)
    for lie in (
        b"BPG\xfb\x60\x00\x8f\xff\xff\xff\x7f\x8f\xff\xff\xff\x7f",
        b"BPG\xfb\x60\x00\x80",
        b"BPG\xfb",
    ):
        with collect_facts() as facts, pytest.raises(BitstreamError):
            codec.decode(lie)
        assert "decode_argv" not in facts  # refused before a program is started


def test_cjxl_command_lines_and_options() -> None:
    codec = _real("cjxl")
    with collect_facts() as facts:
        codec.decode(codec.encode(IMAGE, 1.5))
    expected = "cjxl source.ppm stream.jxl --distance=1.5 --effort=7 --num_threads=0"
    assert facts["encode_argv"] == expected.split()
    assert facts["decode_argv"] == ["djxl", "stream.jxl", "decoded.ppm", "--num_threads=0"]
    assert "effort 3" in make_codec("cjxl", {"effort": 3}).version()
    with pytest.raises(UsageError, match="effort 10"):
        make_codec("cjxl", {"effort": 10})
    with pytest.raises(PointError, match="above 0 and up to 25"):
        codec.check_point(0)


@pytest.mark.parametrize(("name", "highest"), [("vtm", 63), ("hm", 51), ("bpg", 51)])
def test_qp_ranges(name: str, highest: int) -> None:
    codec = make_codec(name)
    codec.check_point(highest)
    for wrong in (highest + 1, 36.5):
        with pytest.raises(PointError, match=f"QP .* from 0 to {highest}"):
            codec.check_point(wrong)


@pytest.mark.slow
def test_bpg_meets_its_published_figure_on_kodak() -> None:
    """CompressAI, results/image/kodak, BPG 0.9.8 4:4:4 x265 ycbcr at QP 37: 0.351554 bpp, 31.5947 dB."""
    codec = _real("bpg")
    bpp, psnr = [], []
    for file in _kodak():
        pixels = load_image(file).pixels
        stream = codec.encode(pixels, 37)
        bpp.append(8 * len(stream) / pixels[..., 0].size)
        psnr.append(_psnr(pixels, codec.decode(stream)))
    assert abs(np.mean(bpp) - 0.351554) < 1e-6
    assert abs(np.mean(psnr) - 31.5947) < 1e-4


@pytest.mark.slow
def test_vtm_meets_its_known_figure_on_kodim23() -> None:
    """VTM-19.1 at QP 37: 0.11668 bpp, 34.338 dB (VTM 19.0 gives the same); a minute of encoding."""
    codec = _real("vtm")
    pixels = load_image(_kodak()[22]).pixels
    stream = codec.encode(pixels, 37)
    assert abs(8 * (len(stream) - 4) / pixels[..., 0].size - 0.11668) < 5e-6
    assert abs(_psnr(pixels, codec.decode(stream)) - 34.338) < 5e-4
