"""Evaluations on a Dask cluster are guarded as at home; what the cluster does costs no row."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from dask_processes import Cluster, cluster
from running import Runs, wait_until
from test_signals import install_programs

from benchmark.data.find import find_dataset
from benchmark.errors import UsageError
from benchmark.runs.cluster import ClusterExecutor, Left
from benchmark.runs.evaluate import RunContext, evaluate
from benchmark.runs.guard import Limits
from benchmark.runs.runner import find_codecs
from benchmark.runs.suite import parse_suite
from benchmark.runs.survey import Question, equipment

FIRST, OTHERS = "image0.png", ("image1.png", "image2.png")


@pytest.fixture
def dask(runs: Runs) -> Iterator[Cluster]:
    with cluster(runs.folder / "dask", runs.environment) as found:
        yield found


def wait_for_workers(dask: Cluster, number: int) -> None:
    from distributed import Client

    with Client(dask.address, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=60)


def of(dask: Cluster, *options: str) -> list[str]:
    return ["--scheduler", dask.address, *options]


def test_a_crash_a_hang_and_greed_on_a_worker_cost_one_row_each(runs: Runs, dask: Cluster) -> None:
    runs.suite("hard exit 3", "sleep", "take memory", "note a word")
    wait_for_workers(dask, 2)
    done = runs.run(*of(dask, "--timeout", "3", "--memory", "1.5"), seconds=300)
    assert done.returncode == 1, done.stderr
    assert "8 measured, 0 reused, 4 failed" in done.stdout
    rows = runs.rows()
    assert rows.loc["hard exit 3", FIRST]["error"] == "the worker process died (exit code 3)"
    assert rows.loc["sleep", FIRST]["status"] == "timeout"
    assert "--timeout" in rows.loc["sleep", FIRST]["error"]
    assert "MemoryError: Unable to allocate 2.00 GiB" in rows.loc["take memory", FIRST]["error"]
    assert (rows[rows.index.get_level_values("image") != FIRST]["status"] == "ok").all()


def test_killed_workers_cost_no_row(runs: Runs, dask: Cluster) -> None:
    runs.suite(points=10, seconds=0.2)
    wait_for_workers(dask, 2)
    with runs.start(*of(dask)) as running:
        for rows in (3, 8):
            runs.wait_for(rows)
            dask.worker_processes()[0].kill()
        out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    assert "30 measured, 0 reused, 0 failed" in out
    assert len(pd.read_parquet(runs.results)) == 30


@pytest.mark.parametrize("who", ["scheduler", "all workers"])
def test_a_lost_cluster_ends_the_run_with_its_own_words_and_no_failed_row(
    runs: Runs, dask: Cluster, who: str
) -> None:
    runs.suite(points=10, seconds=0.2)
    wait_for_workers(dask, 2)
    with runs.start(*of(dask, "--patience", "3")) as running:
        runs.wait_for(3)
        for process in [dask.scheduler] if who == "scheduler" else dask.workers:
            process.kill()
        if who != "scheduler":
            for process in dask.worker_processes():
                process.kill()
        _, err = running.communicate(timeout=180)
    assert running.returncode == 3, err
    assert "Traceback" not in err
    words = "does not answer any more" if who == "scheduler" else "has no workers that can be used any more"
    assert words in err
    assert "results so far are in out/mid; rerun to resume" in err
    assert (runs.rows()["status"] == "ok").all()
    again = runs.run(seconds=180)
    assert "0 failed" in again.stdout, again.stderr
    assert len(pd.read_parquet(runs.results)) == 30


def test_a_scheduler_that_comes_back_is_gone_on_with(runs: Runs, dask: Cluster) -> None:
    runs.suite(points=10, seconds=0.2)
    wait_for_workers(dask, 2)
    port = int(dask.address.rsplit(":", 1)[1])
    with runs.start(*of(dask, "--patience", "90")) as running:
        runs.wait_for(3)
        dask.scheduler.kill()
        dask.scheduler.wait()
        dask.start_scheduler(port)
        dask.start_worker()
        out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    assert "30 measured, 0 reused, 0 failed" in out


def test_a_worker_that_differs_is_shown_and_left_out(runs: Runs, dask: Cluster) -> None:
    runs.suite(images=2)
    install_programs(runs, "", keep=True)
    dask.start_worker(WILD_PROGRAMS=str(runs.folder / "programs"))
    wait_for_workers(dask, 3)
    done = runs.run(*of(dask), seconds=300)
    assert done.returncode == 0, done.stderr
    assert "workers left out" in done.stderr
    assert "codec copy" in done.stderr
    assert "2 workers differ from this machine and are left out" in done.stderr
    assert set(runs.rows()["jobs"]) == {1}


def test_images_are_sent_to_workers_that_do_not_see_them(runs: Runs, dask: Cluster) -> None:
    runs.suite(images=1)
    text = (runs.folder / "mid.toml").read_text().split("[[codec]]")[0]
    (runs.folder / "mid.toml").write_text(text + '[[codec]]\nname = "jpeg"\npoints = [50, 60]\n')
    suite = parse_suite(runs.folder / "mid.toml")
    tasks = suite.tasks(find_dataset("folder:images", base=runs.folder), runs.folder)
    codecs = find_codecs(suite)
    wait_for_workers(dask, 2)
    images = ((tasks[0].image_path, tasks[0].image_sha256),)
    here = equipment(codecs, images)
    elsewhere = runs.folder / "elsewhere"
    (runs.folder / "images").rename(elsewhere)
    left: list[Left] = []
    with pytest.raises(UsageError, match="--ship-data where only these are missing"):
        question = Question(suite, runs.folder, images)
        ClusterExecutor(dask.address, question, here, Limits(), run="a", left_out=left.append)
    assert [list(found.values()) for found in left[0].values()] == [[("all 1", "without image0.png")]] * 2
    elsewhere.rename(runs.folder / "images")
    question, here = Question(suite, runs.folder), equipment(codecs, ())
    with ClusterExecutor(dask.address, question, here, Limits(), run="b", send=True) as executor:
        futures = [executor.submit(evaluate, task, RunContext()) for task in tasks]
        (runs.folder / "images").rename(elsewhere)  # a worker that looked for the file would not find it
        assert [future.result(180).status for future in futures] == ["ok", "ok"]


def test_a_cluster_started_here_ends_with_the_run(runs: Runs) -> None:
    runs.suite(points=2)
    done = runs.run("--scheduler", "local:2", seconds=300)
    assert "6 measured, 0 reused, 0 failed" in done.stdout, done.stderr
    assert set(runs.rows()["jobs"]) == {2}
    wait_until(lambda: list((runs.folder / "temporary").iterdir()) == [], 10)
