"""Live progress of a run: one bar over all, the codecs that are being measured, and the time left."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from benchmark.cli.display import LOG_EVERY_SECONDS, duration, err

if TYPE_CHECKING:
    from benchmark.results.store import Record
    from benchmark.runs.tasks import Task


class Pace:
    """How long the rest of a run will take, each codec at its own speed.

    An evaluation takes its coding time, which differs a thousandfold between codecs, and what all have in
    common (loading, metrics, storing): the rest of the time that went by. `known` are seconds of coding of an
    evaluation by codec, from earlier rows; what this run measures replaces them.
    """

    def __init__(self, totals: Mapping[str, int], known: Mapping[str, float], jobs: int = 1) -> None:
        self._left = Counter(totals)
        self._known, self._jobs = known, jobs
        self._coded: defaultdict[str, float] = defaultdict(float)
        self._done: Counter[str] = Counter()

    def hear(self, label: str, coded_seconds: float) -> None:
        """Hear of an evaluation that is done."""
        self._left[label] -= 1
        self._done[label] += 1
        self._coded[label] += coded_seconds

    def unknown(self) -> list[str]:
        """Return the codecs still to measure of whose speed nothing is known."""
        return [label for label, left in self._left.items() if left and self._seconds(label) is None]

    def seconds_left(self, elapsed: float) -> float:
        """Return the seconds left after `elapsed` ones, but for codecs of unknown speed."""
        done = self._done.total()
        common = max(0.0, elapsed * self._jobs - sum(self._coded.values())) / done if done else 0.0
        work = sum(left * ((self._seconds(label) or 0.0) + common) for label, left in self._left.items())
        return work / self._jobs

    def _seconds(self, label: str) -> float | None:
        if self._done[label]:
            return self._coded[label] / self._done[label]
        return self._known.get(label)


class RunProgress:
    """Progress of a run: on a terminal a bar over all and one for each codec in work, log lines elsewhere."""

    def __init__(self, jobs: int = 1) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
        )
        self._bars = Progress(*columns, console=err, disable=not err.is_terminal)
        self._jobs = jobs
        self._ids: dict[str, TaskID] = {}
        self._totals: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._pace = Pace({}, {})
        self._start = self._last_log = time.monotonic()

    def __enter__(self) -> RunProgress:
        """Begin to draw."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()

    def begin(self, tasks: Sequence[Task], seconds: Mapping[str, float]) -> None:
        """Hear what will be measured, and the coding time of an evaluation of each codec in earlier rows."""
        self._start = self._last_log = time.monotonic()
        self._totals = Counter(task.codec for task in tasks)
        self._pace = Pace(self._totals, seconds, self._jobs)
        self._all = self._bars.add_task("all", total=len(tasks), said="loading")
        for place, (label, total) in enumerate(self._totals.items()):
            said = "loading" if place == 0 else ""
            self._ids[label] = self._bars.add_task(escape(label), total=total, said=said, visible=place == 0)

    def advance(self, record: Record) -> None:
        """Hear of a result."""
        label = record.codec
        self._done[label] += 1
        self._failed[label] += record.status != "ok"
        self._pace.hear(label, (record.encode_seconds or 0.0) + (record.decode_seconds or 0.0))
        failed = f"[red]{self._failed[label]} failed" if self._failed[label] else "measuring"
        finished = self._done[label] == self._totals[label]
        self._bars.update(self._ids[label], advance=1, said=failed, visible=not finished)
        self._bars.update(self._all, advance=1, said=self._time_left())
        if not err.is_terminal:
            self._log(label)
        elif finished:
            self._bars.print(f"{escape(label)}: {self._counted(label)}")
            self._show_next()

    def _show_next(self) -> None:
        """Show the codec whose turn it is, of which there is no result yet."""
        waiting = [label for label, total in self._totals.items() if not self._done[label] and total]
        if waiting:
            self._bars.update(self._ids[waiting[0]], said="loading", visible=True)

    def _time_left(self) -> str:
        """Return the time left in all; where a codec's speed is unknown yet it says that it is more."""
        if self._done.total() == self._totals.total():
            return ""
        left = duration(self._pace.seconds_left(time.monotonic() - self._start))
        unknown = self._pace.unknown()
        more = f" and {', '.join(unknown[:3])}{' and others' if len(unknown) > 3 else ''}" if unknown else ""
        return f"about {left} left{escape(more)}"

    def _counted(self, label: str) -> str:
        failed = f", {self._failed[label]} failed" if self._failed[label] else ""
        return f"{self._done[label]} of {self._totals[label]}{failed}"

    def _log(self, label: str) -> None:
        """Write a line when a codec is done, and now and then in between."""
        now = time.monotonic()
        if self._done[label] < self._totals[label] and now - self._last_log < LOG_EVERY_SECONDS:
            return
        self._last_log = now
        left = self._time_left()
        err.print(f"{escape(label)}: {self._counted(label)}" + (f"; {left} in all" if left else ""))
