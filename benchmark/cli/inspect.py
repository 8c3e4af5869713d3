"""Commands that look around and fetch: list, doctor, fetch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import DataDir
from benchmark.errors import BenchError, NeedsOptionsError, UsageError


class Kind(StrEnum):
    """What `bench list` can list."""

    codecs = "codecs"
    suites = "suites"
    datasets = "datasets"
    metrics = "metrics"
    quantizers = "quantizers"
    architectures = "architectures"
    figures = "figures"
    studies = "studies"
    curves = "curves"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("list")(list_)
    app.command()(doctor)
    app.command()(fetch)


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    *,
    template: Annotated[
        bool, typer.Option("--template", help="With `curves`: write a file for --published, to fill in.")
    ] = False,
) -> None:
    """List by name what this installation has."""
    if template:
        _template(kind)
        return
    rows: dict[Kind, Callable[[], Iterable[Sequence[str]]]] = {
        Kind.codecs: _codecs,
        Kind.suites: _suites,
        Kind.datasets: _datasets,
        Kind.metrics: _metrics,
        Kind.quantizers: _quantizers,
        Kind.architectures: _architectures,
        Kind.figures: _figures,
        Kind.studies: _studies,
        Kind.curves: _curves,
    }
    _print_columns(rows[kind]())


def _codecs() -> Iterable[Sequence[str]]:
    from benchmark.codecs import CODECS

    yield "CODEC", "POINT", "DEFAULT POINTS", ""
    for name, entry in CODECS.items():
        yield name, entry.point_name, _some([f"{point:g}" for point in entry.points]), entry.summary
    yield from ((name, "", "", f"not available: {fault}") for name, fault in CODECS.faults.items())


def _some(points: Sequence[str]) -> str:
    """Return points in a column's width."""
    if not points:
        return "of its options"
    return " ".join(points) if len(points) <= 8 else f"{points[0]} {points[1]} .. {points[-1]}"


def _suites() -> Iterable[Sequence[str]]:
    from benchmark.runs.suite import builtin_suites, parse_toml

    yield "SUITE", "DATASET", ""
    for name, path in builtin_suites().items():
        data = parse_toml(path)
        yield name, str(data.get("dataset", "")), str(data.get("summary", ""))


def _datasets() -> Iterable[Sequence[str]]:
    from benchmark.data.manifests import DATASETS

    yield "DATASET", "IMAGES", ""
    for name, manifest in DATASETS.items():
        yield name, str(len(manifest.images)), manifest.summary
    yield from ((name, "", f"not available: {fault}") for name, fault in DATASETS.faults.items())
    yield "folder:PATH", "", "every image in a folder of yours"


def _metrics() -> Iterable[Sequence[str]]:
    from benchmark.metrics import METRICS

    yield "METRIC", "VERSION", "UNIT", ""
    for name, metric in METRICS.items():
        try:
            metric.check()
            yield name, metric.version, metric.unit, metric.summary
        except BenchError as error:
            yield name, metric.version, metric.unit, f"not available: {error}"
    for name, fault in METRICS.faults.items():
        yield name, "", "", f"not available: {fault}"


def _quantizers() -> Iterable[Sequence[str]]:
    from benchmark.learned.quantizers import QUANTIZERS

    yield "QUANTIZER", "STREAM ID", "CALIBRATED", ""
    for name, quantizer in QUANTIZERS.items():
        yield name, str(quantizer.stream_id), "yes" if quantizer.calibrated else "", _first_line(quantizer)
    yield from ((name, "", "", f"not available: {fault}") for name, fault in QUANTIZERS.faults.items())


def _architectures() -> Iterable[Sequence[str]]:
    from benchmark.learned.architectures import ARCHITECTURES

    yield "ARCHITECTURE", ""
    yield from ((name, _first_line(kind)) for name, kind in ARCHITECTURES.items())
    yield from ((name, f"not available: {fault}") for name, fault in ARCHITECTURES.faults.items())


def _figures() -> Iterable[Sequence[str]]:
    from benchmark.report.figures import FIGURES

    yield "FIGURE", ""
    yield from ((name, figure.title) for name, figure in FIGURES.items())
    yield from ((name, f"not available: {fault}") for name, fault in FIGURES.faults.items())


