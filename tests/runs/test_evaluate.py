from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmark.data.manifests import read_manifest
from benchmark.images import load_image
from benchmark.results.records import recorded_crop
from benchmark.runs.evaluate import RunContext, evaluate, is_kept, kept_path
from benchmark.runs.tasks import Task


def task_for(path: Path, codec: str = "jpeg", point: float = 75.0, options: str = "{}") -> Task:
    import hashlib

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    metrics = ("psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv")
    return Task("s", "folder", 1, 1, codec, codec, options, point, path.name, sha256, path, metrics)


def picture(path: Path, height: int, width: int, mode: str = "RGB") -> Path:
    rng = np.random.default_rng(height * 1000 + width)
    noise = PIL.Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = noise.resize((width, height), PIL.Image.Resampling.BICUBIC).convert(mode)
    smooth.save(path)
    return path


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (161, 163)])
def test_a_row_adds_up(size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    path = picture(tmp_path / 'it\'s a "name"\n ünï.png', height, width)
    record = evaluate(task_for(path), RunContext(keep_dir=tmp_path / "kept"))
    assert (record.status, record.error) == ("ok", None)
    assert (record.height, record.width) == size
    stream = kept_path(tmp_path / "kept", "jpeg", 75.0, path.name, ".bin")
    decoded = load_image(kept_path(tmp_path / "kept", "jpeg", 75.0, path.name, ".png")).pixels
    assert record.bitstream_bytes == stream.stat().st_size
    assert record.bpp == pytest.approx(8 * stream.stat().st_size / (height * width))
    error = np.mean((decoded.astype(float) - load_image(path).pixels) ** 2)
    if record.metrics["psnr_rgb"] is not None:  # a single pixel may be coded without any error
        assert record.metrics["psnr_rgb"] == pytest.approx(10 * math.log10(255**2 / error))
    if min(size) > 160:
        assert record.metrics["ms_ssim_rgb"] is not None
        assert 0.8 < record.metrics["ms_ssim_rgb"] < 1
    else:
        assert record.metrics["ms_ssim_rgb"] is None
        assert "161 pixels" in json.loads(record.metric_notes)["ms_ssim_rgb"]
    assert record.encode_seconds is not None
    assert 0 < record.encode_seconds < 60


def test_conversions_of_the_source_are_on_record(tmp_path: Path) -> None:
    record = evaluate(task_for(picture(tmp_path / "grey.png", 20, 30, "L")), RunContext())
    assert json.loads(record.image_conversions) == ["grey to RGB"]


def test_a_crop_is_the_centre_and_part_of_the_protocol(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 40, 21)
    whole = task_for(path, "null", 10.0)
    record = evaluate(replace(whole, crop=25), RunContext(keep_dir=tmp_path / "kept"))
    assert (record.height, record.width) == (25, 21)
    decoded = load_image(kept_path(tmp_path / "kept", "null", 10.0, path.name, ".png")).pixels
    assert np.abs(decoded.astype(int) - load_image(path).pixels[7:32]).max() <= 1
    assert recorded_crop(record.protocol) == 25
    assert recorded_crop(evaluate(whole, RunContext()).protocol) is None


def test_rows_of_one_protocol_say_the_same(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 32, 32)
    protocols = {
        evaluate(task_for(path, codec, 50.0), RunContext()).protocol for codec in ("jpeg", "webp", "avif")
    }
    assert len(protocols) == 1
    assert set(json.loads(protocols.pop())["metrics"]) == {"psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv"}


FAULTS = {
    "empty": (b"", "empty"),
    "no image": (b"this is text, whatever its name says", "no image"),
    "truncated": (None, "damaged or truncated"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_bad_file_is_a_row_with_its_reason(case: str, tmp_path: Path) -> None:
    content, reason = FAULTS[case]
    path = picture(tmp_path / "a.png", 64, 64)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    record = evaluate(task_for(path), RunContext())
    assert record.status == "failed"
    assert reason in (record.error or "")
    assert str(path) in (record.error or "")
    assert (record.bpp, record.metrics) == (None, {})


def test_a_decompression_bomb_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MAX_PIXELS", "1000")
    record = evaluate(task_for(picture(tmp_path / "big.png", 40, 40)), RunContext())
    assert record.status == "failed"
    assert "over the limit" in (record.error or "")


def test_a_wrong_point_or_codec_is_a_row_with_its_reason(tmp_path: Path) -> None:
    task = task_for(picture(tmp_path / "a.png", 16, 16))
    assert "quality" in (evaluate(replace(task, point=1000.0), RunContext()).error or "")
    unknown = evaluate(replace(task, codec="x", codec_id="jpg"), RunContext())
    assert unknown.status == "failed"
    assert "'jpeg'" in (unknown.error or "")


def test_kept_files_stay_in_their_folder(tmp_path: Path) -> None:
    for name in ("../../x", "/etc/x", "a/b", "..", "new\nline"):
        path = kept_path(tmp_path, name, 0.0018, name, ".bin")
        assert path.parents[3] == tmp_path
        assert path.parent.name == "0.0018"
        assert ".." not in path.relative_to(tmp_path).parts


def test_demo_images_are_what_the_manifest_says() -> None:
    from benchmark.data.find import find_dataset
    from benchmark.data.manifests import suites_folder

    manifest = read_manifest(suites_folder() / "demo.sha256")
    assert [image.name for image in find_dataset("demo").images] == [image.name for image in manifest.images]


LONG = "画" * 28 + ".png"
"""Percent-encoded it has 252 bytes before the suffix, more than a file name may have with it."""


def test_names_of_kept_files_have_a_bound_and_differ(tmp_path: Path) -> None:
    names = [LONG, LONG.replace(".png", ".jpg"), "画" * 29 + ".png", "é" * 200, "a" * 252]
    paths = [kept_path(tmp_path, name, 1.0, name, ".png") for name in names]
    assert len(set(paths)) == len(names)
    for path in paths:
        assert max(len(part.encode()) for part in path.relative_to(tmp_path).parts) <= 143
        path.parent.mkdir(parents=True)
        path.touch()
    # Names that were short enough stay as they were.
    assert kept_path(tmp_path, "jpeg", 50.0, "a b é.png", ".bin").name == "a b %C3%A9.png.bin"


def test_an_image_with_a_long_name_is_measured_and_kept(tmp_path: Path) -> None:
    task = task_for(picture(tmp_path / LONG, 40, 40))
    record = evaluate(task, RunContext(keep_dir=tmp_path))
    assert (record.status, record.not_kept) == ("ok", None)
    assert is_kept(tmp_path, task.codec, task.point, LONG, str(record.bitstream_sha256))


def test_failing_to_keep_a_file_does_not_cost_the_row(tmp_path: Path) -> None:
    (tmp_path / "_kept").write_text("a file where the folder should be")
    task = task_for(picture(tmp_path / "a.png", 40, 40))
    record = evaluate(task, RunContext(keep_dir=tmp_path))
    assert (record.status, record.error) == ("ok", None)
    assert record.bpp is not None
    assert "Not a directory" in str(record.not_kept) or "File exists" in str(record.not_kept)
    assert not is_kept(tmp_path, task.codec, task.point, "a.png", str(record.bitstream_sha256))


def test_whatever_is_wrong_with_keeping_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.evaluate.save_png", lambda *_, **__: {}["a bug"])
    record = evaluate(task_for(picture(tmp_path / "a.png", 40, 40)), RunContext(keep_dir=tmp_path))
    assert (record.status, record.not_kept) == ("ok", "KeyError: 'a bug'")


def test_a_failure_says_whether_the_image_or_the_codec_is_to_blame(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 16, 16)
    of_codec = evaluate(replace(task_for(path), point=1000.0), RunContext())
    assert (of_codec.status, of_codec.against_codec) == ("failed", True)
    lost = picture(tmp_path / "lost.png", 16, 17)
    task = task_for(lost)
    lost.unlink()
    of_image = evaluate(task, RunContext())
    assert (of_image.status, of_image.against_codec) == ("failed", False)
    assert not evaluate(task_for(path), RunContext()).against_codec
