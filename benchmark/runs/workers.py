"""Worker processes of this machine as an executor: a time limit for each task, and no death that spreads."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import ExitStack, suppress
from itertools import count
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from pebble import ProcessPool

from benchmark.runs.scratch import run_folder
from benchmark.runs.watch import Reporter, Watch

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


class Stopped(SystemExit):
    """The pool wants this worker to end; whoever catches what a codec raises lets this pass.

    It ends a worker without a word where it finds it between two tasks.
    """


PREPARING_SECONDS = 600.0
"""How long a task may take to load what it needs, on a machine however busy, before its own time begins."""


class LocalExecutor(Executor):
    """Processes on this machine, `threads` threads each.

    A task that runs past `timeout_seconds`, counted from where it calls `start_clock`, ends with TimeoutError
    and its process is killed, together with what the task started. So does a task that takes
    `preparing_seconds` more than that in all: it may hang before its clock starts. If a process dies by
    itself (a crash, out of memory, os._exit) its task ends with pebble.ProcessExpired, whatever the exit
    code. In all cases another process takes the place, and the other tasks go on.

    A process, and each program that it starts, gets at most `memory_bytes` of memory of its own: what asks
    for more is refused it (MemoryError in Python).

    The processes have one temporary folder (TMPDIR), which goes when the executor is shut down.
    """

    def __init__(
        self,
        jobs: int,
        threads: int,
        timeout_seconds: float | None = None,
        preparing_seconds: float = PREPARING_SECONDS,
        memory_bytes: int | None = None,
    ) -> None:
        self.jobs = jobs
        self.threads = threads
        self._limit_seconds = None if timeout_seconds is None else preparing_seconds + timeout_seconds
        context = multiprocessing.get_context("spawn")
        self._scratch = ExitStack()
        resource_tracker.ensure_running()  # it serves this process, and is not to end with the run
        self.folder = folder = self._scratch.enter_context(run_folder())
        self._watch = Watch(self._end, timeout_seconds)
        self._numbers = count(1)
        self._tasks: dict[int, Future[Any]] = {}
        self._pool: Any = ProcessPool(
            max_workers=jobs,
            initializer=_start_worker,
            initargs=(threads, memory_bytes, self._watch.reporter, folder, os.getpid()),
            context=context,
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 (as Executor has it)
        """Schedule `fn`, an importable function, as any executor does."""
        number = next(self._numbers)
        future = self._tasks[number] = Future()
        inner = self._pool.schedule(_work, (number, fn, args, kwargs), timeout=self._limit_seconds)

        def end(_: Future[Any]) -> None:
            self._tasks.pop(number, None)
            inner.cancel()  # kills the process, if it still works on the task

        def pass_on(_: Future[Any]) -> None:
            with suppress(InvalidStateError):  # cancelled, or its time ran out
                if inner.cancelled():
                    future.cancel()
                elif isinstance(error := inner.exception(), TimeoutError):
                    reason = f"the codec was not loaded and warmed up after {self._limit_seconds:g} s"
                    future.set_exception(TimeoutError(reason))
                elif error:
                    future.set_exception(error)
                else:
                    future.set_result(inner.result())

        future.add_done_callback(end)
        inner.add_done_callback(pass_on)
        return future

    def _end(self, number: int, error: Exception) -> None:
        if future := self._tasks.get(number):
            with suppress(InvalidStateError):  # it has just ended
                future.set_exception(error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; at once if an error, or Ctrl-C, brought us here."""
        self.shutdown(cancel_futures=error is not None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the tasks end, or with `cancel_futures` stop them, then end the processes."""
        if cancel_futures:
            self._pool.stop()
            self._watch.terminate()  # all at once: the pool waits for one after the other
        else:
            self._pool.close()
        if wait:
            self._pool.join()
            self._scratch.close()
        self._watch.close()


_reporter: Reporter | None = None
"""Where this worker tells the run what it does; None outside the processes of a LocalExecutor."""
_task = 0
"""The number of the task that this worker works on, or 0."""


def start_clock() -> None:
    """Say that the running task has loaded what it needs: its time limit counts from here.

    Does nothing outside the processes of a LocalExecutor.
    """
    if _reporter is not None and _task:
        _reporter.start_clock(_task)


def _start_worker(threads: int, memory_bytes: int | None, reporter: Reporter, folder: Path, run: int) -> None:
    global _reporter  # noqa: PLW0603 (one worker is one process)
    _reporter = reporter
    tempfile.tempdir = str(folder)
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if memory_bytes is not None:
        # Not of addresses (RLIMIT_AS): libraries reserve many times more of those than they ever use.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal tells it to all; the run then ends its workers
    _die_with(run)


def _die_with(run: int) -> None:
    """Ask the kernel to kill this worker when the run is killed, even in the middle of an evaluation."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != run:  # it was killed before it was asked
        os._exit(1)


def _stop(number: int, frame: FrameType | None) -> None:
    if _task:
        raise Stopped  # unwinds the codec, which then kills the processes that it started
    os._exit(0)


def _work(number: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    global _task  # noqa: PLW0603 (the signal handler has no other way to know)
    _task = number
    if _reporter is not None:
        _reporter.begin(number)
    try:
        return fn(*args, **kwargs)
    except Stopped:
        os._exit(1)
    finally:
        _task = 0
