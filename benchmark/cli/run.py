"""Commands that code images: run, encode, decode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import uuid4

import typer

from benchmark.cli import FAILED
from benchmark.cli.options import CodecOptions, DataDir, codec_options
from benchmark.errors import MachineError, UsageError

if TYPE_CHECKING:
    from benchmark.arrays import Image
    from benchmark.codecs.container import Container
    from benchmark.runs.cluster import ClusterExecutor
    from benchmark.runs.runner import Codecs
    from benchmark.runs.suite import Suite
    from benchmark.runs.survey import Question
    from benchmark.runs.tasks import Task
    from benchmark.runs.workers import LocalExecutor

run_app = typer.Typer(help="Measure the codecs of a suite.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(run_app, name="run")
    app.command()(encode)
    app.command()(decode)


@run_app.command()
def suite(
    name: Annotated[str, typer.Argument(help="A built-in suite (`bench list suites`), or a TOML file.")],
    *,
    codec: Annotated[
        list[str] | None, typer.Option(help="Include only this codec of the suite; repeatable.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="Include only this image: name, stem or glob; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Evaluations to run in parallel.")] = 1,
    out: Annotated[Path, typer.Option(help="The folder of results, one subfolder per suite.")] = Path(
        "results"
    ),
    data_dir: DataDir = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, help="Time limit of one evaluation in seconds, without loading."),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            help="Do not resume: measure everything again, old results move to _previous/; with --codec "
            "or --image, replace only those rows."
        ),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(help="Keep bitstreams and decoded images in _kept/; measure rows that lack them again."),
    ] = False,
    strict: Annotated[
        bool, typer.Option(help="Fail, instead of skipping, if a codec is not available.")
    ] = False,
    no_code: Annotated[
        bool,
        typer.Option(
            "--no-code", help="Refuse a suite that names code to run: a file.py:Class, a command, a factory."
        ),
    ] = False,
    allow_partial: Annotated[
        bool, typer.Option(help="Run even if images of the dataset are missing.")
    ] = False,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Memory limit in GiB of an evaluation's process, and of each program it starts."
        ),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Show the results even if nothing was left to measure.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Run the networks of codecs there: cpu, or cuda; an option of each codec."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Run on a Dask cluster, tcp://HOST:8786, or on one started here, local:N."),
    ] = None,
    ship_data: Annotated[
        bool, typer.Option(help="Send images to the workers of --scheduler, which need not have the files.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(min=1, help="Seconds to wait for the --scheduler, or its workers, if they are lost."),
    ] = 300.0,
) -> None:
    """Run a suite, skipping completed evaluations.

    Every codec of the suite is measured at every operating point on every image. Each result is stored as it
    comes, so an interrupted run resumes where it stopped. A codec that keeps failing is
    dropped; rerun to resume.
    """
    from benchmark.cli import display
    from benchmark.cli.progress import RunProgress
    from benchmark.data.find import find_dataset
    from benchmark.devices import fault
    from benchmark.results.plan import write_plan
    from benchmark.results.store import Store, set_aside
    from benchmark.runs import runner
    from benchmark.runs.evaluate import RunContext
    from benchmark.runs.signals import ending_as_by_ctrl_c
    from benchmark.runs.suite import load_suite, suite_file
    from benchmark.runs.tasks import select_images

    if ship_data and (keep or not scheduler):
        raise UsageError(
            "--ship-data goes with --scheduler, and not with --keep: workers then see no results folder"
        )
    _check_scheduler(scheduler)
    folder_of_suite = suite_file(name).parent
    whole = load_suite(name, code=not no_code)
    if device is not None:
        if reason := fault(device):
            raise UsageError(f"--device {device} cannot be used here: {reason}")
        whole = whole.on_device(device, folder_of_suite)
    chosen = whole.only(codec or [])
    runner.check_metrics(chosen)
    codecs = runner.find_codecs(chosen, folder_of_suite)
    display.unavailable(codecs.unavailable, fatal=strict or bool(codec))
    dataset = find_dataset(
        whole.dataset,
        data_dir,
        base=folder_of_suite,
        allow_partial=allow_partial,
        progress=display.download(),
    )
    display.dataset(dataset)
    asked = select_images(chosen.tasks(dataset, folder_of_suite.resolve()), image or [])
    tasks = [task for task in asked if task.codec in codecs.versions]
    folder = out / chosen.name
    run_id = uuid4().hex

    def executor_of_run() -> LocalExecutor | ClusterExecutor:
        if not scheduler:
            return _here(jobs, timeout, memory)
        from benchmark.runs.cluster import ClusterExecutor
        from benchmark.runs.guard import Limits
        from benchmark.runs.survey import equipment

        question = _question(chosen, codecs, folder_of_suite, tasks, ship_data)
        return ClusterExecutor(
            scheduler,
            question,
            equipment(codecs, question.images),
            Limits(1, timeout, _bytes(memory)),
            run=run_id,
            send=ship_data,
            patience_seconds=patience,
            left_out=display.left_out,
        )

    some = bool(codec or image)
    if fresh and not some and (aside := set_aside(folder)):
        display.say(f"old results moved to {aside}")
    with (
        _told_how_to_resume(folder, fresh=fresh, some=some),
        ending_as_by_ctrl_c(),
        Store(folder) as store,
        executor_of_run() as executor,
    ):
        for note in store.notes:
            display.warn(f"{folder}: {note}")
        write_plan(folder, whole.plan(dataset))
        context = RunContext(run_id, executor.jobs, executor.threads, folder.resolve() if keep else None)
        with RunProgress(executor.jobs) as progress:
            outcome = runner.run(
                tasks,
                codecs.versions,
                store,
                executor=executor,
                context=context,
                fresh=fresh and some,
                progress=progress,
            )
    display.summary(folder, chosen, outcome, codecs, asked=summary)
    if outcome.failed:
        raise typer.Exit(FAILED)


@contextmanager
def _told_how_to_resume(folder: Path, *, fresh: bool, some: bool) -> Iterator[None]:
    """Tell where the results are if the block ends early: by Ctrl-C, a signal, or a fault of the machines."""
    from benchmark.cli import display
    from benchmark.runs.signals import Signalled

    again = "rerun to resume"
    if fresh:
        again = "rerun to measure these rows again" if some else "rerun without --fresh to resume"
    try:
        yield
    except (KeyboardInterrupt, MachineError) as end:
        display.warn(f"results so far are in {folder}; {again}")
        if isinstance(end, Signalled):
            typer.echo(f"bench: stopped by {end.signal.name}", err=True)
            raise typer.Exit(128 + end.signal) from end
        raise


def _check_scheduler(address: str | None) -> None:
    if address:
        from benchmark.runs.cluster import check_address

        check_address(address)


def _here(jobs: int, timeout: float | None, memory: float | None) -> LocalExecutor:
    from benchmark.environment import cores
    from benchmark.runs.workers import LocalExecutor

    return LocalExecutor(jobs, max(1, cores() // jobs), timeout, memory_bytes=_bytes(memory))


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else round(gib * 2**30)


def _question(suite: Suite, codecs: Codecs, folder: Path, tasks: Sequence[Task], send: bool) -> Question:
    """Return what the workers of a cluster are asked to have."""
    from benchmark.runs.survey import Question

    images = {} if send else {task.image_path: task.image_sha256 for task in tasks}
    return Question(suite.only(list(codecs.versions)), folder.resolve(), tuple(images.items()))


def encode(
    codec: Annotated[str, typer.Argument(help="A codec (`bench list codecs`).")],
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[POINT] IN OUT",
            help="A quality, QP or lmbda (not with a target), an image, the file to write.",
        ),
    ],
    *,
    bpp: Annotated[float | None, typer.Option(help="Search the point whose rate is nearest.")] = None,
    psnr: Annotated[
        float | None, typer.Option(help="Search the point of the smallest file with this PSNR of RGB, in dB.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="Search the point of the largest bitstream of at most so many bytes.")
    ] = None,
    option: CodecOptions = None,
) -> None:
    """Encode an image into a file that names its codec, at a point or at the one that meets a target."""
    from benchmark.codecs import container
    from benchmark.images import load_image

    targets = {"--bpp": bpp, "--psnr": psnr, "--max-bytes": max_bytes}
    point, source, target = _arguments(
        arguments, [name for name, wanted in targets.items() if wanted is not None]
    )
    options = codec_options(option)
    loaded = load_image(source)
    if point is None:
        stream = _search(codec, options, loaded.pixels, bpp=bpp, psnr=psnr, max_bytes=max_bytes)
    else:
        stream = container.encode(codec, point, loaded.pixels, options)
    data = stream.pack()
    container.write_file(target, data)
    for conversion in loaded.conversions:
        typer.echo(f"{source}: {conversion}")
    height, width, _ = loaded.pixels.shape
    own_bytes = len(stream.payload)
    typer.echo(
        f"{target}: {own_bytes} bytes of {codec}, {8 * own_bytes / (width * height):.4f} bpp "
        f"(and {len(data) - own_bytes} that name the codec)"
    )


def _arguments(arguments: list[str], targets: list[str]) -> tuple[float | None, Path, Path]:
    """Return point (None for a search), source and destination. Raises UsageError, naming what is missing."""
    *first, source, destination = ["", "", *arguments][-max(2, len(arguments)) :]
    if len(targets) > 1:
        raise UsageError(f"{' and '.join(targets)}: give one target")
    if len(first) > 1 or not source:
        raise UsageError("give an operating point, the image and the file to write, or a target in its place")
    if targets and first:
        raise UsageError(f"give an operating point, {first[0]}, or a target, {targets[0]}, not both")
    if not targets and not first:
        raise UsageError(
            "say at which rate: an operating point before the image, or --bpp, --psnr or --max-bytes"
        )
    try:
        return (float(first[0]) if first else None), Path(source), Path(destination)
    except ValueError as error:
        raise UsageError(f"{first[0]!r} is no operating point; give a number") from error


def _search(
    name: str,
    options: Mapping[str, Any],
    image: Image,
    *,
    bpp: float | None,
    psnr: float | None,
    max_bytes: int | None,
) -> Container:
    from benchmark.cli import display
    from benchmark.codecs import codec_entry, make_codec
    from benchmark.codecs.container import Container
    from benchmark.runs import target

    wanted: target.Target
    if bpp is not None:
        wanted = target.BitsPerPixel(bpp)
    elif psnr is not None:
        wanted = target.Psnr(psnr)
    else:
        wanted = target.MaxBytes(cast(int, max_bytes))
    codec, entry = make_codec(name, options), codec_entry(name)
    codec.version()
    with display.bars() as bars:
        task = bars.add_task("probes", total=target.MOST_PROBES)
        best = target.search(
            codec, entry.points or codec.points, image, wanted, lambda probe: bars.advance(task)
        )
        bars.update(task, completed=target.MOST_PROBES)
    reached = f"{wanted.what} {wanted.figure(best):.6g}"
    typer.echo(f"{entry.point_name} {best.point:g}: {reached}; asked for {wanted.wanted:g}")
    return Container(name, options, best.point, best.stream)


def decode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What `bench encode` wrote.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The PNG file to write.")],
    codec: Annotated[
        str | None, typer.Option(help="IN is a bare stream of this codec, as --keep writes.")
    ] = None,
    option: CodecOptions = None,
) -> None:
    """Decode a file of `bench encode`, or a bare bitstream, to PNG."""
    from benchmark.codecs import container
    from benchmark.images import save_png

    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: what is written is PNG; give a name that ends in .png")
    image, name = container.decode(container.read_file(source), codec, str(source), codec_options(option))
    save_png(image, target)
    typer.echo(f"{target}: {image.shape[1]}x{image.shape[0]}, decoded by {name}")
