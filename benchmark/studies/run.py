"""A study is run: what is missing is measured, job by job, then the figure and its caption are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import BenchError, StoreError, UsageError
from benchmark.files import write_atomically
from benchmark.studies.base import Study, Subject
from benchmark.studies.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("png", "pdf")


@dataclass
class Outcome:
    """What became of a study's jobs."""

    rows: pd.DataFrame
    done: int = 0
    reused: int = 0
    failed: list[str] = field(default_factory=list)
    """Why jobs failed, with what they were about; the next run tries them again."""


def measure(
    study: Study, subject: Subject, kept: Rows, observe: Callable[[int, int], None] = lambda done, all_: None
) -> Outcome:
    """Do the jobs whose rows are not kept, one after another; return the rows of all.

    `observe` is told the steps that are done and all there are to do. A job that fails costs its own rows.
    Raises BenchError as `Study.jobs` does.
    """
    jobs = {study.key(job): job for job in study.jobs(subject)}
    missing = {key: job for key, job in jobs.items() if not kept.has(key)}
    steps, total = 0, sum(job.steps for job in missing.values())
    observe(0, total)
    failed = []

    def step() -> None:
        nonlocal steps
        steps += 1
        observe(min(steps, total), total)

    for key, job in missing.items():
        try:
            kept.add(key, ({**job.what, **row} for row in job.work(step)))
        except StoreError:
            raise
        except Exception as error:  # a codec may be a stranger's
            failed.append(f"{job.said}: {_reason(error)}")
    done = len(missing) - len(failed)
    return Outcome(kept.of(jobs), done, len(jobs) - len(missing), failed)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"


def write(study: Study, rows: pd.DataFrame, stem: Path, formats: Sequence[str] = FORMATS) -> str:
    """Draw the rows into STEM.png and STEM.pdf, write the caption to STEM.txt, and return it.

    Raises UsageError without rows, AnalysisError where they give no figure, StoreError if a file cannot be
    written.
    """
    from benchmark.studies.picture import save

    if rows.empty:
        raise UsageError(f"study {study.name!r}: nothing was measured, so there is nothing to draw")
    caption = " ".join(study.said(rows))
    try:
        save(study, rows, stem, formats)
        write_atomically(stem.with_name(f"{stem.name}.txt"), f"{caption}\n".encode())
    except OSError as error:
        raise StoreError(f"{error.filename or stem.parent}: cannot be written: {error.strerror}") from error
    return caption
