"""Whatever happens to the results folder under a run, no finished row is lost and the run stops."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from running import Runs

from benchmark.results.store import read_results
from benchmark.runs.runner import QUEUED_PER_JOB


def images_of(*folders: Path) -> set[tuple[float, str]]:
    frames = [read_results(folder) for folder in folders]
    return {(row.point, row.image) for frame in frames for row in frame.itertuples()}  # type: ignore[misc]


def test_a_folder_moved_from_under_a_run_keeps_its_rows_and_the_run_stops(runs: Runs) -> None:
    runs.suite(points=10, seconds=0.1)
    old = runs.results.with_name("old")
    with runs.start() as first:
        runs.wait_for(3)
        runs.results.rename(old)
        held = len(read_results(old))
        with runs.start() as second:
            _, said = first.communicate(timeout=30)
            runs.wait_for(3)
            second.kill()
    assert first.returncode == 2, said
    assert "Traceback" not in said
    assert "out/mid: was moved, replaced or deleted under this run" in said
    assert str(old) in said
    assert held <= len(read_results(old)) <= held + 3
    again = runs.run()
    assert again.returncode == 0, again.stderr
    assert len(read_results(runs.results)) == 30


def test_a_deleted_journal_stops_the_run_and_no_row_is_lost(runs: Runs) -> None:
    runs.suite(points=10, seconds=0.1)
    with runs.start() as first:
        runs.wait_for(3)
        before = images_of(runs.results)
        (runs.results / "_journal.jsonl").unlink()
        _, said = first.communicate(timeout=30)
    assert (first.returncode, "Traceback" in said) == (2, False), said
    assert "_journal.jsonl is another file now, or none" in said
    after = images_of(runs.results)
    assert before < after
    assert len(after) < 30


def test_a_deleted_folder_stops_the_run_and_its_rows_are_rescued_beside_it(runs: Runs) -> None:
    runs.suite(points=10, seconds=0.1)
    with runs.start() as first:
        runs.wait_for(3)
        before = images_of(runs.results)
        shutil.rmtree(runs.results)
        _, said = first.communicate(timeout=30)
    assert (first.returncode, "Traceback" in said) == (2, False), said
    rescued = runs.results.with_name("mid-rescued-1")
    assert str(rescued.relative_to(runs.folder)) in said
    assert before < images_of(rescued)
    assert len(read_results(rescued)) < 30


def test_two_runs_behind_a_deleted_lock_lose_no_row(runs: Runs) -> None:
    runs.suite(points=10, seconds=0.1)
    with runs.start() as first:
        runs.wait_for(3)
        before = images_of(runs.results)
        (runs.results / "_lock").unlink()
        second = runs.run()
        _, said = first.communicate(timeout=30)
    assert first.returncode == 2, said
    assert second.returncode == 0, second.stderr
    assert before <= images_of(runs.results)
    assert len(read_results(runs.results)) == 30


def test_a_measurement_again_that_fails_leaves_the_good_row(runs: Runs) -> None:
    runs.suite("fail if told")
    assert "3 measured" in runs.run().stdout
    good = runs.rows()
    runs.environment["WILD_FAILS"] = "1"
    for options in (["--keep"], ["--fresh", "--codec", "fail if told"]):
        again = runs.run(*options)
        assert again.returncode == 1
        assert "2 measured, 0 reused, 1 failed" in again.stdout
        assert "ValueError: as told" in again.stderr
        rows = runs.rows()
        assert rows["status"].tolist() == ["ok"] * 3
        assert set(rows["bitstream_sha256"]) == set(good["bitstream_sha256"])


def test_what_a_stalled_and_killed_run_loses_is_bounded(runs: Runs) -> None:
    runs.suite(points=20, seconds=0.05)
    log = runs.folder / "log"
    runs.environment["WILD_LOG"] = str(log)
    with runs.start("--jobs", "2") as running:
        runs.wait_for(3)
        running.send_signal(signal.SIGSTOP)
        time.sleep(1)  # workers do what they were given
        running.kill()
        running.wait()
    lost = len(log.read_text().splitlines()) - len(read_results(runs.results))
    assert 0 < lost <= 2 * QUEUED_PER_JOB
    assert "0 failed" in runs.run("--jobs", "2").stdout
    assert len(read_results(runs.results)) == 60
