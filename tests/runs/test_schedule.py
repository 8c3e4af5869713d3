from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmark.results.records import Record, slot
from benchmark.results.store import Store
from benchmark.runs.schedule import Makespan, by_codec, failed_slots, longest_first, past_seconds
from benchmark.runs.tasks import Task

TASK = Task("s", "d", 2, 2, "vtm", "vtm", "{}", 22.0, "a.png", "0" * 64, Path("a.png"))
ROW = Record(
    "s",
    "d",
    2,
    2,
    "vtm",
    "vtm",
    "{}",
    22.0,
    "a.png",
    "0" * 64,
    "ok",
    encode_seconds=130.0,
    decode_seconds=2.0,
)


def test_the_longest_come_first_and_what_failed_last(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append(
            [
                ROW,
                replace(ROW, point=47.0, encode_seconds=10.0, decode_seconds=1.0),
                replace(ROW, point=47.0, image="b.png", encode_seconds=12.0, decode_seconds=1.0),
                replace(ROW, codec="jpeg", point=50.0, encode_seconds=0.1, decode_seconds=0.1),
                replace(ROW, codec="jpeg", point=60.0, encode_seconds=0.9, decode_seconds=0.0),
                replace(ROW, point=22.0, image="bad.png", status="failed", encode_seconds=None),
            ]
        )
        seconds, failed = past_seconds(store), failed_slots(store)
    assert seconds == {("vtm", 22.0): 132.0, ("vtm", 47.0): 12.0, ("jpeg", 50.0): 0.2, ("jpeg", 60.0): 0.9}
    assert by_codec(seconds) == {"vtm": 72.0, "jpeg": 0.55}
    plan = [
        ("jpeg", 50.0, "a.png"),
        ("jpeg", 60.0, "a.png"),  # as short as no order matters
        ("vtm", 47.0, "a.png"),
        ("vtm", 22.0, "bad.png"),
        ("vtm", 37.0, "a.png"),  # no row: as slow as the slowest of its codec
        ("vtm", 22.0, "b.png"),
        ("new", 1.0, "a.png"),
    ]
    tasks = [replace(TASK, codec=codec, point=point, image=image) for codec, point, image in plan]
    order = [tasks.index(task) for task in longest_first(tasks, seconds, failed)]
    assert order == [6, 4, 5, 2, 0, 1, 3]
    assert slot(tasks[3]) in failed


def test_longest_first_ends_earlier_than_the_order_of_the_plan() -> None:
    seconds = {("vtm", float(qp)): took for qp, took in {47: 10.0, 37: 20.0, 27: 60.0, 22: 130.0}.items()}
    tasks = [replace(TASK, point=point, image=image) for image in "ab" for point in (47.0, 37.0, 27.0, 22.0)]

    def ends(order: list[Task], jobs: int) -> float:
        free = [0.0] * jobs
        for task in order:
            free[free.index(min(free))] += seconds[task.codec, task.point]
        return max(free)

    assert ends(tasks, 3) == 190
    assert ends(longest_first(tasks, seconds), 3) == 150
    assert sum(2 * took for took in seconds.values()) / 3 == pytest.approx(146.67, abs=0.01)


def test_the_bound_is_the_longest_or_an_equal_share() -> None:
    def row(seconds: float) -> Record:
        began = datetime.now(UTC) - timedelta(seconds=seconds)
        return replace(ROW, started_at=began.isoformat(timespec="milliseconds"))

    span = Makespan(2)
    span.hear([row(5.0), row(1.0)])
    assert span.bound_seconds == pytest.approx(5.0, abs=0.2)
    span.hear([row(6.0), row(-3600.0)])  # a clock that was set back
    assert span.bound_seconds == pytest.approx(6.0, abs=0.2)
    span.hear([row(4.0)])
    assert span.total_seconds == pytest.approx(16.0, abs=0.5)
    assert span.bound_seconds == pytest.approx(8.0, abs=0.3)
    assert 0 <= span.seconds < 5
