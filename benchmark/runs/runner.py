"""The course of a run: the plan, less what is done, goes to an executor, and each result to the store."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from benchmark.codecs import make_codec
from benchmark.errors import (
    BenchError,
    CodecUnavailableError,
    MachineError,
    NeedsOptionsError,
    PointError,
    SuiteError,
    UsageError,
    WeightsError,
)
from benchmark.metrics import METRICS
from benchmark.results.records import READABLE, SLOT, Record, Slot, recorded_crop, recorded_search, slot
from benchmark.results.store import Store
from benchmark.runs.evaluate import (
    RunContext,
    evaluate,
    failed_row,
    is_kept,
    metric_versions,
)
from benchmark.runs.schedule import Makespan, by_codec, failed_slots, longest_first, past_seconds
from benchmark.runs.suite import Suite
from benchmark.runs.tasks import Task
from benchmark.versions import covers

MAX_FAILED_SHARE = 0.2
MIN_FAILED = 10
"""A run drops a codec once more than this many and more than that share of its evaluations failed.

Images that cannot be loaded do not count."""

QUEUED_PER_JOB = 2
"""How many evaluations are given out for each worker: one that it works on, and one that waits so that it
does not idle. So many results at most, for each worker, are lost with a run that stalls and is killed."""


MOST_TRIES = 3
"""How often an evaluation is tried that a fault of the machines ended (see MachineError)."""

RETRY_SECONDS = 0.5
"""The pause before it is tried again."""


Versions = Mapping[float, str]
"""A codec's version at each point (see `Codec.version_at`)."""


@dataclass(frozen=True)
class Codecs:
    """The codecs of a suite as found on this machine."""

    versions: Mapping[str, Versions]
    """Of each label that can be used."""
    unavailable: Mapping[str, str]
    """Why the others cannot, by label."""


@dataclass
class Outcome:
    """What a run did, counted in evaluations."""

    planned: int
    reused: int
    makespan: Makespan
    done: int = 0
    failed: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    """The codecs that kept failing, by label, each with how often."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of the failures: "codec: reason", or the reason alone where it is the image, to how often."""
    tracebacks: dict[str, str] = field(default_factory=dict)
    """Of the first failure of each reason, where there is one."""
    not_kept: Counter[str] = field(default_factory=Counter)
    """Why bitstreams and decoded images could not be kept, to how often; the rows are good all the same."""

    @property
    def left(self) -> int:
        """How many planned evaluations have no good result yet."""
        return self.planned - self.reused - self.done


class RunObserver(Protocol):
    """Who wants to hear of a run while it goes on."""

    def begin(self, tasks: Sequence[Task], seconds: Mapping[str, float]) -> None:
        """Hear what will be measured, and the coding time of an evaluation of each codec in earlier rows."""

    def advance(self, record: Record) -> None:
        """Hear of a result that is in the store."""


def run(
    tasks: Sequence[Task],
    versions: Mapping[str, Versions],
    store: Store,
    *,
    executor: Executor,
    context: RunContext,
    fresh: bool = False,
    progress: RunObserver | None = None,
) -> Outcome:
    """Measure what of `tasks` the store does not hold yet; each result is in the store when it is announced.

    With `fresh`, all of `tasks` are measured, and their rows replaced one by one.

    `versions` are the codecs' by label (see `find_codecs`). Any executor fits whose workers can import this
    package and read the images. The longest evaluations come first, those that failed before last: a run that
    drops their codec has then tried what is new. Order does not matter: the rows are the same. A codec that
    keeps failing is dropped: the others go on, and the next run tries it again.
    """
    todo = tasks if fresh else missing_tasks(tasks, versions, store, context.keep_dir)
    seconds = past_seconds(store) if todo else {}
    todo = longest_first(todo, seconds, failed_slots(store)) if todo else []
    makespan = Makespan(context.jobs)
    outcome = Outcome(planned=len(tasks), reused=len(tasks) - len(todo), makespan=makespan)
    if progress:
        progress.begin(todo, by_codec(seconds))
    planned = Counter(task.codec for task in tasks)
    failed: Counter[str] = Counter()
    wanted = (task for task in todo if task.codec not in outcome.dropped)
    for found in _results(wanted, executor, context):
        records = [_of_version(record, versions[record.codec]) for record in found]
        makespan.hear(found)
        store.append(records)
        for record in records:
            _count(outcome, record)
            label = record.codec
            failed[label] += record.against_codec
            if failed[label] > max(MIN_FAILED, MAX_FAILED_SHARE * planned[label]):
                outcome.dropped[label] = f"{failed[label]} of {planned[label]} evaluations failed"
            if progress:
                progress.advance(record)
    if tasks:
        store.update_images_at_hand(tasks[0].dataset, tasks[0].dataset_images, tasks[0].dataset_size)
    return outcome


def _of_version(record: Record, versions: Versions) -> Record:
    """Let a failure, too, say which version of the codec failed."""
    return record if record.codec_version else replace(record, codec_version=versions[record.point])


def check_metrics(suite: Suite) -> None:
    """Raise SuiteError, with the remedy, for a metric that cannot be computed here, before any work."""
    for name in suite.metrics:
        try:
            METRICS.find(name).check()
        except UsageError as error:
            raise SuiteError(f"suite {suite.name}, metrics: {name!r} {error}") from error


