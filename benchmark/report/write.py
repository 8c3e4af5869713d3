"""Writes a report: everything that was asked for, into one folder, equal for equal results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import StoreError, UsageError, did_you_mean
from benchmark.report import tables
from benchmark.report.summary import Summary

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
) -> Written:
    """Write plots/, tables/ and index.html of a summary into `folder`.

    `results` is the folder of the results, whose kept images the page shows.
    Raises UsageError for an unknown format, StoreError if the folder cannot be written.
    """
    wanted = check_formats(formats)
    try:
        return _write(
            summary, folder, results, wanted, data_dir=data_dir, inline_images=inline_images, max_bpp=max_bpp
        )
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"{where}: the report cannot be written: {error.strerror}") from error


def _write(
    summary: Summary,
    folder: Path,
    results: Path,
    wanted: Sequence[str],
    *,
    data_dir: Path | None,
    inline_images: bool,
    max_bpp: float | None,
) -> Written:
    folder.mkdir(parents=True, exist_ok=True)
    plot_formats = [name for name in PLOT_FORMATS if name in wanted]
    drawn, files, remarks = [], list[Path](), list[str]()
    if plot_formats:
        from benchmark.report.plots import draw_all

        drawn = draw_all(summary, folder / "plots", plot_formats, max_bpp)
        files += [folder / "plots" / f"{plot.stem}.{suffix}" for plot in drawn for suffix in plot_formats]
        captions = "\n\n".join(f"{plot.stem}\n{plot.caption}" for plot in drawn)
        files.append(_text(folder / "plots" / "captions.txt", captions + "\n"))
    files += _tables(summary, folder / "tables", wanted)
    if "html" in wanted:
        from benchmark.report.html import MAX_PAGE_BYTES, render_page
        from benchmark.report.kept import viewer_data
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
        from benchmark.report.plots import short_name

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
