"""Writes a report: everything that was asked for, into one folder, equal for equal results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import StoreError, UsageError, did_you_mean
from benchmark.metrics import METRICS
from benchmark.report import captions
from benchmark.report.figures import FIGURES, draw, plan
from benchmark.report.presentation import Presentation
from benchmark.report.summary import Summary
from benchmark.report.tables.write import WRITERS, write_tables

DRAWING_PROCESSES = 2
FORMATS = (*plan.FORMATS, *WRITERS, "html")
OF_ALL_ANCHORS = frozenset({"parquet", "html"})
"""The formats that hold comparisons with each codec as the anchor; the others have those of the report's."""
WITH_SAVINGS = frozenset({*plan.FORMATS, "html"})
"""The formats that show savings over quality."""


@dataclass(frozen=True)
class Written:
    """What was written where; `remarks` are what the user should know of it."""

    folder: Path
    files: tuple[Path, ...]
    remarks: tuple[str, ...]

    @property
    def page(self) -> Path | None:
        """The page, if it was asked for."""
        return next((path for path in self.files if path.name == "index.html"), None)


@contextmanager
def drawing_processes(formats: Sequence[str]) -> Iterator[Executor | None]:
    """Yield an executor whose processes load the drawing library while the caller still reads and averages.

    None where no format needs drawing or there is but one core. The processes are spawned: a script must
    have the usual guard, `if __name__ == "__main__":`.
    """
    if not set(plan.FORMATS) & set(check_formats(formats)) or _cores() < 2:
        yield None
        return
    with ProcessPoolExecutor(DRAWING_PROCESSES, multiprocessing.get_context("spawn")) as executor:
        for _ in range(DRAWING_PROCESSES):
            executor.submit(draw.load)
        yield executor


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats in their own order, all where none is named. Raises UsageError, with near names."""
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"unknown format {name!r}; {did_you_mean(name, FORMATS)}")
    return tuple(name for name in FORMATS if name in formats) if formats else FORMATS


def write_report(
    summary: Summary,
    folder: Path,
    *,
    results: Path,
    formats: Sequence[str] = (),
    data_dir: Path | None = None,
    inline_images: bool = False,
    presentation: Presentation | None = None,
    executor: Executor | None = None,
) -> Written:
    """Write plots/, tables/ and index.html of a summary into `folder`.

    `results` is the folder of the results, whose kept images the page shows. An `executor` (see
    `drawing_processes`) draws the figures while tables and page are written.
    Raises UsageError for an unknown format, StoreError if the folder cannot be written.
    """
    wanted = check_formats(formats)
    summary = replace(summary, presentation=presentation or Presentation())
    plot_formats = [name for name in plan.FORMATS if name in wanted]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            plots: Sequence[plan.Plot] = ()
            if plot_formats:
                drawing = draw.Drawing(summary, folder / "plots", plot_formats, executor)
                plots = stack.enter_context(drawing).plots
            files = [*_captions(folder / "plots", plots, plot_formats)]
            files += write_tables(summary, folder / "tables", wanted)
            remarks = [*FIGURES.faults.values(), *METRICS.faults.values()]
            if "html" in wanted:
                page, said = _page(
                    summary,
                    folder,
                    results,
                    plots=plots,
                    plot_formats=plot_formats,
                    data_dir=data_dir,
                    inline_images=inline_images,
                )
                files.append(page)
                remarks += said
            return Written(folder, tuple(files), tuple(remarks))
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"{where}: the report cannot be written: {error.strerror}") from error


def _captions(folder: Path, plots: Sequence[plan.Plot], formats: Sequence[str]) -> list[Path]:
    """Write the captions beside the pictures, and all that could be said of these; return all files."""
    if not plots:
        return []
    texts = "\n\n".join(f"{plot.stem}\n{plot.caption}" for plot in plots)
    notes = "\n\n".join("\n".join([plot.stem, *(f"- {said}" for said in plot.notes)]) for plot in plots)
    pictures = [folder / f"{plot.stem}.{suffix}" for plot in plots for suffix in formats]
    return [
        *pictures,
        _text(folder / "captions.txt", texts + "\n"),
        _text(folder / captions.NOTES, notes + "\n"),
    ]


def _page(
    summary: Summary,
    folder: Path,
    results: Path,
    *,
    plots: Sequence[plan.Plot],
    plot_formats: Sequence[str],
    data_dir: Path | None,
    inline_images: bool,
) -> tuple[Path, list[str]]:
    from benchmark.report.page.html import MAX_PAGE_BYTES, render_page
    from benchmark.report.page.kept import viewer_data
    from benchmark.report.published import library

    kept, remarks = viewer_data(summary.rows, results, folder, data_dir, inline=inline_images)
    page = render_page(
        summary,
        library=library(summary.dataset, partial=summary.partial),
        kept=kept,
        inlined=inline_images,
        plots=plots,
        plot_formats=plot_formats,
    )
    size = len(page.encode())
    if size > MAX_PAGE_BYTES and not inline_images:
        remarks.append(f"the page has {size / 1e6:.1f} MB, over {MAX_PAGE_BYTES / 1e6:.0f} MB")
    return _text(folder / "index.html", page), remarks


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
