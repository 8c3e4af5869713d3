"""The files that docs/cluster.md shows: SLURM's with a stand-in for sbatch, Kubernetes' as far as it goes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import yaml

from benchmark.results.store import read_results

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "cluster"
SBATCH = """#!/bin/sh
echo "$1" >> "$STANDIN/jobs"
sh "$1" > "$STANDIN/log.$$" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = '#!/bin/sh\nfor job; do kill "$job"; done 2> /dev/null\ntrue\n'


def test_the_slurm_job_runs_a_suite_on_workers_of_its_own(tmp_path: Path) -> None:
    for name, body in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
        (tmp_path / name).write_text(body)
        (tmp_path / name).chmod(stat.S_IRWXU)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "STANDIN": str(tmp_path),
        "BENCH_WORKERS": "2",
        "BENCH_WORKER_MEMORY": "2GB",
    }
    arguments = ["demo", "--codec", "jpeg", "--image", "chelsea", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, str(FILES / "slurm.py"), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "10 measured, 0 reused, 0 failed" in done.stdout
    assert len(read_results(tmp_path / "out" / "demo")) == 10
    assert len((tmp_path / "jobs").read_text().splitlines()) == 2


def test_the_commands_of_the_kubernetes_file_are_commands_with_such_options() -> None:
    documents = list(yaml.safe_load_all((FILES / "kubernetes.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["Service", "Deployment", "Deployment", "Job"]
    commands = [d["spec"]["template"]["spec"]["containers"][0]["command"] for d in documents[1:]]
    assert [command[:2] for command in commands] == [
        ["dask", "scheduler"],
        ["dask", "worker"],
        ["bench", "run"],
    ]
    for command in commands:
        module = (
            ["distributed.cli.dask_" + command[1]] if command[0] == "dask" else ["benchmark", "run", "suite"]
        )
        shown = subprocess.run(
            [sys.executable, "-m", *module, "--help"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=True,
        )
        for option in [word for word in command if word.startswith("--")]:
            assert option in shown.stdout
