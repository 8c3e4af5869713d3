from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local cluster in processes of its own: its threads and warnings stay out of the tests."""
    folder = tmp_path_factory.mktemp("dask")
    code = (
        "import time\nfrom pathlib import Path\nfrom distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        f"        Path({str(folder / 'address')!r}).write_text(cluster.scheduler_address)\n"
        "        time.sleep(600)\n"
    )
    (folder / "cluster.py").write_text(code)
    with subprocess.Popen([sys.executable, folder / "cluster.py"], cwd=ROOT, env=_environment()) as process:
        try:
            deadline = time.monotonic() + 120
            while not (folder / "address").exists() or not (folder / "address").read_text():
                assert process.poll() is None
                assert time.monotonic() < deadline, "the cluster did not start"
                time.sleep(0.1)
            yield (folder / "address").read_text()
        finally:
            process.terminate()


def _environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    arguments = ["run", "suite", "demo", "--codec", "jpeg", "--image", "chelsea", *options]
    command = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=_environment())


def test_a_cluster_makes_the_rows_that_this_machine_makes(scheduler: str, tmp_path: Path) -> None:
    from benchmark.results.store import read_results

    for name, options in {"cluster": ("--scheduler", scheduler), "local": ()}.items():
        done = run_demo("--out", str(tmp_path / name), *options)
        assert done.returncode == 0, done.stderr
    columns = ["image", "point", "bitstream_sha256", "decoded_sha256", "psnr_rgb", "ms_ssim_rgb"]
    ours, theirs = (read_results(tmp_path / n / "demo").sort_values("point") for n in ("local", "cluster"))
    assert len(ours) > 4
    assert ours[columns].to_numpy().tolist() == theirs[columns].to_numpy().tolist()
    assert set(theirs["jobs"]) == {2}


def test_no_scheduler_is_an_input_error(tmp_path: Path) -> None:
    from benchmark.runs.cluster import ClusterExecutor
    from benchmark.runs.guard import Limits
    from benchmark.runs.suite import load_suite
    from benchmark.runs.survey import Question

    question = Question(load_suite("demo"), tmp_path)
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        ClusterExecutor("tcp://127.0.0.1:9", question, {}, Limits(), run="r")