def find_codecs(suite: Suite, folder: Path = Path()) -> Codecs:
    """Look for each codec of the suite and check its options and points, before any work.

    Relative paths in options are seen from `folder`, where the suite's file is. Raises SuiteError, naming the
    codec, for options or points that it does not have.
    """
    versions: dict[str, Versions] = {}
    unavailable: dict[str, str] = {}
    for spec in suite.codec:
        try:
            codec = make_codec(spec.codec_id, spec.all_options, folder)
            codec.version()
            for point in spec.points or ():
                codec.check_point(point)
            versions[spec.name] = (
                {rate: codec.version() for rate in suite.bpp}
                if suite.bpp
                else {point: codec.version_at(point) for point in spec.points or ()}
            )
        except PointError as error:
            raise SuiteError(f"suite {suite.name}, codec {spec.name!r}, points: {error}") from error
        except NeedsOptionsError as error:
            raise SuiteError(f"suite {suite.name}, codec {spec.name!r}, options: {error}") from error
        except (CodecUnavailableError, WeightsError) as error:
            unavailable[spec.name] = str(error)
        except BenchError as error:
            raise SuiteError(f"suite {suite.name}, codec {spec.name!r}: {error}") from error
        except (Exception, SystemExit, GeneratorExit) as error:  # a fault of a stranger's code
            versions.pop(spec.name, None)
            unavailable[spec.name] = f"it cannot be asked for its version and points: {error!r}"
    return Codecs(versions, unavailable)


def missing_tasks(
    tasks: Sequence[Task], versions: Mapping[str, Versions], store: Store, keep_dir: Path | None = None
) -> list[Task]:
    """Return the tasks for which the store has no row that is good, and made in the same way.

    With `keep_dir`, those too whose row has no bitstream and decoded image kept under that folder.
    """
    done = _done(store)
    return [
        task
        for task in tasks
        if not _is_done(task, versions[task.codec][task.point], done.get(slot(task)), keep_dir)
    ]


_IDENTITY = ("status", "codec_id", "codec_options", "image_sha256", "codec_version")


def _done(store: Store) -> dict[Slot, tuple[Any, ...]]:
    columns = (*SLOT, *_IDENTITY, "schema_version", "metric_versions", "protocol", "bitstream_sha256")
    size = len(SLOT)
    return {row[:size]: row[size:] for row in store.rows(columns)}


def _is_done(task: Task, codec_version: str, row: tuple[Any, ...] | None, keep_dir: Path | None) -> bool:
    if row is None:
        return False
    *identity, recorded_version, schema_version, versions, protocol, bitstream_sha256 = row
    if schema_version not in READABLE or recorded_crop(protocol) != task.crop:
        return False
    if recorded_search(protocol) != task.searched:
        return False
    wanted = ["ok", task.codec_id, task.codec_options, task.image_sha256]
    if identity != wanted or not covers(recorded_version, codec_version):
        return False
    if not metric_versions(task.metrics).items() <= json.loads(versions).items():
        return False
    return keep_dir is None or is_kept(keep_dir, task.codec, task.point, task.image, bitstream_sha256)


def _results(tasks: Iterable[Task], executor: Executor, context: RunContext) -> Iterator[list[Record]]:
    """Yield records as they come, those that came together in one list.

    What a fault of the machines ended is given out again. Raises MachineError after MOST_TRIES times.
    """
    waiting = iter(tasks)
    running: dict[Future[Record], Task] = {}
    again = _Again()
    try:
        while True:
            jobs = getattr(executor, "jobs", context.jobs)  # those of a cluster come and go
            while len(running) < QUEUED_PER_JOB * jobs and (task := again.next() or next(waiting, None)):
                running[executor.submit(evaluate, task, context)] = task
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            ended = {running.pop(future): future for future in done}
            found = {task: _record(future, task, context) for task, future in ended.items()}
            yield [record for record in found.values() if isinstance(record, Record)]
            for task, fault in found.items():
                if isinstance(fault, MachineError):
                    again.put(task, fault)
    finally:
        for future in running:
            future.cancel()


class _Again:
    """The evaluations that a fault of the machines ended, to be given out again."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._tries: Counter[Slot] = Counter()

    def put(self, task: Task, fault: MachineError) -> None:
        """Take a task; raise the fault if it has been tried often enough."""
        self._tries[slot(task)] += 1
        if self._tries[slot(task)] >= MOST_TRIES:
            raise fault
        self._tasks.append(task)

    def next(self) -> Task | None:
        """Return a task, after a pause in which a disk may be freed; None where there is none."""
        if not self._tasks:
            return None
        time.sleep(RETRY_SECONDS)
        return self._tasks.pop()


def _record(future: Future[Record], task: Task, context: RunContext) -> Record | MachineError:
    """Return the result, a failed row where time ran out or the worker died, or what the machines did."""
    error = CancelledError() if future.cancelled() else future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool):
        raise MachineError(f"the worker processes cannot be started: {error}") from error
    return error if isinstance(error, MachineError) else failed_row(task, context, error)


def _count(outcome: Outcome, record: Record) -> None:
    if record.status == "ok":
        outcome.done += 1
    else:
        outcome.failed += 1
        whose = f"{record.codec}: " if record.against_codec else ""
        reason = f"{whose}{(record.error or record.status).splitlines()[0]}"
        outcome.reasons[reason] += 1
        if told := json.loads(record.extra or "{}").get("traceback"):
            outcome.tracebacks.setdefault(reason, told)
    if record.not_kept:
        outcome.not_kept[record.not_kept] += 1
