#!/usr/bin/env python3
# SBATCH --job-name=bench
# SBATCH --cpus-per-task=1
# SBATCH --mem=4G
# SBATCH --time=7-00:00:00
"""Runs a suite on SLURM: `sbatch slurm.py kodak --out results --timeout 7200`.

This job is the run itself; it asks for the workers, one core each, as jobs of their own, and ends them.
"""

import os
import subprocess
import sys

from dask_jobqueue import SLURMCluster

if __name__ == "__main__":
    with SLURMCluster(
        cores=1,
        processes=1,
        memory=os.environ.get("BENCH_WORKER_MEMORY", "8GB"),
        walltime="24:00:00",
        # queue="...", account="...", job_script_prologue=["module load ..."], as your cluster needs
    ) as cluster:
        cluster.scale(jobs=int(os.environ.get("BENCH_WORKERS", "20")))
        cluster.wait_for_workers(1)  # the run begins with the first, and takes the others as they come
        bench = [sys.executable, "-m", "benchmark", "run", "suite", *sys.argv[1:]]
        code = subprocess.call([*bench, "--scheduler", cluster.scheduler_address])
    sys.exit(code)
