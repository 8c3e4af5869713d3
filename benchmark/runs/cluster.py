"""A Dask cluster as an executor: the same plan on other machines (needs the extra `cluster`)."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any

from benchmark.errors import MachineError, UsageError
from benchmark.runs.guard import Limits, answer_guarded, close_guard, evaluate_guarded
from benchmark.runs.scratch import run_folder
from benchmark.runs.survey import Differences, Equipment, Question, differences

LOCAL = "local:"
"""What stands before the number of workers where a cluster is to be started here."""

PATIENCE_SECONDS = 300.0
"""How long a run waits for a scheduler that does not answer, or for workers when there are none."""

_CALL_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_SURVEY_SECONDS = 600.0

Left = Mapping[str, Differences]
"""Address of a worker that is left out -> in what it differs."""


class ClusterExecutor(Executor):
    """The workers of the Dask scheduler at `address`, each with a guarded process for evaluations.

    With "local:N" as address, a cluster of N workers is started here, and ends with the executor.

    A worker that differs from this machine (`here`) in what the run needs (`question`) is left out, and
    `left_out` is told of it; so are those that come while the run goes on. With `send`, workers get images
    by their bytes and need not see the files.

    A task of a worker, or of a scheduler, that is lost ends with MachineError: whoever gave it out may do so
    again. `submit` then waits for a cluster that can be used, `patience_seconds` at most, and raises
    MachineError at last. Nothing waits for ever.

    Raises UsageError if Dask is not installed, the scheduler does not answer, workers run several evaluations
    in one process (times and thread counts would mean nothing), or all are left out.
    """

    threads = 1

    def __init__(
        self,
        address: str,
        question: Question,
        here: Equipment,
        limits: Limits,
        *,
        run: str,
        send: bool = False,
        patience_seconds: float = PATIENCE_SECONDS,
        left_out: Callable[[Left], None] = lambda left: None,
    ) -> None:
        distributed = _dask()
        self._question, self._here, self._limits, self._run = question, here, limits, run
        self._patience, self._left_out, self._send = patience_seconds, left_out, send
        self._resources = ExitStack()
        self._where = address
        self._fit: set[str] = set()
        """The workers that are here and can be used."""
        self._unfit: set[str] = set()
        self._pending: dict[Future[Any], tuple[Any, frozenset[str]]] = {}
        self._sent: dict[str, Any] = {}
        self._broken: MachineError | None = None
        self._lock = RLock()
        self._closing = Event()
        try:
            self._address = self._resources.enter_context(_cluster(address))
            self._client: Any = _connect(distributed, self._address, address)
            self._first_look()
        except BaseException:
            self._release()
            raise
        Thread(target=self._watch, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 (as Executor has it)
        """Give out an evaluation: `args` are task and context. Raises MachineError; see the class."""
        task, context = args
        self._wait_until_usable()
        future: Future[Any] = Future()
        try:
            with self._lock:
                fit = frozenset(self._fit)
                inner = self._client.submit(
                    evaluate_guarded,
                    self._run,
                    self._limits,
                    task,
                    context,
                    self._data(task.image_path, task.image_sha256),
                    workers=list(fit),
                    allow_other_workers=False,
                    pure=False,
                )
                self._pending[future] = (inner, fit)
            inner.add_done_callback(partial(self._pass_on, future))
        except Exception as error:  # a client that has just lost its scheduler raises many kinds
            self._fail(future, _in_words(error))
        future.add_done_callback(self._forget)
        return future

    def _data(self, path: Path, sha256: str) -> Any:  # noqa: ANN401 (a future of Dask)
        """Return what becomes the file's bytes on a worker: Dask brings them to each but once."""
        if not self._send:
            return None
        if sha256 not in self._sent:
            self._sent[sha256] = self._client.scatter(path.read_bytes(), workers=list(self._fit), hash=False)
        return self._sent[sha256]

    def _pass_on(self, future: Future[Any], inner: Any) -> None:  # noqa: ANN401 (a future of Dask)
        """Hand a result of Dask over; what is not one is a fault of the cluster."""
        try:
            result = inner.result(timeout=_SURVEY_SECONDS)
        except (Exception, CancelledError) as error:
            self._fail(future, error if isinstance(error, MachineError) else _in_words(error))
            return
        with suppress(InvalidStateError):
            future.set_result(result)

    def _fail(self, future: Future[Any], error: Exception) -> None:
        with suppress(InvalidStateError):  # it has ended in another way
            future.set_exception(error)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            inner, _ = self._pending.pop(future, (None, frozenset()))
        if inner is not None and not inner.done():
            with suppress(Exception):
                inner.cancel()

    def _wait_until_usable(self) -> None:
        while not self._fit or self._broken:
            if self._broken:
                raise self._broken
            time.sleep(0.1)

    def _first_look(self) -> None:
        cores = self._cores()
        if not cores or max(cores.values()) > 1:
            found = "has no workers" if not cores else "has workers with several threads"
            raise UsageError(
                f"--scheduler {self._where}: {found}; start `dask worker --nthreads 1 --nworkers N`"
            )
        self._meet(cores)
        if not self._fit:
            raise UsageError(
                f"--scheduler {self._where}: no worker has what the run needs (see the table); bring them to "
                "the same versions"
                + ("" if self._send else ", or send images with --ship-data where only these are missing")
            )

    def _cores(self) -> dict[str, int]:
        cores: dict[str, int] = self._client.sync(
            self._client.scheduler.ncores, workers=None, callback_timeout=_CALL_SECONDS
        )
        return cores

    def _meet(self, cores: Mapping[str, int]) -> None:
        """Let go of workers that are gone, and ask those that are new what they have."""
        new = [address for address in cores if address not in self._fit and address not in self._unfit]
        answers = {
            address: self._client.submit(
                answer_guarded, self._run, self._limits, self._question, workers=[address], pure=False
            )
            for address in new
        }
        found = {address: self._differences(answer) for address, answer in answers.items()}
        with self._lock:
            self._unfit |= {address for address in found if found[address]}
            self._fit = {address for address in cores if address in self._fit or found.get(address) == {}}
            self.jobs = max(1, len(self._fit))
        if left := {address: found[address] for address in found if found[address]}:
            self._left_out(left)

    def _differences(self, answer: Any) -> Differences:  # noqa: ANN401 (a future of Dask)
        try:
            there = answer.result(timeout=_SURVEY_SECONDS)
        except Exception as error:  # whatever keeps it from answering, such as a package that is not there
            there = {"bench": f"{type(error).__name__}: {error}"[:200]}
        return differences(self._here, there)

    def _watch(self) -> None:
        """Look after the cluster until the executor ends, or until patience does."""
        lost_since: float | None = None
        while not self._closing.wait(_LOOK_SECONDS):
            try:
                self._look()
                why = None if self._fit else "has no workers that can be used any more"
            except Exception:  # which it is says nothing: a client without scheduler raises many kinds
                why = "does not answer any more"
                self._reconnect()
            if why is None:
                lost_since = None
                continue
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > self._patience:
                self._give_up(f"--scheduler {self._where}: {why}; rerun to resume")
                return

    def _look(self) -> None:
        cores = self._cores()
        if cores.keys() != self._fit | self._unfit:
            self._meet(cores)
            self._unfit &= cores.keys()
        with self._lock:
            stranded = [future for future, (_, fit) in self._pending.items() if not fit & self._fit]
        for future in stranded:
            self._fail(future, MachineError("the workers that it was given to are gone"))

    def _reconnect(self) -> None:
        """Make a new client where the old one has given up: its futures have been cancelled."""
        if self._client.status in ("closed", "closing"):
            with suppress(Exception), self._lock:
                self._fit, self._sent = set(), {}
                self._client = _connect(_dask(), self._address, self._where)

    def _give_up(self, why: str) -> None:
        self._broken = MachineError(why)
        for future in list(self._pending):
            self._fail(future, self._broken)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Let the cluster go; stop what it does if an error, or Ctrl-C, brought us here."""
        self.shutdown(cancel_futures=error is not None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the cluster go, and end what was started on its workers; it goes on for others."""
        self._closing.set()
        for future in list(self._pending):
            future.cancel()
        with suppress(Exception):  # workers end it by themselves when they have been idle
            self._client.sync(
                self._client._run, close_guard, self._run, on_error="ignore", callback_timeout=_CALL_SECONDS
            )
        self._release()

    def _release(self) -> None:
        if client := getattr(self, "_client", None):
            with suppress(Exception):
                client.close(timeout=_CALL_SECONDS)
        self._resources.close()


