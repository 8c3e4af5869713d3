"""Codecs without a package: a file's class or function, and two command lines; the page's own examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import ROOT, doc_block
from small_models import picture, pixels, saved, small, tensor

from benchmark.codecs import make_codec
from benchmark.errors import BitstreamError, CodecError, NeedsOptionsError, PointError, SuiteError, UsageError
from benchmark.images import load_image, save_png
from benchmark.results.store import read_results
from benchmark.runs.suite import parse_suite

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

HEAD = 'name = "mine"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image, as a suite beside it sees it."""
    (tmp_path / "sub" / "images").mkdir(parents=True)
    save_png(picture(70, 64), tmp_path / "sub" / "images" / "a.png")
    return tmp_path / "sub"


def bench(folder: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    environment["PATH"] = path + os.pathsep + environment["PATH"]
    argv = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_suite(folder: Path, codec: str, *before: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a suite with this [[codec]] table from the folder above."""
    (folder / "mine.toml").write_text(HEAD + codec)
    return bench(folder.parent, *before, "run", "suite", "sub/mine.toml", path=path)


def test_a_codec_in_one_file(folder: Path) -> None:
    source = doc_block("python", "class Tiny")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    (folder / "tiny.py").write_text(source)
    done = run_suite(folder, doc_block("toml", "tiny.py:Tiny"))
    assert "3 measured, 0 reused, 0 failed" in done.stdout, done.stdout + done.stderr
    rows = read_results(folder.parent / "results" / "mine")
    assert set(rows["codec_id"]) == {"tiny.py:Tiny"}
    assert rows.sort_values("point")["psnr_rgb"].is_monotonic_decreasing
    assert rows["bitstream_bytes"].unique().tolist() == [5 + 3 * 32 * 35]
    assert "nothing to do" in run_suite(folder, doc_block("toml", "tiny.py:Tiny")).stdout
    (folder / "tiny.py").write_text(source + "# changed\n")
    assert "3 measured" in run_suite(folder, doc_block("toml", "tiny.py:Tiny")).stdout


def test_a_file_never_names_code_that_decode_runs_unasked(folder: Path) -> None:
    (folder / "tiny.py").write_text(doc_block("python", "class Tiny"))
    done = bench(folder, "encode", "tiny.py:Tiny", "8", "images/a.png", "out.bin")
    assert done.returncode == 0, done.stderr
    done = bench(folder, "decode", "out.bin", "back.png")
    assert done.returncode == 2
    assert "its codec is a program, tiny.py:Tiny; if you trust it give --codec tiny.py:Tiny" in done.stderr
    done = bench(folder, "decode", "out.bin", "back.png", "--codec", "tiny.py:Tiny")
    assert done.returncode == 0, done.stderr
    assert load_image(folder / "back.png").pixels.shape == (64, 70, 3)


def test_a_model_of_ones_own_at_each_point(folder: Path) -> None:
    source = doc_block("python", "def build(point")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    (folder / "mymodel.py").write_text(source)
    (folder.parent / "weights").mkdir()
    for q in (1, 2):
        saved(small("mbt2018-mean", seed=q), folder.parent / "weights" / f"q{q}.pth")
    block = doc_block("toml", "mymodel.py:build")
    done = run_suite(folder, block)
    assert "2 measured, 0 reused, 0 failed" in done.stdout, done.stdout + done.stderr
    saved(small("mbt2018-mean", seed=5), folder.parent / "weights" / "q2.pth")
    assert "1 measured, 1 reused" in run_suite(folder, block).stdout

    codec = make_codec("mymodel.py:build", {"folder": str(folder.parent / "weights")}, folder)
    stream = codec.encode(picture(), 1)
    model = small("mbt2018-mean", seed=1)
    model.update(force=True)  # type: ignore[operator]
    with torch.no_grad():
        out = model.compress(tensor(picture()))  # type: ignore[operator]
        expected = model.decompress(out["strings"], out["shape"])["x_hat"]  # type: ignore[operator]
    (y,), (z,) = out["strings"]
    assert stream.endswith(y + z)
    assert len(stream) == 13 + 2 + 2 + (1 if len(y) < 128 else 2) + len(y) + len(z)  # point, size, length
    np.testing.assert_array_equal(codec.decode(stream), pixels(expected))
    for damaged in (b"", stream[:-1], stream[:20] + bytes([stream[20] ^ 1]) + stream[21:]):
        with pytest.raises(BitstreamError):
            codec.decode(damaged)


PLAIN = """
class Plain:
    points = (1, 2)
    point_name = "level"
    def __init__(self, point, gain=1):
        self.point = point
    def encode(self, image):
        return bytes(image.shape[:2]) + bytes([int(self.point)]) + image.tobytes()
    def decode(self, data):
        import numpy as np
        assert data[2] == self.point
        return np.frombuffer(data, np.uint8, offset=3).reshape(data[0], data[1], 3)
class Wrong(Plain):
    def encode(self, image):
        return image
class Failing(Plain):
    def encode(self, image):
        if image.shape[1] > 64:
            raise ZeroDivisionError("a bug of mine")
        return super().encode(image)
class Nothing:
    pass
"""


def test_what_is_made_for_a_point_finds_it_in_the_stream(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    codec = make_codec("plain.py:Plain", {"gain": 2}, tmp_path)
    for point in (1, 2):
        stream = codec.encode(picture(), point)
        assert len(stream) == 64 * 64 * 3 + 3 + 3  # a byte that says so, the point as text behind its length
        np.testing.assert_array_equal(codec.decode(stream), picture())
    with pytest.raises(PointError, match="has no point 3; it has: 1, 2"):
        codec.check_point(3)
    with pytest.raises(CodecError, match="encode gave a ndarray; it must give bytes"):
        make_codec("plain.py:Wrong", {}, tmp_path).encode(picture(), 1)


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    for codec, said in (
        ("gone.py:X", r"codec 'gone\.py:X' cannot be loaded: ImportError: .*gone\.py: no such file"),
        ("plain.py:Gone", r"AttributeError: .*Gone"),
        ("broken.py:X", r"ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ):
        with pytest.raises(UsageError, match=said):
            make_codec(codec, {}, tmp_path)
    with pytest.raises(UsageError, match="has neither encode and decode nor compress and decompress"):
        make_codec("plain.py:Nothing", {}, tmp_path).version()
    with pytest.raises(UsageError, match="unexpected keyword argument 'gian'"):
        make_codec("plain.py:Plain", {"gian": 2}, tmp_path)
    (tmp_path / "s.toml").write_text(HEAD + '[[codec]]\nname = "x"\ncodec = "gone.py:X"\npoints = [1]\n')
    with pytest.raises(SuiteError, match=r"s\.toml: codec\[1\] \('x'\): codec 'gone\.py:X' cannot be loaded"):
        parse_suite(tmp_path / "s.toml")


def test_a_failure_keeps_its_traceback(folder: Path) -> None:
    (folder / "plain.py").write_text(PLAIN)
    codec = '[[codec]]\nname = "failing"\ncodec = "plain.py:Failing"\npoints = [1]\n'
    done = run_suite(folder, codec)
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug of mine" in done.stderr
    assert "Traceback" not in done.stderr
    (extra,) = read_results(folder.parent / "results" / "mine")["extra"]
    assert 'plain.py", line 19, in encode' in json.loads(extra)["traceback"]
    done = run_suite(folder, codec, "--traceback")
    assert 'plain.py", line 19, in encode' in done.stderr
    done = bench(folder, "--traceback", "encode", "jpg", "50", "images/a.png", "x.bin")
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert "did you mean 'jpeg'" in done.stderr.splitlines()[-1]


CJPEG = """#!{python}
import sys, PIL.Image
if sys.argv[1:] == ["-version"]:
    print("imitation version 1.5")
    sys.exit()
_, quality, _, out, source = sys.argv[1:]
PIL.Image.open(source).save(out, "JPEG", quality=int(quality))
"""
DJPEG = """#!{python}
import sys, PIL.Image
PIL.Image.open(sys.argv[3]).save(sys.argv[2], "PPM")
"""


def install_programs(folder: Path) -> str:
    folder.mkdir()
    for name, source in (("cjpeg", CJPEG), ("djpeg", DJPEG)):
        (folder / name).write_text(source.format(python=sys.executable))
        (folder / name).chmod(0o755)
    return str(folder)


def test_a_codec_that_is_two_command_lines(folder: Path) -> None:
    programs = install_programs(folder.parent / "bin")
    block = doc_block("toml", "command = {")
    done = run_suite(folder, block, path=programs)
    assert "3 measured, 0 reused, 0 failed" in done.stdout, done.stdout + done.stderr
    rows = read_results(folder.parent / "results" / "mine")
    assert set(rows["point_name"]) == {"quality"}
    assert set(rows["codec_family"]) == {"cjpeg"}
    (version,) = set(rows["codec_version"])
    assert version.startswith("cjpeg imitation version 1.5 [")
    first = rows.sort_values("point").iloc[0]
    assert json.loads(first["encode_argv"]) == [
        "cjpeg", "-quality", "20", "-outfile", "stream.bin", "source.ppm"
    ]  # fmt: skip
    assert "nothing to do" in run_suite(folder, block, path=programs).stdout
    Path(programs, "cjpeg").write_text(CJPEG.format(python=sys.executable) + "# a new build\n")
    assert "3 measured" in run_suite(folder, block, path=programs).stdout
    missing = run_suite(folder, block.replace('"djpeg"', '"no-such-djpeg"'), path=programs)
    assert "no no-such-djpeg on PATH; install it" in missing.stderr


def test_a_command_that_runs_a_script_beside_the_suite(folder: Path) -> None:
    (folder / "code.py").write_text(
        "import sys, PIL.Image\n"
        "way, source, out = sys.argv[1:4]\n"
        "options = {'quality': int(sys.argv[4])} if way == 'e' else {}\n"
        "PIL.Image.open(source).save(out, **options)\n"
    )
    argv = {"encode": ["python3", "code.py", "e", "{input}.png", "{output}.webp", "{point}"]}
    argv["decode"] = ["python3", "code.py", "d", "{input}.webp", "{output}.png"]
    codec = make_codec("command", argv, folder)
    before = codec.version()
    assert "code.py [" in before
    stream = codec.encode(picture(), 80)
    assert stream[8:12] == b"WEBP"
    assert codec.decode(stream).shape == (64, 64, 3)
    assert len(codec.encode(picture(), 10)) < len(stream)
    with pytest.raises(BitstreamError, match="ended with status 1"):
        codec.decode(b"nonsense")
    with (folder / "code.py").open("a") as file:
        file.write("# changed\n")
    assert make_codec("command", argv, folder).version() != before


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('command = { encode = ["a", "{input}", "{output}"] }', r"command decode is missing"),
        (
            'command = { encode = ["a"], decode = ["b"], pint = "x" }',
            r"unknown key .*pint; did you mean 'point'",
        ),
        ('codec = "jpeg"\ncommand = { encode = ["a"], decode = ["b"] }', "give codec or command, not both"),
        (
            'command = { encode = ["a", "{input}", "{output}"], decode = ["b", "{input}", "{output}"] }',
            "points: are missing",
        ),
        ('command = { encode = ["a"], decode = ["b"] }', r"encode does not say where \{input\} goes: a"),
    ],
)
def test_a_wrong_command_names_the_field(table: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f'{HEAD}[[codec]]\nname = "x"\n{table}\n')
    with pytest.raises(SuiteError, match=said):
        parse_suite(tmp_path / "s.toml")


def test_a_command_without_options_says_what_it_needs() -> None:
    with pytest.raises(
        NeedsOptionsError, match=r"codec 'command' needs the options decode, encode: --option"
    ):
        make_codec("command")
