"""Worker processes of this machine as an executor: a time limit for each task, and no death that spreads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import FrameType, TracebackType
from typing import Any

from pebble import ProcessPool

# Nothing here imports numpy: the number of threads must be set before numpy and its like are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


class _Stopped(BaseException):
    """The pool wants this worker to end; no handler of Exception may hold it up."""


class LocalExecutor(Executor):
    """Processes on this machine, `threads` threads each.

    A task that runs past `timeout_seconds` ends with TimeoutError and its process is killed, together with
    what the task started; if a process dies by itself (a crash, out of memory) its task ends with
    pebble.ProcessExpired. In both cases another process takes the place, and the other tasks go on.
    """

    def __init__(self, jobs: int, threads: int, timeout_seconds: float | None = None) -> None:
        self.jobs = jobs
        self.threads = threads
        self._timeout_seconds = timeout_seconds
        self._pool: Any = ProcessPool(
            max_workers=jobs,
            initializer=_start_worker,
            initargs=(threads,),
            context=multiprocessing.get_context("spawn"),
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 (as Executor has it)
        """Schedule `fn`, an importable function, as any executor does."""
        future: Future[Any] = self._pool.schedule(_work, (fn, args, kwargs), timeout=self._timeout_seconds)
        return future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; at once if an error, or Ctrl-C, brought us here."""
        self.shutdown(cancel_futures=error is not None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the tasks end, or with `cancel_futures` stop them, then end the processes."""
        if cancel_futures:
            self._pool.stop()
        else:
            self._pool.close()
        if wait:
            self._pool.join()


_working = False


def _start_worker(threads: int) -> None:
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    signal.signal(signal.SIGTERM, _stop)
    _die_with_parent()


def _die_with_parent() -> None:
    """Ask the kernel to kill this worker when the run is killed, even in the middle of an evaluation."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _stop(number: int, frame: FrameType | None) -> None:
    if _working:
        raise _Stopped  # unwinds the codec, which then kills the processes that it started
    os._exit(0)


def _work(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    global _working  # noqa: PLW0603 (the signal handler has no other way to know)
    _working = True
    try:
        return fn(*args, **kwargs)
    except _Stopped:
        os._exit(1)
    finally:
        _working = False
