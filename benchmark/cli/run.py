"""Commands that code images: run, encode, decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from benchmark.cli import FAILED
from benchmark.cli.options import DataDir
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.runs.cluster import ClusterExecutor
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
    allow_partial: Annotated[
        bool, typer.Option(help="Run even if images of the dataset are missing.")
    ] = False,
    scheduler: Annotated[str | None, typer.Option(help="Run on a Dask cluster: tcp://HOST:8786.")] = None,
) -> None:
    """Run a suite, skipping completed evaluations.

    Every codec of the suite is measured at every operating point on every image. Each result is stored before
    the next evaluation starts, so an interrupted run resumes where it stopped. A codec that keeps failing is
    dropped; rerun to resume.
    """
    from benchmark.cli import display
    from benchmark.data.find import find_dataset
    from benchmark.results.plan import write_plan
    from benchmark.results.store import Store, set_aside
    from benchmark.runs import runner
    from benchmark.runs.evaluate import RunContext
    from benchmark.runs.suite import load_suite, select_images, suite_file

    if scheduler and timeout:
        raise UsageError(
            "--timeout does not go with --scheduler: Dask cannot stop an evaluation that has begun"
        )
    whole = load_suite(name)
    chosen = whole.only(codec or [])
    codecs = runner.find_codecs(chosen)
    display.unavailable(codecs.unavailable, fatal=strict or bool(codec))
    dataset = find_dataset(
        whole.dataset,
        data_dir,
        base=suite_file(name).parent,
        allow_partial=allow_partial,
        progress=display.download(),
    )
    display.dataset(dataset)
    tasks = [t for t in select_images(chosen.tasks(dataset), image or []) if t.codec in codecs.versions]
    folder = out / chosen.name
    some = bool(codec or image)
    if fresh and not some and (aside := set_aside(folder)):
        display.say(f"old results moved to {aside}")
    try:
        with Store(folder) as store, _executor(scheduler, jobs, timeout) as executor:
            write_plan(folder, whole.plan(dataset))
            context = RunContext(uuid4().hex, executor.jobs, executor.threads, folder if keep else None)
            with display.RunProgress() as progress:
                outcome = runner.run(
                    tasks,
                    codecs.versions,
                    store,
                    executor=executor,
                    context=context,
                    fresh=fresh and some,
                    progress=progress,
                )
    except KeyboardInterrupt:
        again = "rerun to resume"
        if fresh:
            again = "rerun to measure these rows again" if some else "rerun without --fresh to resume"
        display.warn(f"results so far are in {folder}; {again}")
        raise
    display.summary(folder, chosen, outcome, codecs)
    if outcome.failed:
        raise typer.Exit(FAILED)


def _executor(scheduler: str | None, jobs: int, timeout: float | None) -> LocalExecutor | ClusterExecutor:
    if scheduler:
        from benchmark.runs.cluster import ClusterExecutor

        return ClusterExecutor(scheduler)
    from benchmark.environment import cores
    from benchmark.runs.workers import LocalExecutor

    return LocalExecutor(jobs, max(1, cores() // jobs), timeout)


def encode(
    codec: Annotated[str, typer.Argument(help="A codec (`bench list codecs`).")],
    point: Annotated[float, typer.Argument(help="The operating point: a quality, QP or lmbda.")],
    source: Annotated[Path, typer.Argument(metavar="IN", help="An image.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
) -> None:
    """Encode an image into a file that names its codec."""
    from benchmark.codecs import container
    from benchmark.images import load_image

    loaded = load_image(source)
    stream = container.encode(codec, point, loaded.pixels)
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


def decode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What `bench encode` wrote.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The PNG file to write.")],
    codec: Annotated[
        str | None, typer.Option(help="IN is a bare stream of this codec, as --keep writes.")
    ] = None,
) -> None:
    """Decode a file of `bench encode`, or a bare bitstream, to PNG."""
    from benchmark.codecs import container
    from benchmark.images import save_png

    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: what is written is PNG; give a name that ends in .png")
    image, name = container.decode(container.read_file(source), codec, str(source))
    save_png(image, target)
    typer.echo(f"{target}: {image.shape[1]}x{image.shape[0]}, decoded by {name}")
