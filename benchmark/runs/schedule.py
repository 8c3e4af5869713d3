"""The order of evaluations, and what a run took against what it could have taken at best."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from benchmark.results.records import SLOT, Record, Slot, slot
from benchmark.results.store import Store
from benchmark.runs.tasks import Task

SHORT_SECONDS = 1.0
"""Evaluations that take less stay in the order of the plan, which loads codecs and images least often."""

Seconds = Mapping[tuple[str, float], float]
"""Codec and point -> the mean seconds of coding an image."""


def past_seconds(store: Store) -> Seconds:
    """Return what encoding and decoding took in the store's rows."""
    found: defaultdict[tuple[str, float], list[float]] = defaultdict(list)
    for codec, point, encode, decode in store.rows(("codec", "point", "encode_seconds", "decode_seconds")):
        if encode is not None and decode is not None:
            found[codec, point].append(encode + decode)
    return {key: sum(seconds) / len(seconds) for key, seconds in found.items()}


def by_codec(seconds: Seconds) -> dict[str, float]:
    """Return the mean over each codec's points."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for (codec, _), value in seconds.items():
        found[codec].append(value)
    return {codec: sum(values) / len(values) for codec, values in found.items()}


def failed_slots(store: Store) -> Container[Slot]:
    """Return the places of the rows in the store that are no good ones."""
    return {row[:-1] for row in store.rows((*SLOT, "status")) if row[-1] != "ok"}


def longest_first(tasks: Iterable[Task], seconds: Seconds, failed: Container[Slot] = ()) -> list[Task]:
    """Return the tasks with those that take longest at the front, so that none of them is alone at the end.

    Those that `failed` before come last: a run that drops their codec has then tried what is new.

    Such an order ends at most a third later than the best one (Graham, Bounds on multiprocessing timing
    anomalies, 1969). A point without rows counts as the codec's slowest one, a codec without any as slower
    than all: what nobody knows is found out first.
    """
    slowest: defaultdict[str, float] = defaultdict(float)
    for (codec, _), value in seconds.items():
        slowest[codec] = max(slowest[codec], value)

    def place(task: Task) -> tuple[bool, float]:
        value = seconds.get((task.codec, task.point), slowest.get(task.codec, math.inf))
        return slot(task) in failed, -value if value >= SHORT_SECONDS else 0.0

    return sorted(tasks, key=place)


class Makespan:
    """What a run takes from its first evaluation to its last, and the least that any order could take."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.longest_seconds = self.total_seconds = 0.0
        self._begin = self._end = time.monotonic()

    def hear(self, records: Sequence[Record]) -> None:
        """Hear of evaluations that have just ended."""
        self._end, now = time.monotonic(), datetime.now(UTC)
        for record in records:
            took = max(0.0, (now - datetime.fromisoformat(record.started_at)).total_seconds())
            self.longest_seconds = max(self.longest_seconds, took)
            self.total_seconds += took

    @property
    def seconds(self) -> float:
        """From the beginning to the last evaluation's end."""
        return self._end - self._begin

    @property
    def bound_seconds(self) -> float:
        """The longest evaluation, or an equal share of all for each job, whichever is more."""
        return max(self.longest_seconds, self.total_seconds / self.jobs)
