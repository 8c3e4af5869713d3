"""What commands show: warnings, live progress, and the tables at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from benchmark.cli.options import tracebacks_wanted
from benchmark.errors import AnalysisError, CodecUnavailableError
from benchmark.files import printable
from benchmark.metrics import METRICS, shown
from benchmark.terminal import console, fitting

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.data.dataset import Dataset
    from benchmark.data.download import DownloadProgress
    from benchmark.runs.runner import Codecs, Outcome
    from benchmark.runs.schedule import Makespan
    from benchmark.runs.suite import Suite
    from benchmark.training.checkpoint import Course

LOG_EVERY_SECONDS = 10.0
LOG_TRAINING_EVERY_SECONDS = 60.0

out = console()
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line of text, whatever characters are in it."""
    out.print(escape(printable(text)))


def warn(text: str) -> None:
    """Print a warning to the standard error stream."""
    err.print(f"[yellow]warning:[/] {escape(printable(text))}")


def unavailable(codecs: Mapping[str, str], fatal: bool) -> None:
    """Warn of codecs that cannot be used. Raises CodecUnavailableError instead if that is `fatal`."""
    for label, reason in codecs.items():
        if fatal:
            raise CodecUnavailableError(f"codec {label!r} is not available: {reason}")
        warn(f"codec {label!r} is skipped: {reason}")


def left_out(workers: Mapping[str, Mapping[str, tuple[str, str]]]) -> None:
    """Show which workers of a cluster are left out, and in what they differ from this machine."""
    table = Table("worker", "what", "here", "there", title="workers left out", box=SIMPLE_HEAD)
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for worker, differences in workers.items():
        for what, words in differences.items():
            table.add_row(*(escape(printable(text)) for text in (worker, what, *words)))
        table.add_section()
    err.print(fitting([table], err.width))
    warn(f"{len(workers)} workers differ from this machine and are left out")


def dataset(found: Dataset) -> None:
    """Say what of the dataset is at hand."""
    for note in found.notes:
        warn(note)
    if found.partial:
        warn(f"dataset {found.name} is partial, {len(found.images)} of {found.size} images")


def download() -> DownloadProgress:
    """Return a callback that says, every now and then, how far a download has come."""
    last = 0.0

    def report(name: str, bytes_done: int, bytes_all: int | None) -> None:
        nonlocal last
        if time.monotonic() - last > 2:
            last = time.monotonic()
            share = f" of {bytes_all / 1e6:.1f}" if bytes_all else ""
            err.print(f"fetching {escape(name)}: {bytes_done / 1e6:.1f}{share} MB")

    return report


def bars(*more: ProgressColumn) -> Progress:
    """Return bars with counts and the time left, and the columns `more`; nothing is drawn off a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    return Progress(*columns, *more, console=err, disable=not err.is_terminal)


@contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Yield what is told of each phase of a long command: one line on a terminal, a log elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(escape(text))
        return
    with err.status("") as status:
        yield lambda text: status.update(escape(text))


class TrainingProgress:
    """Progress of a training: a bar with the time left and the last validation under it on a terminal, a
    line a minute and at every validation elsewhere, so that the log of a night tells how it went.
    """

    def __init__(self) -> None:
        self._bar = _BarWithCaption(
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._start = self._last_log = time.monotonic()
        self._first_step: int | None = None
        self._validations = 0

    def __enter__(self) -> TrainingProgress:
        """Begin to draw."""
        self._bar.start()
        self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def __call__(self, course: Course, steps: int) -> None:
        """Hear of the course so far, `steps` being all that there are to make."""
        caption = f"loss {course.losses[-1]['loss']:.4f}"
        if course.validations:
            last = course.validations[-1]
            caption += f"; hold-out cost {last['cost']:.4f}, {last['bpp']:.4f} bpp, {last['psnr']:.2f} dB"
        self._bar.caption = caption
        self._bar.update(self._task, completed=course.step, total=steps)
        if not err.is_terminal:
            self._log(course, steps, caption)

    def _log(self, course: Course, steps: int, caption: str) -> None:
        now = time.monotonic()
        if self._first_step is None:  # a resumed training: the time left is estimated from the steps seen now
            self._first_step, self._start, self._validations = course.step, now, len(course.validations)
            left = ""
        else:
            seconds = (now - self._start) / (course.step - self._first_step) * (steps - course.step)
            left = f"; about {duration(seconds)} left"
        validated, self._validations = len(course.validations) > self._validations, len(course.validations)
        if left and not validated and now - self._last_log < LOG_TRAINING_EVERY_SECONDS:
            return
        self._last_log = now
        err.print(f"step {course.step} of {steps}; {caption}{left if course.step < steps else ''}")


class _BarWithCaption(Progress):
    """A bar with a line of text below, which beside it would not fit in 80 columns."""

    caption = "loading photographs"

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the caption."""
        yield from super().get_renderables()
        yield Text(self.caption)


