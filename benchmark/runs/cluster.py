"""A Dask cluster as an executor: the same plan on other machines (needs the extra `cluster`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from benchmark.errors import UsageError


class ClusterExecutor(Executor):
    """The workers of the Dask scheduler at `address`, through Dask's own executor interface.

    Every worker must have this package and see the images under the same paths. Raises UsageError if Dask is
    not installed, the scheduler does not answer, or workers run several evaluations in one process: then
    times and thread counts would mean nothing.
    """

    threads = 1

    def __init__(self, address: str) -> None:
        try:
            distributed = importlib.import_module("distributed")
        except ImportError as error:
            raise UsageError("--scheduler needs Dask: pip install 'bench-codec[cluster]'") from error
        try:
            self._client: Any = distributed.Client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"--scheduler {address}: no Dask scheduler answers there: {error}") from error
        cores: dict[str, int] = self._client.ncores()
        if not cores or max(cores.values()) > 1:
            found = "has no workers" if not cores else "has workers with several threads"
            self._client.close()
            raise UsageError(f"--scheduler {address}: {found}; start `dask worker --nthreads 1 --nworkers N`")
        self.jobs = len(cores)
        # An evaluation that has a side effect on codecs' caches only is not "pure": run each one we submit.
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 (as Executor has it)
        """Schedule `fn`, an importable function, as any executor does."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the cluster go; it goes on for others."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()
