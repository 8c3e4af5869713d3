from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import harness
import numpy as np
import pandas as pd
import PIL.Image
import pytest

from benchmark import environment
from benchmark.codecs import CODECS
from benchmark.data.find import find_dataset
from benchmark.errors import BenchError, DatasetError, SuiteError
from benchmark.report.page.kept import viewer_data
from benchmark.results.plan import write_plan
from benchmark.results.store import Record, Store, read_results
from benchmark.runs.evaluate import RunContext, kept_path
from benchmark.runs.runner import Outcome, find_codecs, missing_tasks, run
from benchmark.runs.suite import Suite, parse_suite
from benchmark.runs.tasks import Task
from benchmark.runs.workers import LocalExecutor

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def trick_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the codec `trick` known here, in worker processes, and in commands that a test starts."""
    harness.install_trick(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path / "site", ROOT, ROOT / "tests"))))
    CODECS.forget()
    yield
    CODECS.forget()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return harness.make_images(tmp_path / "images", 2)


def plan(suite: Suite) -> tuple[list[Task], dict[str, str]]:
    return suite.tasks(find_dataset(suite.dataset)), dict(find_codecs(suite).versions)


def measure(suite: Suite, folder: Path, executor: Executor | None = None, **context: object) -> Outcome:
    tasks, versions = plan(suite)
    with Store(folder) as store, executor or LocalExecutor(2, 1) as pool:
        return run(tasks, versions, store, executor=pool, context=RunContext("r", 2, 1, **context))  # type: ignore[arg-type]


def local(timeout_seconds: float | None = None) -> LocalExecutor:
    return LocalExecutor(2, 1, timeout_seconds)


def rows(folder: Path) -> dict[tuple[float, str], Any]:
    return {(row["point"], row["image"]): row for _, row in read_results(folder).iterrows()}


def test_every_planned_row_is_measured_and_says_where_it_comes_from(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1, 2], images))
    outcome = measure(suite, tmp_path / "out", keep_dir=tmp_path / "out")
    assert (outcome.planned, outcome.reused, outcome.done, outcome.failed) == (4, 0, 4, 0)
    found = rows(tmp_path / "out")
    assert set(found) == {(p, i) for p in (1.0, 2.0) for i in ("image0.png", "image1.png")}
    for (point, image), row in found.items():
        assert row["status"] == "ok"
        assert row["image_sha256"] == hashlib.sha256((images / image).read_bytes()).hexdigest()
        assert (row["height"], row["width"]) == (80, 96)
        assert row["bpp"] == 8 * row["bitstream_bytes"] / (80 * 96)
        assert (row["codec_version"], row["run_id"], row["jobs"], row["threads"]) == ("1", "r", 2, 1)
        assert json.loads(row["encode_argv"]) == ["trick", f"{point:g}"]
        assert (row["entropy_bits"], json.loads(row["extra"])) == (12.5, {"colour_bits": 8})
        assert row["machine"] == environment.machine()
        assert json.loads(row["metric_versions"]) == {"psnr_rgb": "1", "psnr_y": "1"}
        stream = kept_path(tmp_path / "out", "trick", point, image, ".bin").read_bytes()
        assert hashlib.sha256(stream).hexdigest() == row["bitstream_sha256"]
        assert kept_path(tmp_path / "out", "trick", point, image, ".png").exists()
    assert found[2.0, "image0.png"]["psnr_rgb"] > found[1.0, "image0.png"]["psnr_rgb"] + 6
    assert "ms_ssim_rgb" not in found[1.0, "image0.png"]


def test_results_of_version_1_are_not_measured_again(tmp_path: Path, images: Path) -> None:
    path = harness.write_suite(tmp_path / "s.toml", [1], images)
    measure(parse_suite(path), tmp_path / "out")
    harness.as_version_1(tmp_path / "out" / "results.parquet")
    again = measure(parse_suite(path), tmp_path / "out", UnusedExecutor())
    assert (again.reused, again.done) == (2, 0)
    path.write_text(path.read_text().replace('"psnr_y"', '"psnr_y", "psnr_yuv"'))
    more = measure(parse_suite(path), tmp_path / "out")
    assert (more.reused, more.done) == (0, 2)
    frame = read_results(tmp_path / "out")
    assert frame["psnr_yuv"].notna().all()
    assert set(frame["point_name"]) == {"trick"}
    assert set(frame["codec_family"]) == {"trick"}


def test_what_is_done_is_not_done_again(tmp_path: Path, images: Path) -> None:
    path = harness.write_suite(tmp_path / "s.toml", [1], images)
    measure(parse_suite(path), tmp_path / "out")
    again = measure(parse_suite(path), tmp_path / "out", UnusedExecutor())
    assert (again.reused, again.done) == (2, 0)
    more = measure(parse_suite(harness.write_suite(path, [1, 2], images)), tmp_path / "out")
    assert (more.reused, more.done) == (2, 2)


class UnusedExecutor(Executor):
    def submit(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
        raise AssertionError("nothing was to be done")


STALE: dict[str, Callable[[Record], Record]] = {
    "another codec version": lambda r: replace(r, codec_version="0"),
    "other options": lambda r: replace(r, codec_options='{"version": "1"}'),
    "another codec under the label": lambda r: replace(r, codec_id="jpeg"),
    "another image": lambda r: replace(r, image_sha256="0" * 64),
    "another metric version": lambda r: replace(r, metric_versions='{"psnr_rgb": "0", "psnr_y": "1"}'),
    "a metric that is missing": lambda r: replace(r, metric_versions='{"psnr_rgb": "1"}'),
    "a crop": lambda r: replace(r, protocol='{"crop": 64}'),
    "another schema": lambda r: replace(r, schema_version="0"),
    "a failure": lambda r: replace(r, status="failed"),
    "a timeout": lambda r: replace(r, status="timeout"),
}


@pytest.mark.parametrize("case", [*STALE, "a metric more"])
def test_a_row_is_reused_only_if_made_in_the_same_way(case: str, tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1], images))
    tasks, versions = plan(suite)
    good = [
        Record(
            suite="s",
            dataset=task.dataset,
            dataset_images=2,
            dataset_size=2,
            codec=task.codec,
            codec_id=task.codec_id,
            codec_options=task.codec_options,
            point=task.point,
            image=task.image,
            image_sha256=task.image_sha256,
            status="ok",
            codec_version="1",
            metric_versions='{"psnr_rgb": "1", "psnr_y": "1"}',
        )
        for task in tasks
    ]
    change = STALE.get(
        case, lambda r: replace(r, metric_versions='{"x": "1", "psnr_rgb": "1", "psnr_y": "1"}')
    )
    with Store(tmp_path / "out") as store:
        store.append(good)
        assert missing_tasks(tasks, versions, store) == []
    with Store(tmp_path / "changed") as store:
        store.append([change(good[0]), *good[1:]])
        assert missing_tasks(tasks, versions, store) == ([tasks[0]] if case in STALE else [])


def test_a_codec_that_fails_in_any_way_costs_its_rows_alone(tmp_path: Path, images: Path) -> None:
    points = [harness.GOOD, harness.DIE, harness.BUG, harness.FAIL, harness.CROP, harness.BETTER]
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", points, images))
    outcome = measure(replace(suite), tmp_path / "out")
    found = rows(tmp_path / "out")
    why = {point: found[point, "image0.png"]["error"] for point in points}
    assert pd.isna(why[harness.GOOD])
    assert pd.isna(why[harness.BETTER])
    assert why[harness.BUG] == "ZeroDivisionError: a bug in the codec"
    assert why[harness.FAIL] == "the codec refuses"
    assert why[harness.DIE] == f"the worker process died (exit code {-signal.SIGKILL})"
    assert "[79, 96, 3]" in str(why[harness.CROP])
    assert "[80, 96, 3]" in str(why[harness.CROP])
    assert found[harness.BUG, "image1.png"]["status"] == "failed"
    assert pd.isna(found[harness.CROP, "image0.png"]["bpp"])
    assert outcome.failed == 8
    assert outcome.reasons["trick: the codec refuses"] == 2


def test_failures_are_retried_by_the_next_run(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [harness.GOOD, harness.FAIL], images))
    assert measure(suite, tmp_path / "out").failed == 2
    again = measure(suite, tmp_path / "out")
    assert (again.reused, again.failed) == (2, 2)
    assert len(read_results(tmp_path / "out")) == 4


def test_the_time_limit_stops_what_hangs_and_what_it_started(tmp_path: Path) -> None:
    images = harness.make_images(tmp_path / "images", 1)
    pid_file = tmp_path / "pid"
    options = f'options = {{ child_pid_file = "{pid_file}" }}'
    points = [harness.HANG, harness.CHILD, harness.GOOD]
    path = harness.write_suite(tmp_path / "s.toml", points, images, options=options)
    start = time.monotonic()
    outcome = measure(parse_suite(path), tmp_path / "out", local(timeout_seconds=2))
    assert time.monotonic() - start < 60
    found = rows(tmp_path / "out")
    assert {p: found[p, "image0.png"]["status"] for p in points} == {
        3.0: "timeout",
        8.0: "timeout",
        1.0: "ok",
    }
    assert "--timeout" in str(found[harness.HANG, "image0.png"]["error"])
    assert (outcome.failed, outcome.done) == (2, 1)
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


@pytest.mark.parametrize("loading_seconds", [3, 600])
def test_loading_is_not_on_the_clock_of_an_evaluation_but_has_an_end(
    tmp_path: Path, images: Path, loading_seconds: int
) -> None:
    options = f"options = {{ loading_seconds = {loading_seconds} }}"
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1], images, options=options))
    pool = LocalExecutor(2, 1, timeout_seconds=2, preparing_seconds=10)
    start = time.monotonic()
    outcome = measure(suite, tmp_path / "out", pool)
    assert time.monotonic() - start < 60
    assert (outcome.done, outcome.failed) == ((2, 0) if loading_seconds == 3 else (0, 2))
    if outcome.failed:
        assert set(outcome.reasons) == {"trick: the codec was not loaded and warmed up after 12 s"}


def test_compiling_a_metric_is_not_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cold"))
    images = harness.make_images(tmp_path / "images", 1, (192, 192))
    path = harness.write_suite(tmp_path / "s.toml", [1], images)
    path.write_text(path.read_text().replace("psnr_y", "ms_ssim_rgb"))
    assert measure(parse_suite(path), tmp_path / "out", local(timeout_seconds=1)).reasons == {}


def test_a_codec_that_always_fails_is_dropped_and_the_others_are_measured(tmp_path: Path) -> None:
    images = harness.make_images(tmp_path / "images", 30)
    more = "".join(
        f'[[codec]]\nname = "{label}"\ncodec = "trick"\npoints = [{point}]\n'
        for label, point in {"bad": harness.FAIL, "last": harness.BETTER}.items()
    )
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [harness.GOOD], images, more=more))
    for done, reused, rows in ((60, 0, 0), (0, 60, 11)):
        outcome = measure(suite, tmp_path / "out")
        assert (outcome.done, outcome.reused) == (done, reused)
        assert 11 <= outcome.failed < 30
        assert outcome.dropped == {"bad": f"{outcome.failed} of 30 evaluations failed"}
        assert outcome.left == 30
        # The second run begins with what the first did not try.
        assert len(read_results(tmp_path / "out").query("codec == 'bad'")) >= rows + 11


def test_an_image_with_a_long_name_is_measured_kept_and_reported(tmp_path: Path) -> None:
    images = harness.make_images(tmp_path / "images", 2)
    name = "画" * 28 + ".png"
    (images / "image0.png").rename(images / name)
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [harness.GOOD], images))
    out = tmp_path / "out"
    outcome = measure(suite, out, keep_dir=out)
    assert (outcome.done, outcome.failed, outcome.not_kept) == (2, 0, {})
    assert measure(suite, out, UnusedExecutor(), keep_dir=out).reused == 2
    write_plan(out, suite.plan(find_dataset(suite.dataset)))
    data, remarks = viewer_data(read_results(out), out, tmp_path / "page")
    assert data is not None
    assert (set(data["images"]), remarks) == ({name, "image1.png"}, [])
    for image in data["images"].values():
        assert (tmp_path / "page" / unquote(image["original"])).is_file()
    # A source that can no longer be read is left out, and the report is made all the same.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_MAX_PIXELS", "10")
        data, remarks = viewer_data(read_results(out), out, tmp_path / "page")
    assert data is None
    assert "not found or cannot be read (2)" in remarks[0]


def test_files_that_cannot_be_kept_cost_no_row_and_are_told(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [harness.GOOD], images))
    out = tmp_path / "out"
    out.mkdir()
    (out / "_kept").write_text("a file where the folder should be")
    outcome = measure(suite, out, keep_dir=out)
    assert (outcome.done, outcome.failed) == (2, 0)
    assert sum(outcome.not_kept.values()) == 2
    assert "_kept" in str(outcome.not_kept)
    (out / "_kept").unlink()
    again = measure(suite, out, keep_dir=out)
    assert (again.done, again.reused, again.not_kept) == (2, 0, {})
    assert len(list((out / "_kept").rglob("*.png"))) == 2


def test_images_that_cannot_be_loaded_never_count_against_a_codec(tmp_path: Path) -> None:
    """22 of them before 6 good ones: the good ones are measured, found before or not."""
    images = harness.make_images(tmp_path / "images", 28)
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [harness.GOOD], images))
    tasks, versions = plan(suite)
    for number, task in enumerate(sorted(tasks, key=lambda task: task.image)):
        if number < 22:
            PIL.Image.fromarray(np.zeros((8, 8), np.float32)).save(task.image_path, "TIFF")
    with pytest.raises(DatasetError, match="files cannot be used as images") as caught:
        find_dataset(suite.dataset)
    assert str(caught.value).count("floating-point") == 22
    with Store(tmp_path / "out") as store, local() as pool:
        outcome = run(
            sorted(tasks, key=lambda task: task.image),
            versions,
            store,
            executor=pool,
            context=RunContext("r", 2, 1),
        )
    assert (outcome.done, outcome.failed, outcome.dropped) == (6, 22, {})
    assert all(reason.startswith(str(images)) for reason in outcome.reasons)
    assert len(find_dataset(suite.dataset, allow_partial=True).images) == 6


def test_any_executor_makes_the_same_rows(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1, 2], images))
    measure(suite, tmp_path / "a")
    measure(suite, tmp_path / "b", ProcessPoolExecutor(1, mp_context=get_context("spawn")))
    columns = ["image", "point", "bpp", "psnr_rgb", "bitstream_sha256", "decoded_sha256"]
    a, b = (read_results(tmp_path / x)[columns].sort_values(["image", "point"]) for x in "ab")
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))


def test_an_image_that_changes_while_the_run_goes_on_is_not_measured(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1], images))
    tasks, versions = plan(suite)
    harness.make_images(images, 1, (90, 90))
    with Store(tmp_path / "out") as store, local() as pool:
        outcome = run(tasks, versions, store, executor=pool, context=RunContext("r", 2, 1))
    assert (outcome.done, outcome.failed) == (1, 1)
    assert "changed during the run" in str(rows(tmp_path / "out")[1.0, "image0.png"]["error"])


def test_points_and_options_are_checked_before_work(tmp_path: Path, images: Path) -> None:
    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1, 99], images))
    with pytest.raises(SuiteError, match=r"'trick', points: point 99 is not one of"):
        find_codecs(suite)
    bad = parse_suite(
        harness.write_suite(tmp_path / "s.toml", [1], images, options="options = { colour = 1 }")
    )
    with pytest.raises(SuiteError, match=r"'trick'.*colour"):
        find_codecs(bad)


def test_workers_that_cannot_start_end_the_run_with_a_reason(tmp_path: Path, images: Path) -> None:
    class Broken(Executor):
        def submit(self, fn: Callable[..., object], /, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=os._exit, initargs=(3,)
            )
            return pool.submit(fn, *args, **kwargs)

    suite = parse_suite(harness.write_suite(tmp_path / "s.toml", [1], images))
    with pytest.raises(BenchError, match="worker processes cannot be started"):
        measure(suite, tmp_path / "out", Broken())


def bench(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmark", *map(str, arguments)]
    # Started in the background, tests ignore SIGINT, and children inherit that; a handler they do not.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)


def wait_for_rows(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "_journal.jsonl").exists() and len(read_results(folder)) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run measured nothing")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_killed_is_resumed_to_exactly_the_plan(how: signal.Signals, tmp_path: Path) -> None:
    images = harness.make_images(tmp_path / "images", 60)
    path = harness.write_suite(tmp_path / "s.toml", [1, harness.SLOW], images)
    command = ("run", "suite", path, "--out", tmp_path, "--jobs", "2")
    with bench(*command) as first:
        wait_for_rows(tmp_path / "s", 3)
        first.send_signal(how)
        _, said = first.communicate(timeout=30)
    assert "Traceback" not in said, said
    if how == signal.SIGINT:
        assert first.returncode == 130
        assert f"results so far are in {tmp_path / 's'}; rerun to resume" in said
        assert said.endswith("bench: interrupted\n")
    before = len(read_results(tmp_path / "s"))
    assert 3 <= before < 120
    with bench(*command) as second:
        out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert f"{120 - before} measured, {before} reused, 0 failed" in out
    frame = pd.read_parquet(tmp_path / "s")
    assert len(frame) == 120
    assert not frame.duplicated(["codec", "point", "image"]).any()


def test_workers_do_not_outlive_a_killed_run(tmp_path: Path, images: Path) -> None:
    path = harness.write_suite(tmp_path / "s.toml", [1, harness.HANG], images)
    with bench("run", "suite", path, "--out", tmp_path, "--jobs", "2") as running:
        wait_for_rows(tmp_path / "s", 1)
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        running.kill()
        running.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
