"""The command that studies codecs beyond rate and quality: study."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import FAILED
from benchmark.cli.options import DataDir, codec_options
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmark.runs.suite import Suite
    from benchmark.studies.base import Subject

_SHOWN_FAILURES = 10


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(study)


def study(
    name: Annotated[str, typer.Argument(help="A study (`bench list studies`).")],
    suite: Annotated[
        str, typer.Argument(help="The suite whose images and codecs are studied, or a TOML file.")
    ],
    *,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Study only this codec, of the suite or of `bench list codecs`; repeatable."),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="Include only this image: name, stem or glob; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the study; repeatable (docs/neighbours.md)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write; reports/SUITE/studies by default.")
    ] = None,
    data_dir: DataDir = None,
    allow_partial: Annotated[
        bool, typer.Option(help="Run even if images of the dataset are missing.")
    ] = False,
) -> None:
    """Study codecs on a suite's images: one figure with its caption, and the rows that it shows.

    Rows are kept as they come (NAME.csv), so an interrupted study resumes.
    """
    from benchmark.cli import display
    from benchmark.runs.suite import load_suite, suite_file
    from benchmark.studies import make_study, run
    from benchmark.studies.rows import opened

    made = make_study(name, codec_options(option))
    if codec and not made.uses_codecs:
        raise UsageError(f"study {name!r} looks at no codec of the suite; give --option, not --codec")
    loaded = load_suite(suite)
    folder = suite_file(suite).parent
    subject = _subject(
        loaded, folder, codec, image, data_dir, allow_partial=allow_partial, codecs=made.uses_codecs
    )
    written = out or Path("reports") / loaded.name / "studies"
    with opened(written / f"{name}.csv") as kept, _progress() as observe:
        outcome = run.measure(made, subject, kept, observe)
    for reason in outcome.failed[:_SHOWN_FAILURES]:
        display.warn(reason)
    if len(outcome.failed) > _SHOWN_FAILURES:
        display.warn(f"and {len(outcome.failed) - _SHOWN_FAILURES} more failed")
    if not outcome.rows.empty:
        display.say(run.write(made, outcome.rows, written / name))
    display.say(
        f"{outcome.done} measured, {outcome.reused} reused, {len(outcome.failed)} failed; "
        f"figure, caption and rows in {written / name}.*"
    )
    if outcome.failed:
        raise typer.Exit(FAILED)


def _subject(
    suite: Suite,
    folder: Path,
    labels: Sequence[str] | None,
    images: Sequence[str] | None,
    data_dir: Path | None,
    *,
    allow_partial: bool,
    codecs: bool,
) -> Subject:
    from benchmark.cli import display
    from benchmark.data.find import find_dataset
    from benchmark.runs.tasks import matching_images
    from benchmark.studies.base import Subject
    from benchmark.studies.candidates import candidates

    found = candidates(suite, labels or (), folder) if codecs else None
    if found:
        display.unavailable(found.unavailable, fatal=bool(labels))
    dataset = find_dataset(
        suite.dataset, data_dir, base=folder, allow_partial=allow_partial, progress=display.download()
    )
    display.dataset(dataset)
    wanted = matching_images([image.name for image in dataset.images], images or ())
    return Subject(
        dataset.name,
        tuple(image for image in dataset.images if image.name in wanted),
        dataset.size,
        found.usable if found else (),
        suite.crop,
    )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what is told of the steps done: a bar with the time left on a terminal, a log line elsewhere."""
    from benchmark.cli.display import LOG_EVERY_SECONDS, bars, duration, err

    start = last = time.monotonic()
    with bars() as drawn:
        task = drawn.add_task("steps", total=None)

        def observe(done: int, total: int) -> None:
            nonlocal last
            drawn.update(task, completed=done, total=total)
            now = time.monotonic()
            if not err.is_terminal and done and now - last > LOG_EVERY_SECONDS:
                last = now
                left = duration((now - start) / done * (total - done))
                err.print(f"step {done} of {total}; about {left} left")

        yield observe
