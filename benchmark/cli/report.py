"""Commands that look at results: report, compare, verify."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import DataDir
from benchmark.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

Results = Annotated[Path, typer.Option(help="The folder of results, one subfolder per suite.")]
_LOOK = "Figures"
Averaging = Annotated[str, typer.Option(help="per_image, mean_mse (PSNR of the mean MSE) or pixel_weighted.")]
Mixed = Annotated[
    bool, typer.Option(help="Compare even if protocols, versions or options of the rows differ.")
]

PublishedFile = Annotated[
    list[str] | None,
    typer.Option(
        help="Take published curves from this file (CSV: `bench list curves --template`; JSON of CompressAI "
        "or codec-compare), or the one of this name; repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(report)
    app.command()(compare)
    app.command()(verify)


def report(
    suite: Annotated[
        str, typer.Argument(help="A suite's name, a results folder, or a results parquet file.")
    ],
    *,
    anchor: Annotated[
        str | None,
        typer.Option(help="Codec to compare with; by default the suite's first that has results."),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(help="Write only pdf, svg, png, markdown, latex, csv, parquet or html; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; reports/SUITE by default.")] = None,
    results: Results = Path("results"),
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Include only this codec (and the --anchor); repeatable."),
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(
            help="Include this published curve (`bench list curves`), or those of a file: CSV "
            "(`bench list curves --template`), JSON of CompressAI or codec-compare; repeatable; "
            "`none` for none."
        ),
    ] = None,
    averaging: Averaging = "per_image",
    allow_mixed: Mixed = False,
    title: Annotated[
        str | None, typer.Option(help="The title of all figures.", rich_help_panel=_LOOK)
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="CODEC=TEXT: what figures call a codec or published curve; repeatable.",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    order: Annotated[
        list[str] | None,
        typer.Option(
            help="Legends begin with this codec; repeatable. Else by BD-rate.", rich_help_panel=_LOOK
        ),
    ] = None,
    axes: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(
            metavar="X0 X1 Y0 Y1",
            help="The axes of RD plots: bpp, and qualities of the first metric.",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    max_bpp: Annotated[
        float | None,
        typer.Option(min=0.01, help="Where the rate axis of RD plots ends.", rich_help_panel=_LOOK),
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Draw for a `column` or a `page` alone.", rich_help_panel=_LOOK)
    ] = None,
    style: Annotated[
        str, typer.Option(help="Draw for a `paper` or for `slides`.", rich_help_panel=_LOOK)
    ] = "paper",
    preset: Annotated[
        str | None,
        typer.Option(
            help="`paper`: the RD figure alone as papers print it, a PDF: up to eight curves, 0 to 1 bpp.",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    data_dir: DataDir = None,
    inline_images: Annotated[
        bool, typer.Option(help="Put kept images into the page instead of beside it.")
    ] = False,
) -> None:
    """Write plots, tables and a page of a suite's results."""
    from benchmark.cli import display
    from benchmark.report import read as request
    from benchmark.report import write
    from benchmark.report.figures.plan import best_of_families
    from benchmark.report.headline import sentences
    from benchmark.report.presentation import PAPER_CURVES, presentation
    from benchmark.report.published import check as check_published
    from benchmark.report.tables.rows import notes
    from benchmark.report.tables.terminal import terminal

    check_published(published or [], anchor)
    asked = request.find(suite, results)
    looks = presentation(
        title=title,
        labels=label or [],
        titles=asked.titles,
        order=order or [],
        axes=axes,
        max_bpp=max_bpp,
        width=width,
        style=style,
        preset=preset,
    )
    formats = write.check_formats(format or (["pdf"] if preset else []))
    with write.drawing_processes(formats) as executor, display.phases() as phase:
        phase(f"reading {asked.path}")
        frame = request.read(asked, codec or [], anchor, remark=display.warn)
        phase(f"averaging and comparing {frame['codec'].nunique()} codecs, {len(frame):,} rows")
        summary = request.summarize_suite(
            asked,
            frame,
            anchor,
            averaging,
            published or [],
            allow_mixed=allow_mixed,
            all_anchors=not write.OF_ALL_ANCHORS.isdisjoint(formats),
            with_savings=not write.WITH_SAVINGS.isdisjoint(formats),
        )
        looks.check({*summary.styles, *asked.known, *asked.titles})
        if preset and not codec:
            curves = {label for by_label in summary.published.values() for label in by_label}
            looks = replace(looks, only=best_of_families(summary, PAPER_CURVES - len(curves)))
        phase(f"drawing and writing {', '.join(formats)}")
        done = write.write_report(
            summary,
            out or Path("reports") / asked.name,
            results=asked.path,
            formats=formats,
            data_dir=data_dir,
            inline_images=inline_images,
            presentation=looks,
            executor=executor,
        )
    for metric in summary.metrics[:2]:
        display.out.print(terminal(summary, metric, width=display.out.width))
        for note in notes(summary, metric):
            display.say(f"  {note}")
    for sentence in sentences(summary):
        display.say(sentence)
    for remark in done.remarks:
        display.warn(remark)
    display.say(f"{len(done.files)} files in {done.folder}" + (f"; open {done.page}" if done.page else ""))


