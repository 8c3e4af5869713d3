"""Commands that write models for use elsewhere: export onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

export_app = typer.Typer(help="Write models for use elsewhere.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(export_app, name="export")


@export_app.callback()
def _group() -> None:
    """Write models for use elsewhere."""


@export_app.command()
def onnx(
    codec: Annotated[
        str, typer.Argument(metavar="CODEC[:VARIANT]", help="A learned codec, or one with another variant.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    *,
    lmbda: Annotated[float | None, typer.Option(help="Which model; needed if there are several.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The weights folder; by default the one in use.")
    ] = None,
) -> None:
    """Write analysis, synthesis and entropy-parameter networks as ONNX files.

    Each is run by onnxruntime and compared with torch before it counts; model.json tells names and shapes.
    """
    from benchmark.codecs import codec_entry
    from benchmark.errors import UsageError
    from benchmark.learned.weights import available, load_model, weights_folder
    from benchmark.training.onnx_files import check_packages, write_onnx

    check_packages()
    name, _, chosen = codec.partition(":")
    variant = chosen or codec_entry(name).options.get("variant")
    if not isinstance(variant, str):
        raise UsageError(f"{name} is no learned codec of bench, whose networks could be exported")
    folder = weights or weights_folder()
    points = available(variant, folder)
    if lmbda is None and len(points) > 1:
        raise UsageError(f"{codec} has several models; give --lmbda: {', '.join(f'{p:g}' for p in points)}")
    network, info = load_model(variant, points[0] if lmbda is None and points else lmbda or 0.0, folder)
    write_onnx(network, info, out, lambda file, largest: print(f"{out / file}: differs by {largest:.2g}"))
    print(f"{out / 'model.json'}: names, shapes, opset and lmbda")