def _studies() -> Iterable[Sequence[str]]:
    from benchmark.studies import STUDIES

    yield "STUDY", "OPTIONS", ""
    for name, kind in STUDIES.items():
        options = " ".join(f"{field.name}={field.default}" for field in kind.options())
        yield name, options, kind.summary
    yield from ((name, "", f"not available: {fault}") for name, fault in STUDIES.faults.items())


def _curves() -> Iterable[Sequence[str]]:
    from benchmark.analysis.published import list_curves

    yield "CURVE", "DATASET", "METRICS", ""
    yield from ((p.name, p.dataset, ", ".join(p.metrics), p.label) for p in list_curves())


def _template(kind: Kind) -> None:
    from benchmark.analysis.published_files import template

    if kind is not Kind.curves:
        raise UsageError(f"there is no template of {kind}; `bench list curves --template` writes one")
    typer.echo(template(), nl=False)


def _first_line(entry: object) -> str:
    """Return what an entry's docstring begins with."""
    return (inspect.getdoc(entry) or "").split("\n")[0]


def _print_columns(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns. (Rich would take longer to load than all the rest.)"""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def doctor(
    data_dir: DataDir = None,
) -> None:
    """Show which codecs, metrics and datasets are usable here.

    Gives versions, and how to get what is missing; "opt" marks codecs that need options of yours.
    """
    typer.echo("Codecs")
    _print_columns(_codec_health())
    typer.echo("\nMetrics")
    _print_columns(_metric_health())
    typer.echo("\nDatasets")
    _print_columns(_dataset_health(data_dir))
    typer.echo("\nMachine")
    _print_columns(_machine())


def _codec_health() -> Iterable[Sequence[str]]:
    from benchmark.codecs import CODECS, make_codec

    for name in CODECS.names():
        try:
            yield "  ok", name, make_codec(name).version()
        except NeedsOptionsError as error:
            yield "  opt", name, str(error)
        except (BenchError, ImportError) as error:
            yield "  --", name, " ".join(str(error).split())


def _metric_health() -> Iterable[Sequence[str]]:
    from benchmark.metrics import METRICS

    for name in METRICS.names():
        try:
            metric = METRICS.find(name)
            metric.check()
            yield "  ok", name, metric.version
        except BenchError as error:
            yield "  --", name, " ".join(str(error).split())


def _dataset_health(data_dir: Path | None) -> Iterable[Sequence[str]]:
    from benchmark.data.find import list_places
    from benchmark.data.manifests import DATASETS

    for name in DATASETS.names():
        try:
            manifest = DATASETS.find(name)
            places = list_places(manifest, data_dir)
        except BenchError as error:
            yield "  --", name, " ".join(str(error).split())
            continue
        # Counted only: a run checks every hash before it begins.
        counts = {place: sum((place / image.name).is_file() for image in manifest.images) for place in places}
        best = max(places, key=lambda place: counts[place])
        state = "  ok" if counts[best] == len(manifest.images) else "  --"
        if counts[best]:
            yield state, name, f"{counts[best]} of {len(manifest.images)} images in {best}"
        else:
            yield state, name, f"not on this machine; `bench fetch {name}` downloads it"


def _machine() -> Iterable[Sequence[str]]:
    import shutil

    from benchmark import environment
    from benchmark.torchvision_stub import remedy

    facts = environment.describe()
    free_gib = shutil.disk_usage(Path.cwd()).free / 2**30
    commit = f"{facts['commit'] or 'no git checkout'}{' with changes' if facts['dirty'] else ''}"
    yield "  bench", f"{facts['bench'] or 'not installed'}, {commit}"
    yield "  python", facts["python"]
    for name, version in facts["packages"].items():
        yield f"  {name}", version or "not installed"
    if trap := remedy():
        yield "  note", trap
    yield "  processor", f"{facts['processor']}, {facts['cores']} cores usable"
    yield "  memory", f"{facts['memory_gib']} GiB"
    yield "  disk", f"{free_gib:.1f} GiB free here"
    yield "  system", facts["system"]
    yield "  machine", f"{facts['machine']} (times compare only between equal ones)"


def fetch(name: Annotated[str, typer.Argument(help="A dataset (`bench list datasets`).")]) -> None:
    """Download and check a dataset, unless it is here.

    Prints the folder.
    """
    from benchmark.cli.display import download
    from benchmark.data import find as datasets

    folder = datasets.fetch(name, download())
    typer.echo(f"{name}: complete in {folder}")
