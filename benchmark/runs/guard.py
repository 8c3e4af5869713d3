"""What runs on a worker of a Dask cluster: evaluations in a guarded process of their own, as at home."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pebble import ProcessExpired

from benchmark.errors import MachineError
from benchmark.files import write_atomically
from benchmark.results.records import Record
from benchmark.runs.evaluate import RunContext, evaluate, failed_row
from benchmark.runs.survey import Question, answer
from benchmark.runs.tasks import Task
from benchmark.runs.workers import LocalExecutor

IDLE_SECONDS = 60.0
"""How long a worker keeps the process of a run that gives it nothing to do: the run may be gone."""

_LOOK_SECONDS = 0.5
"""How often it is looked whether the run still wants the result that is being made."""


@dataclass(frozen=True)
class Limits:
    """What one evaluation may use. A value that can be pickled."""

    threads: int = 1
    timeout_seconds: float | None = None
    memory_bytes: int | None = None
    """On a worker of Dask, the worker's own limit where this is None."""


class Guard:
    """The guarded process of one run on this worker, which ends when it is idle for IDLE_SECONDS."""

    def __init__(self, run: str, limits: Limits) -> None:
        _may_have_children()
        self._run = run
        # One thread opens and closes: the kernel kills the process when the thread that started it ends.
        self._keeper = ThreadPoolExecutor(1)
        self._pool = self._keeper.submit(
            LocalExecutor,
            1,
            limits.threads,
            limits.timeout_seconds,
            memory_bytes=limits.memory_bytes or _memory_of_worker(),
        ).result()
        self._timer: threading.Timer | None = None

    def result(self, fn: Any, /, *args: object) -> Any:  # noqa: ANN401 (whatever `fn` returns)
        """Return what `fn` does, in the guarded process; called in a task of Dask.

        Raises MachineError when Dask has let go of that task meanwhile, because nobody waits for it.
        """
        if self._timer:
            self._timer.cancel()
        future: Future[Any] = self._keeper.submit(self._pool.submit, fn, *args).result()
        while not wait([future], _LOOK_SECONDS).done:
            if not _is_wanted():
                future.cancel()
                raise MachineError("the run that asked for this is gone")
        self._timer = threading.Timer(IDLE_SECONDS, close_guard, (self._run,))
        self._timer.daemon = True
        self._timer.start()
        try:
            return future.result()
        except CancelledError as error:
            raise MachineError("the guarded process was ended") from error

    def here(self, task: Task, data: bytes | None) -> Task:
        """Return the task with the image file that holds `data`; as it is where there is no data."""
        if data is None:
            return task
        path: Path = self._pool.folder / f"{task.image_sha256}{task.image_path.suffix}"
        if not path.exists():
            try:
                write_atomically(path, data)
            except OSError as error:
                raise MachineError(f"{path.parent}: no image can be kept: {error.strerror}") from error
        return replace(task, image_path=path)

    def close(self) -> None:
        """End the process, and whatever it does."""
        if self._timer:
            self._timer.cancel()
        self._keeper.submit(self._pool.shutdown, cancel_futures=True)
        self._keeper.shutdown(wait=False)


_guards: dict[str, Guard] = {}
_opening = threading.Lock()


def _guard(run: str, limits: Limits) -> Guard:
    with _opening:
        if run not in _guards:
            _guards[run] = Guard(run, limits)
        return _guards[run]


def close_guard(run: str) -> None:
    """End the guarded process of a run on this worker, if it has one; does not wait for its end."""
    if guard := _guards.pop(run, None):
        guard.close()


def evaluate_guarded(run: str, limits: Limits, task: Task, context: RunContext, data: bytes | None) -> Record:
    """Do one evaluation; `data` are the bytes of the image file where the worker need not have it.

    A crash or the end of its time makes a failed row. Raises MachineError where this machine is at fault.
    """
    guard = _guard(run, limits)
    try:
        record: Record = guard.result(evaluate, guard.here(task, data), context)
    except (TimeoutError, ProcessExpired) as error:
        return failed_row(task, context, error)
    return record


def answer_guarded(run: str, limits: Limits, question: Question) -> dict[str, str]:
    """Say what this worker has (see `answer`)."""
    try:
        found: dict[str, str] = _guard(run, limits).result(answer, question)
    except (TimeoutError, ProcessExpired) as error:
        return {"bench": f"cannot be asked: {error}"}
    return found


def _memory_of_worker() -> int | None:
    from distributed import get_worker

    limit: int | None = get_worker().memory_manager.memory_limit
    return limit or None


def _is_wanted() -> bool:
    from distributed import get_worker

    worker = get_worker()
    known = worker.state.tasks.get(worker.get_current_task())
    return known is not None and known.state == "executing"


def _may_have_children() -> None:
    """Let this process start others, which Dask's nanny forbids (its setting `distributed.worker.daemon`).

    It forbids it because children would outlive a worker that is killed; ours do not (`workers._die_with`).
    """
    vars(multiprocessing.current_process())["_config"]["daemon"] = False
