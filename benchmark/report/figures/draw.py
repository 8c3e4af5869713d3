"""Draws the pictures of a report, by other processes where there are any, while the caller goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report.figures.plan import FORMATS, Plot, plan_plots
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from concurrent.futures import Future


def draw_all(summary: Summary, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Plot]:
    """Draw every figure of a report into `folder`, in these formats, and return what was drawn.

    Single-column pictures are 3.5 inches wide, double-column ones (`-wide`) 7.16 inches. Raises OSError.
    """
    with Drawing(summary, folder, formats) as drawing:
        return drawing.plots


class Drawing:
    """The pictures of a report while they are drawn: by an executor if there is one, else on leaving.

        with Drawing(summary, folder, executor=executor) as drawing:
            ...  # other work; drawing.plots are known already

    Leaving raises OSError if a file could not be written.
    """

    def __init__(
        self,
        summary: Summary,
        folder: Path,
        formats: Sequence[str] = tuple(FORMATS),
        executor: Executor | None = None,
    ) -> None:
        self.plots = plan_plots(summary)
        self._lean = _lean(summary)
        self._folder, self._formats, self._executor = folder, tuple(formats), executor
        self._jobs: list[Future[None]] = []

    def __enter__(self) -> Drawing:
        """Make the folder and hand the pictures out. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._executor is not None:
            self._jobs = [self._executor.submit(draw, *job) for job in self._work()]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the pictures; draw here what no executor drew."""
        if kind is not None:
            return
        try:
            for job in self._jobs:
                job.result()
        except BrokenExecutor:  # a process was killed, for memory perhaps: here it may still do
            self._jobs = []
        if not self._jobs:
            for work in self._work():
                draw(*work)

    def _work(self) -> Iterator[tuple[Summary, Plot, Path, tuple[str, ...]]]:
        return ((self._lean, plot, self._folder, self._formats) for plot in self.plots)


def draw(summary: Summary, plot: Plot, folder: Path, formats: Sequence[str]) -> None:
    """Draw one picture and save it in each format. Raises OSError."""
    from benchmark.report.figures.picture import save  # only the processes that draw load the library

    save(summary, plot, folder, formats)


def load() -> None:
    """Load all that drawing needs, ahead of time."""
    import benchmark.report.figures.picture  # noqa: F401 (loaded for the pictures to come)


def _lean(summary: Summary) -> Summary:
    """Return the summary without what no figure shows, small enough to be sent to another process."""
    kept = {
        metric: {
            summary.anchor: {
                name: replace(
                    c,
                    images=(),
                    per_image=c.per_image
                    and replace(c.per_image, table=c.per_image.table[["bd_rate_percent"]]),
                )
                for name, c in by_anchor.get(summary.anchor, {}).items()
            }
        }
        for metric, by_anchor in summary.comparisons.items()
    }
    savings = {
        m: {a: s for a, s in found.items() if a == summary.anchor} for m, found in summary.savings.items()
    }
    return replace(summary, comparisons=kept, savings=savings, grids={}, rows=summary.rows.iloc[:0, :0])
