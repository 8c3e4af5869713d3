from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import harness
import numpy as np
import pytest

from benchmark.images import load_image, save_png
from benchmark.results.store import Store, read_results

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands run in an empty folder, with the codec `trick` known and no data sets but the demo."""
    harness.install_trick(tmp_path / "site")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path / "site", ROOT, ROOT / "tests"))))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    return


def bench(*arguments: str | Path, code: int = 0, python: Sequence[str] = ()) -> str:
    """Run the command; return both of its outputs. Its exit code must be `code`, and no traceback shown."""
    command = [sys.executable, *python, "-m", "benchmark", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    "command", [("--help",), *(("list", k) for k in ("codecs", "suites", "datasets", "metrics"))]
)
def test_quick_commands_load_nothing_slow(command: tuple[str, ...]) -> None:
    said = bench(*command, python=("-X", "importtime"))
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0] for line in said.splitlines() if "import time" in line
    }
    assert "typer" in loaded
    assert loaded.isdisjoint(
        {"torch", "compressai", "pandas", "numba", "pyarrow", "matplotlib", "scipy", "rich"}
    )


def test_the_version_names_the_commit() -> None:
    assert re.fullmatch(r"bench \d+\.\d+\.\d+(, commit [0-9a-f]{12})?(, changed)?\n", bench("--version"))


@pytest.mark.parametrize("command", [("doctor",), ("report", "smoke"), ("run", "suite", "smoke")])
def test_a_data_dir_that_is_not_there_is_an_error(command: tuple[str, ...]) -> None:
    assert "Invalid value for '--data-dir': dir 'nowhere' does not exist" in bench(
        *command, "--data-dir", "nowhere", code=2
    )


def test_lists_name_what_there_is() -> None:
    assert "jpeg " in bench("list", "codecs")
    assert "trick" in bench("list", "codecs")
    assert "kodak" in bench("list", "suites")
    assert "folder:PATH" in bench("list", "datasets")
    assert "ms_ssim_rgb" in bench("list", "metrics")
    assert "codecs" in bench("list", "codec", code=2)


def test_doctor_says_what_is_usable_and_how_to_get_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("BENCH_BPG_DIR", raising=False)
    lines = bench("doctor").splitlines()
    by_name = {line.split()[1]: line for line in lines if len(line.split()) > 1}
    assert by_name["jpeg"].startswith("  ok")
    assert by_name["bpg"].startswith("  --")
    assert "BENCH_BPG_DIR" in by_name["bpg"]
    assert by_name["demo"].startswith("  ok")
    assert "bench fetch kodak" in by_name["kodak"]


def test_what_needs_no_download_is_told_where_it_lies() -> None:
    assert "demo: complete in " in bench("fetch", "demo")


def small_suite(tmp_path: Path, points: list[float], more: str = "", images: int = 2) -> Path:
    folder = harness.make_images(tmp_path / "images", images)
    return harness.write_suite(tmp_path / "small.toml", points, folder, more=more)


def test_a_run_a_second_one_and_a_fresh_one(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, [1, 2])
    said = bench("run", "suite", suite, "--jobs", "2", "--keep")
    assert "4 measured, 0 reused, 0 failed; results in results/small" in said
    assert "trick: 4 of 4" in said
    assert len(list(Path("results/small/_kept/trick/2").glob("*.bin"))) == 2
    again = bench("run", "suite", suite)
    assert "nothing to do: all 4 evaluations are in results/small already" in again
    assert "means over images" not in again
    assert "means over images" in bench("run", "suite", suite, "--summary")
    before = read_results(Path("results/small"), ["image", "point", "run_id"])
    said = bench("run", "suite", suite, "--fresh", "--codec", "trick", "--image", "image1")
    assert "2 measured, 0 reused" in said
    after = read_results(Path("results/small"), ["image", "point", "run_id"])
    both = before.merge(after, on=["image", "point"], validate="one_to_one")
    assert len(both) == 4
    assert both[both["run_id_x"] != both["run_id_y"]]["image"].to_list() == ["image1.png", "image1.png"]
    said = bench("run", "suite", suite, "--fresh")
    assert "old results moved to results/small/_previous/1" in said
    assert "4 measured" in said
    assert len(read_results(Path("results/small/_previous/1"))) == 4
    assert Path("results/small/_previous/1/_kept").is_dir()


def test_files_to_keep_are_made_for_rows_that_have_none(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, [1, 2])
    bench("run", "suite", suite)
    assert "4 measured, 0 reused" in bench("run", "suite", suite, "--keep")
    stream, altered, *_ = sorted(Path("results/small/_kept").rglob("*.bin"))
    stream.with_suffix(".png").unlink()
    altered.write_bytes(b"of another version")
    assert "2 measured, 2 reused" in bench("run", "suite", suite, "--keep")
    assert len(list(Path("results/small/_kept").rglob("*.png"))) == 4
    assert "nothing to do: all 4" in bench("run", "suite", suite, "--keep")


def test_failed_evaluations_are_told_and_set_the_exit_code(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, [1, harness.FAIL])
    said = bench("run", "suite", suite, code=1)
    assert "2 measured, 0 reused, 2 failed" in said
    assert "2 x trick: the codec refuses" in said


MISSING = '[[codec]]\nname = "gone [b]"\ncodec = "bpg"\npoints = [37]\n'


def test_a_codec_that_is_not_here_is_skipped_in_plain_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_BPG_DIR", str(tmp_path / "nowhere"))
    suite = small_suite(tmp_path, [1], MISSING)
    said = bench("run", "suite", suite)
    assert "codec 'gone [b]' is skipped: " in said
    assert "skipped, not available: gone [b]" in said
    assert "2 measured" in said
    for option in (["--strict"], ["--codec", "gone [b]"]):
        assert "codec 'gone [b]' is not available" in bench("run", "suite", suite, *option, code=2)
    assert "nothing to do: all 2" in bench("run", "suite", suite, "--codec", "trick", "--strict")


def test_wrong_requests_are_told_apart_from_failures(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, [1])
    assert "did you mean 'kodak'" in bench("run", "suite", "kodakk", code=2)
    assert "--jobs" in bench("run", "suite", suite, "--jobs", "0", code=2)
    assert "--timeout" in bench("run", "suite", suite, "--timeout", "-1", code=2)
    assert "did you mean 'trick'" in bench("run", "suite", suite, "--codec", "trik", code=2)
    assert "matches no image" in bench("run", "suite", suite, "--image", "x", code=2)
    assert "cannot be written" in bench("run", "suite", suite, "--out", "/proc/x", code=2)
    assert "does not exist" in bench(
        "run", "suite", "kodak", "--codec", "jpeg", "--data-dir", "nowhere", code=2
    )
    assert "--ship-data goes with --scheduler" in bench("run", "suite", suite, "--ship-data", code=2)
    assert "give local:N" in bench("run", "suite", suite, "--scheduler", "local:0", code=2)
    assert not Path("results").exists()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    suite = small_suite(tmp_path, [1])
    with Store(Path("results/small")):
        assert "is writing here" in bench("run", "suite", suite, code=2)


def test_encode_and_decode_through_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    source = tmp_path / "in put.png"
    save_png(small.repeat(8, 0).repeat(8, 1), source)
    assert "bpp" in bench("encode", "jpeg", "95", source, "out.bin")
    assert "48x40, decoded by jpeg" in bench("decode", "out.bin", "back.png")
    error = load_image(Path("back.png")).pixels.astype(float) - load_image(source).pixels
    assert np.sqrt((error**2).mean()) < 25
    assert "back.jpg: what is written is PNG" in bench("decode", "out.bin", "back.jpg", code=2)
    assert not Path("back.jpg").exists()
    assert "--codec" in bench("decode", source, "x.png", code=2)
    assert "nowhere.png" in bench("encode", "jpeg", "95", "nowhere.png", "x.bin", code=2)
    assert "quality" in bench("encode", "jpeg", "101", source, "x.bin", code=2)
    assert "cannot be written" in bench("encode", "jpeg", "95", source, "no/such/x.bin", code=2)
    assert "cannot be read" in bench("decode", "nowhere.bin", "x.png", code=2)
    for error, words in {
        "say at which rate": [],
        "both": ["95", "--bpp", "1"],
        "one target": ["--bpp", "1", "--max-bytes", "500"],
        "above 0": ["--bpp", "0"],
        "no operating point": ["high"],
    }.items():
        point = [word for word in words[:1] if not word.startswith("-")]
        assert error in bench("encode", "jpeg", *point, source, "x.bin", *words[len(point) :], code=2)
    assert not Path("x.bin").exists()
    assert not Path("x.png").exists()


def test_encode_searches_the_point_of_a_target(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(96), np.arange(128)) % 256
    noise = np.random.default_rng(4).integers(0, 40, (96, 128))
    source = tmp_path / "ramp.png"
    save_png((ramp // 2 + noise).astype(np.uint8)[:, :, None].repeat(3, 2), source)
    said = bench("encode", "jpeg", source, "small.bin", "--max-bytes", "3000")
    assert 2700 < int(said.split("small.bin: ")[1].split()[0]) <= 3000
    assert "asked for 3000" in said
    rate = bench("encode", "patch", source, "rate.bin", "--bpp", "0.7")
    assert float(rate.split("bpp ")[1].split(";")[0]) == pytest.approx(0.7, rel=0.02)
    assert "decoded by patch" in bench("decode", "rate.bin", "back.png")
    assert "PSNR in dB 3" in bench("encode", "webp", source, "good.bin", "--psnr", "34")