def compare(
    a: Annotated[str, typer.Argument(help="A codec, or a results folder or parquet file (with --codec).")],
    b: Annotated[
        str,
        typer.Argument(help="What A is compared with: a codec, a published curve or its file, or results."),
    ],
    *,
    suite: Annotated[str, typer.Option(help="The suite of the two codecs.")] = "kodak",
    codec: Annotated[str | None, typer.Option(help="The codec to compare in two result sets.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Compare by this metric (`bench list metrics`); repeatable.")
    ] = None,
    published: PublishedFile = None,
    results: Results = Path("results"),
    averaging: Averaging = "per_image",
    allow_mixed: Mixed = False,
) -> None:
    """Compare two codecs, or one codec in two result sets.

    A negative BD-rate means that A needs fewer bits.
    """
    from benchmark.cli import display
    from benchmark.report import comparing
    from benchmark.report import read as request
    from benchmark.report.published import check as check_published

    if codec is not None and published:
        raise UsageError("give --published, a curve to compare with, or --codec and two result sets")
    check_published(published or [], None if codec else b)
    frames: tuple[pd.DataFrame, pd.DataFrame | None]
    read = partial(request.read, remark=display.warn)
    headline: tuple[str, ...] = ()
    if codec is None:
        asked = request.find(suite, results)
        frames, names, headline = (read(asked), None), (a, b), asked.headline
    else:
        frames = read(request.find(a, results)), read(request.find(b, results))
        names = (codec, codec)
    for text in comparing.compare_text(
        frames,
        names,
        metric or [],
        averaging,
        published or [],
        allow_mixed=allow_mixed,
        headline=() if metric else headline,
    ):
        _show(text)


def verify(
    suite: Annotated[
        str, typer.Argument(help="A suite's name, a results folder, or a results parquet file.")
    ] = "kodak",
    *,
    codec: Annotated[list[str] | None, typer.Option(help="Include only this codec; repeatable.")] = None,
    published: PublishedFile = None,
    results: Results = Path("results"),
    points: Annotated[
        bool, typer.Option(help="Print every point, not only those of curves outside.")
    ] = False,
    markdown: Annotated[bool, typer.Option(help="Print the table as docs/codecs.md has it.")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the published curves that ship with bench.")
    ] = False,
) -> None:
    """Compare results with published figures: is each codec as near as a right set-up comes?

    Exit codes: 0 if all that could be judged lie within, 1 if one lies outside, 2 for bad input.
    """
    from benchmark.cli import display
    from benchmark.report import read as request
    from benchmark.report import verifying
    from benchmark.report.published import check as check_published

    if list_:
        _show(verifying.published_table())
        return
    check_published(published or [])
    frame = request.read(request.find(suite, results), codec or [], remark=display.warn)
    found = verifying.verify_results(frame, published or [])
    if markdown:
        typer.echo(found.markdown(), nl=False)
    else:
        for text in found.text(points=points):
            _show(text)
    raise typer.Exit(1 if found.outside else 0)


def _show(what: Table | str) -> None:
    """Print a table, or a line whatever characters are in it."""
    from benchmark.cli import display

    if isinstance(what, str):
        display.say(what)
    else:
        display.out.print(what)
