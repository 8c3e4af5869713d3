"""The command that says what a codec costs: complexity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import CodecOptions, codec_options
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.runs.complexity import Complexity, Spread

_UNKNOWN = "-"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(complexity)
    app.command()(count)


def complexity(
    codec: Annotated[str, typer.Argument(help="A codec (`bench list codecs`).")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image to code.")],
    *,
    point: Annotated[
        float | None, typer.Option(help="The operating point; the codec's highest default one if not given.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="How often to code the image, after a warm-up.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Threads that libraries may use.")] = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
    option: CodecOptions = None,
) -> None:
    """Show what a codec costs: operations by module, parameters, memory, and where the time goes.

    Operations are thousands of multiply-accumulates per pixel of an image of 256x256, times are medians with
    quartiles on IMAGE. A codec without networks has "-" for operations.
    """
    from benchmark.runs.workers import THREAD_VARIABLES

    for name in THREAD_VARIABLES:  # before torch and numba are loaded
        os.environ[name] = str(threads)
    from benchmark.cli import display
    from benchmark.codecs import codec_entry, make_codec
    from benchmark.environment import machine
    from benchmark.files import write_atomically
    from benchmark.images import load_image
    from benchmark.runs.complexity import measure
    from benchmark.runs.complexity_table import to_csv

    options = codec_options(option)
    coder, points = make_codec(codec, options), codec_entry(codec).points
    version = coder.version()
    points = points or coder.points
    if point is None and not points:
        raise UsageError(f"{codec} has no default points; give one with --point")
    pixels = load_image(image).pixels
    with display.bars() as bars:
        task = bars.add_task("codings", total=2 * repeat)
        found = measure(
            coder, points[-1] if point is None else point, pixels, repeat, lambda: bars.advance(task)
        )
    height, width, _ = pixels.shape
    about = {
        "codec": codec, "version": version, "image": image.name, "width": width, "height": height,
        "threads": threads, "machine": machine(),
    }  # fmt: skip
    title = f"{codec} at {found.point:g} on {image.name}, {width}x{height}, {threads} thread(s)"
    display.out.print(_table(title, found))
    if csv:
        write_atomically(csv, to_csv(about, found).encode())


def count(
    results: Annotated[str, typer.Argument(help="A suite's name, a results folder or a parquet file.")],
    *,
    out: Annotated[Path, typer.Option(help="The results folder to make.")],
    folder: Annotated[
        Path, typer.Option("--results", help="The folder of results, one subfolder per suite.")
    ] = Path("results"),
) -> None:
    """Add operations to rows that were measured without them.

    Operations hang on the networks alone: rows keep their times and all else. A codec whose version here is
    not that of its rows is left out.
    """
    from benchmark.cli import display
    from benchmark.report import read as request
    from benchmark.runs.count import add_operations

    added = add_operations(request.find(results, folder).path, out, display.warn)
    display.say(f"operations added to {added:,} rows, in {out}")


def _table(title: str, found: Complexity) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from benchmark.runs.complexity_table import lines

    table = Table(title=escape(title), box=SIMPLE_HEAD, collapse_padding=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for head in ("Encode", "Decode", "Parameters"):
        table.add_column(head, justify="right", no_wrap=True)
    unit = ""
    for line in lines(found):
        if unit and unit != line.unit:
            table.add_section()
        unit = line.unit
        size = _UNKNOWN if line.parameters is None else f"{line.parameters:,}"
        table.add_row(unit, escape(line.part), _text(line.encode), _text(line.decode), size)
    return table


def _text(figure: Spread | float | None) -> str:
    from benchmark.runs.complexity import Spread

    if figure is None:
        return _UNKNOWN
    if isinstance(figure, Spread):
        return f"{figure.median:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
    return f"{figure:.4g}"
