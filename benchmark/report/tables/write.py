"""Writes the tables of a report, a function for each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report.figures.base import short_name
from benchmark.report.summary import Summary
from benchmark.report.tables.frames import bd_frame, curve_frame, image_frame
from benchmark.report.tables.markdown import markdown
from benchmark.report.tables.tidy import tidy

if TYPE_CHECKING:
    import pandas as pd


def write_tables(summary: Summary, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the tables in those of WRITERS that `formats` names; return the files. Raises OSError."""
    wanted = [write for name, write in WRITERS.items() if name in formats]
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
    return [path for write in wanted for path in write(summary, folder)]


def _markdown(summary: Summary, folder: Path) -> list[Path]:
    return _texts(folder, {"bd-rate.md": markdown(summary)})


def _latex(summary: Summary, folder: Path) -> list[Path]:
    from benchmark.report.tables.latex import latex

    return _texts(folder, {f"bd-rate-{short_name(m)}.tex": latex(summary, m) for m in summary.metrics})


def _csv(summary: Summary, folder: Path) -> list[Path]:
    frames = {
        "bd-rate": bd_frame(summary),
        "curves": curve_frame(summary),
        "per-image": image_frame(summary),
    }
    return _texts(
        folder, {f"{name}.csv": guarded(frame).to_csv(index=False) for name, frame in frames.items()}
    )


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets take for a formula, which may fetch and send
(OWASP, CSV Injection: https://owasp.org/www-community/attacks/CSV_Injection)."""


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with an apostrophe before texts, headings too, that a spreadsheet would compute."""
    texts = frame.select_dtypes(exclude=["number", "bool"])
    return frame.assign(**{str(name): texts[name].map(_guarded) for name in texts}).rename(columns=_guarded)


def _guarded(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _parquet(summary: Summary, folder: Path) -> list[Path]:
    path = folder / "report.parquet"
    tidy(summary).to_parquet(path, index=False)
    return [path]


def _texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


WRITERS: Mapping[str, Callable[[Summary, Path], list[Path]]] = {
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "parquet": _parquet,
}
"""Each format of the tables: what writes it, and returns its files."""
