"""Writes a report: everything that was asked for, into one folder, equal for equal results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import StoreError, UsageError, did_you_mean
from benchmark.report.summary import Summary
from benchmark.report.tables import write as tables

if TYPE_CHECKING:
    from benchmark.report.figures.draw import Plot

DRAWING_PROCESSES = 2
PLOT_FORMATS = ("pdf", "svg", "png")
FORMATS = (*PLOT_FORMATS, "markdown", "latex", "csv", "parquet", "html")


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
    if not set(PLOT_FORMATS) & set(check_formats(formats)) or _cores() < 2:
        yield None
        return
    with ProcessPoolExecutor(DRAWING_PROCESSES, multiprocessing.get_context("spawn")) as executor:
        for _ in range(DRAWING_PROCESSES):
            executor.submit(_load_drawing)
        yield executor


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_drawing() -> None:

    import benchmark.report.figures.draw  # noqa: F401 (loaded for the figures to come)


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
    max_bpp: float | None = None,
    executor: Executor | None = None,
) -> Written:
    """Write plots/, tables/ and index.html of a summary into `folder`.

    `results` is the folder of the results, whose kept images the page shows. An `executor` (see
    `drawing_processes`) draws the figures while tables and page are written.
    Raises UsageError for an unknown format, StoreError if the folder cannot be written.
    """
    wanted = check_formats(formats)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plot_formats = [name for name in PLOT_FORMATS if name in wanted]
        if not plot_formats:
            return _write(
                summary, folder, results, wanted, [], data_dir=data_dir, inline_images=inline_images
            )
        from benchmark.report.figures.draw import Drawing

        with Drawing(summary, folder / "plots", plot_formats, max_bpp, executor) as drawing:
            return _write(
                summary,
                folder,
                results,
                wanted,
                drawing.plots,
                data_dir=data_dir,
                inline_images=inline_images,
            )
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"{where}: the report cannot be written: {error.strerror}") from error


def _write(
    summary: Summary,
    folder: Path,
    results: Path,
    wanted: Sequence[str],
    drawn: Sequence[Plot],
    *,
    data_dir: Path | None,
    inline_images: bool,
) -> Written:
    plot_formats = [name for name in PLOT_FORMATS if name in wanted]
    files, remarks = list[Path](), list[str]()
    if drawn:
        files += [folder / "plots" / f"{plot.stem}.{suffix}" for plot in drawn for suffix in plot_formats]
        captions = "\n\n".join(f"{plot.stem}\n{plot.caption}" for plot in drawn)
        files.append(_text(folder / "plots" / "captions.txt", captions + "\n"))
    files += _tables(summary, folder / "tables", wanted)
    if "html" in wanted:
        from benchmark.report.page.html import MAX_PAGE_BYTES, render_page
        from benchmark.report.page.kept import viewer_data
        from benchmark.report.published import library

        kept, remarks = viewer_data(summary.rows, results, folder, data_dir, inline=inline_images)
        curves = library(summary.dataset)
        page = render_page(
            summary,
            library=curves,
            kept=kept,
            inlined=inline_images,
            plots=drawn,
            plot_formats=plot_formats,
        )
        files.append(_text(folder / "index.html", page))
        size = len(page.encode())
        if size > MAX_PAGE_BYTES and not inline_images:
            remarks.append(f"the page has {size / 1e6:.1f} MB, over {MAX_PAGE_BYTES / 1e6:.0f} MB")
    return Written(folder, tuple(files), tuple(remarks))


def _tables(summary: Summary, folder: Path, wanted: Sequence[str]) -> list[Path]:
    if not {"markdown", "latex", "csv", "parquet"} & set(wanted):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    if "markdown" in wanted:
        files.append(_text(folder / "bd-rate.md", tables.markdown(summary)))
    if "latex" in wanted:
        from benchmark.report.figures.draw import short_name

        files += [
            _text(folder / f"bd-rate-{short_name(m)}.tex", tables.latex(summary, m)) for m in summary.metrics
        ]
    if "csv" in wanted:
        for name, frame in (
            ("bd-rate", tables.bd_frame(summary)),
            ("curves", tables.curve_frame(summary, summary.metrics)),
            ("per-image", tables.image_frame(summary)),
        ):
            files.append(_text(folder / f"{name}.csv", frame.to_csv(index=False)))
    if "parquet" in wanted:
        path = folder / "report.parquet"
        tables.tidy(summary).to_parquet(path, index=False)
        files.append(path)
    return files


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