def duration(seconds: float) -> str:
    """Return seconds as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def summary(folder: Path, suite: Suite, outcome: Outcome, codecs: Codecs, *, asked: bool) -> None:
    """Print what became of the run; above it, where something is new or it is `asked` for, the results."""
    if asked or outcome.planned != outcome.reused:
        _print_results(folder, suite, codecs)
    if outcome.planned == outcome.reused:
        say(f"nothing to do: all {outcome.planned} evaluations are in {folder} already")
    else:
        say(f"{outcome.done} measured, {outcome.reused} reused, {outcome.failed} failed; results in {folder}")
        _say_makespan(outcome.makespan)
    for reason, count in outcome.reasons.most_common(10):
        warn(f"{count} x {reason}")
        if tracebacks_wanted() and reason in outcome.tracebacks:
            err.print(escape(outcome.tracebacks[reason]))
    for reason, count in outcome.not_kept.most_common(10):
        warn(f"{count} x measured but not kept: {reason}; rerun with --keep to try again")
    for label, reason in outcome.dropped.items():
        warn(f"codec {label!r} is dropped: {reason}; rerun to resume")
    if codecs.unavailable:
        warn(f"skipped, not available: {', '.join(codecs.unavailable)} (`bench doctor` says how to get them)")
    elsewhere = "" if folder.parent == Path("results") else f" --results {folder.parent}"
    say(f"`bench report {suite.name}{elsewhere}` draws the curves")


def _print_results(folder: Path, suite: Suite, codecs: Codecs) -> None:
    """Print the mean results of the suite's codecs, and how they compare."""
    from benchmark.results.plan import read_planned

    frame = read_planned(folder)
    frame = frame[frame["codec"].isin(list(codecs.versions))]
    measured = set(frame.loc[frame["status"] == "ok", "codec"])
    labels = [spec.name for spec in suite.codec if spec.name in measured]
    if labels:
        metrics = _shown_metrics(frame, suite)
        out.print(_means(frame, labels, metrics))
        _print_bd_rates(frame, labels, metrics)


def _say_makespan(span: Makespan) -> None:
    """Say how far from the best order of evaluations a run was, where there is an order to choose."""
    if span.jobs > 1:
        say(
            f"it took {duration(span.seconds)} for {span.jobs} at once; no order takes less than "
            f"{duration(span.bound_seconds)} (longest {duration(span.longest_seconds)}, "
            f"all {duration(span.total_seconds)} of work)"
        )


_DROPPED_OF_MEANS = ((), ("dec s",), ("enc s",), ("images",))
"""What is left out of the table of means, step by step, where a terminal is too narrow."""


def _means(frame: pd.DataFrame, labels: Sequence[str], names: Sequence[str]) -> Table:
    """Make the table of means, codecs in the suite's order and points by rising rate."""
    metrics = [METRICS.find(name) for name in names]
    headings = {metric.name: f"{metric.short} {metric.value_unit}".rstrip() for metric in metrics}
    digits = {"bpp": 4, **{m.name: m.digits for m in metrics}, "encode_seconds": 3, "decode_seconds": 3}
    headings |= {"encode_seconds": "enc s", "decode_seconds": "dec s"}
    good = frame[frame["status"] == "ok"]
    found: list[list[dict[str, str]]] = []
    for label in labels:
        points = good[good["codec"] == label].groupby("point")
        means = points[list(digits)].mean().sort_values("bpp")
        counts = {float(str(point)): count for point, count in points.size().items()}
        found.append(
            [
                {"codec": escape(label), "point": f"{point:g}", "images": str(counts[float(str(point))])}
                | {headings.get(n, n): _figure(row[n], places) for n, places in digits.items()}
                for point, row in means.iterrows()
            ]
        )
    return fitting(_tables_of_means(found), out.width)


def _tables_of_means(found: Sequence[Sequence[Mapping[str, str]]]) -> Iterator[Table]:
    """Yield the table with all columns, then with fewer and fewer; a section a codec."""
    headings = list(next(row for rows in found for row in rows))
    for dropped in _DROPPED_OF_MEANS:
        headings = [heading for heading in headings if heading not in dropped]
        table = Table(title="means over images", box=SIMPLE_HEAD, collapse_padding=True)
        for heading in headings:
            table.add_column(heading, justify="left" if heading == "codec" else "right", no_wrap=True)
        for rows in found:
            for row in rows:
                table.add_row(*(row[heading] for heading in headings))
            table.add_section()
        yield table


def _shown_metrics(frame: pd.DataFrame, suite: Suite) -> tuple[str, ...]:
    """Return what to show of the metrics that the suite asks for: rows may hold others, of earlier runs."""
    return shown([name for name in suite.metrics if name in frame and frame[name].notna().any()])


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"  # no image has this metric


def _print_bd_rates(frame: pd.DataFrame, labels: Sequence[str], metrics: Sequence[str]) -> None:
    """Print BD-rates against the first codec, and under the table what is to be said of each figure."""
    from benchmark.analysis.comparison import compare_all

    if len(labels) < 2:
        return
    anchor = labels[0]
    table = Table(
        "codec",
        title=f"BD-rate against {escape(anchor)} in %, of the mean curve, with 95 % interval",
        box=SIMPLE_HEAD,
        collapse_padding=True,
    )
    table.columns[0].no_wrap = True
    cells: dict[str, list[str]] = {label: [escape(label)] for label in labels[1:]}
    remarks = []
    for metric in metrics:
        heading = METRICS.find(metric).short
        try:
            comparisons = {found.codec: found for found in compare_all(frame, anchor, metric)}
        except AnalysisError as error:
            remarks.append(f"no BD-rate for {heading}: {error}")
            continue
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("interval", no_wrap=True)
        for label, row in cells.items():
            rate = comparisons[label].mean_curve.rate
            row += [rate.figure(), rate.interval()]
            if doubts := [s.replace("_", " ") for s in comparisons[label].statuses if s != "ok"]:
                remarks.append(f"{label}, {heading}: {', '.join(doubts)}")
    for row in cells.values():
        table.add_row(*row)
    out.print(fitting([table], out.width))
    for remark in remarks:
        say(remark)
