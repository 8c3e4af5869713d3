"""A Dask cluster of real processes, which tests kill one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from running import wait_until


@dataclass
class Cluster:
    """A scheduler and its workers, each a process of its own, in `folder`."""

    folder: Path
    environment: Mapping[str, str]
    scheduler: subprocess.Popen[bytes] = field(init=False)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        text = (self.folder / "scheduler.json").read_text()
        return str(json.loads(text)["address"])

    def start_scheduler(self, port: int = 0) -> None:
        """Start a scheduler; wait until it listens."""
        (self.folder / "scheduler.json").unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(port), "--scheduler-file", "scheduler.json"
        )
        wait_until((self.folder / "scheduler.json").exists)

    def start_worker(self, *options: str, **environment: str) -> None:
        """Start a worker with its nanny, or with `--no-nanny` without one."""
        self.workers.append(self._start("worker", self.address, "--nthreads", "1", *options, **environment))

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes that do the work: those that nannies started, or workers without one."""
        found = []
        for worker in self.workers:
            if worker.poll() is None:
                process = psutil.Process(worker.pid)
                nannied = [c for c in process.children() if "spawn_main" in " ".join(c.cmdline())]
                found += nannied or [process]
        return found

    def _start(self, kind: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, "--no-dashboard"]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, **environment}, stdout=log, stderr=log
            )


@contextmanager
def cluster(folder: Path, environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Yield a running cluster; kill what is left of it when the block ends."""
    folder.mkdir()
    found = Cluster(folder, environment)
    found.start_scheduler()
    try:
        for _ in range(workers):
            found.start_worker()
        yield found
    finally:
        for process in [*found.workers, found.scheduler]:
            for child in (
                psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ()
            ):
                child.kill()
            process.kill()
            process.wait()