def _dask() -> Any:  # noqa: ANN401 (a module without types)
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError("--scheduler needs Dask: pip install 'bench-codec[cluster]'") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we say in our words what went wrong
    return distributed


def _connect(distributed: Any, address: str, where: str) -> Any:  # noqa: ANN401 (a module without types)
    try:
        return distributed.Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {where}: no Dask scheduler answers there: {error}") from error


def check_address(address: str) -> None:
    """Raise UsageError for "local:N" without a number of workers."""
    number = address.removeprefix(LOCAL)
    if address.startswith(LOCAL) and not (number.isdecimal() and 1 <= int(number) <= 1024):
        raise UsageError(f"--scheduler {address}: give local:N, with a number of workers N")


@contextmanager
def _cluster(address: str) -> Iterator[str]:
    """Yield the address of a scheduler; "local:N" is one that is started here and ends with the block."""
    check_address(address)
    if not address.startswith(LOCAL):
        yield address
        return
    number = address.removeprefix(LOCAL)
    distributed = _dask()
    with (
        run_folder() as folder,
        importlib.import_module("dask").config.set({"temporary-directory": str(folder)}),
        distributed.LocalCluster(
            n_workers=int(number),
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address


def _in_words(error: BaseException) -> MachineError:
    """Say what Dask means by one of its errors."""
    kind = type(error).__name__
    if kind == "KilledWorker":
        return MachineError(
            "the Dask workers that had this evaluation died one after the other, and not the guarded process "
            "in which it ran: the workers' logs say why (often the memory of their job)"
        )
    if "Cancelled" in kind:
        return MachineError(
            "the cluster lost this evaluation: its scheduler, or the worker with the image, is gone"
        )
    return MachineError(f"the cluster failed this evaluation ({kind}: {error})")
