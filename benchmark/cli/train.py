"""Commands that make models: train, finetune, calibrate, import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from benchmark.training.data import Split
    from benchmark.training.sources import Source

Data = Annotated[Path, typer.Option("--data", help="A folder of photographs; never one of the test sets.")]
Out = Annotated[Path, typer.Option("--out", help="The training's folder; rerun to resume from it.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Overrides the recipe's.")]
FromLmbda = Annotated[
    float | None, typer.Option("--from-lmbda", help="The lmbda of a plain state dict given as --from.")
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Add the trained model to this weights folder (--variant).")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(train)
    app.command()(finetune)
    app.command()(calibrate)
    app.command("import")(import_model)


def train(
    data: Data,
    out: Out,
    *,
    recipe: Annotated[str, typer.Option(help="A recipe of the package, or a TOML file.")] = "baseline",
    from_: Annotated[str | None, typer.Option("--from", help="A model to start from.")] = None,
    from_lmbda: FromLmbda = None,
    lmbda: Annotated[float | None, typer.Option(help="Overrides the recipe's.")] = None,
    steps: Steps = None,
    proxy: Annotated[str | None, typer.Option(help="noise, ste or mixed; overrides the recipe's.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    weights: Weights = None,
    variant: Annotated[str, typer.Option(help="The name of the model in the weights folder.")] = "baseline",
) -> None:
    """Train a network end to end (the paper's first step)."""
    from benchmark.cli import display
    from benchmark.training.export import check_destination
    from benchmark.training.recipe import TrainRecipe, load_recipe
    from benchmark.training.train import train as run_training

    settle(device, threads)
    loaded = load_recipe(TrainRecipe, recipe, lmbda=lmbda, steps=steps, proxy=proxy)
    start = opened(from_, from_lmbda) if from_ else None
    if weights is not None:
        check_destination(weights, variant, None)
    with display.TrainingProgress() as progress:
        last = run_training(loaded, data, out, start=start, device=device, progress=progress)
    finish(last, weights, variant)


def finetune(
    from_: Annotated[
        str, typer.Option("--from", help="Checkpoint, weights, state dict or compressai:mbt2018-mean:3.")
    ],
    data: Data,
    out: Out,
    *,
    quantizer: Annotated[
        str | None,
        typer.Option(help="scalar, rdoq, tcq4, tcq8, ...; as the control noise or mixed."),
    ] = None,
    parts: Annotated[
        str | None, typer.Option(help="Parts of the architecture to retrain: g_s, g_s+h_s, or layers: g_s.6.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A recipe of the package, or a TOML file.")] = "finetune",
    from_lmbda: FromLmbda = None,
    steps: Steps = None,
    device: Device = "cpu",
    threads: Threads = None,
    weights: Weights = None,
    variant: Annotated[
        str | None, typer.Option(help="The name of the model in the weights folder, such as finetuned-tcq.")
    ] = None,
) -> None:
    """Retrain the decoder on quantized latents (the second step)."""
    from benchmark.cli import display
    from benchmark.errors import UsageError
    from benchmark.training.data import split_photographs
    from benchmark.training.export import check_destination
    from benchmark.training.finetune import base_variant
    from benchmark.training.finetune import finetune as run_finetuning
    from benchmark.training.recipe import FinetuneRecipe, load_recipe

    settle(device, threads)
    if (weights is None) != (variant is None):
        raise UsageError("--weights and --variant go together: a folder, and the name of the model in it")
    start = opened(from_, from_lmbda)
    loaded = load_recipe(
        FinetuneRecipe, recipe, {"lmbda": start.lmbda}, quantizer=quantizer, parts=parts, steps=steps
    )
    if weights is not None and variant is not None:
        check_destination(weights, variant, base_variant(start))
    warn_of_other_data(data, split_photographs(data), start.provenance, from_)
    with display.TrainingProgress() as progress:
        last = run_finetuning(loaded, start, data, out, device=device, progress=progress)
    finish(last, weights, variant)


def calibrate(
    variant: Annotated[str, typer.Argument(help="The variant to calibrate, such as baseline.")],
    data: Data,
    *,
    lmbda: Annotated[list[float] | None, typer.Option(help="Only these; all by default.")] = None,
    quantizer: Annotated[
        list[str] | None, typer.Option(help="Only these; by default all that have settings to choose.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The weights folder; by default the one in use.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Choose each quantizer's settings on hold-out photographs.

    Delta and the trellis lambda of every model are stored with its weights.
    """
    from benchmark.cli import display
    from benchmark.errors import UsageError
    from benchmark.learned.quantizers import calibrated
    from benchmark.learned.quantizers.by_rate import CalibratedSettings
    from benchmark.learned.weights import available, load_model, update_settings, weights_folder
    from benchmark.training.calibrate import EVALUATIONS
    from benchmark.training.calibrate import calibrate as choose
    from benchmark.training.checkpoint import check_writable
    from benchmark.training.data import load_held_out, split_photographs

    settle("cpu", threads)
    if unknown := sorted(set(quantizer or ()) - set(calibrated())):
        raise UsageError(f"--quantizer {unknown[0]}: calibrated are {', '.join(calibrated())}")
    folder = weights or weights_folder()
    points = lmbda or available(variant, folder)
    if not points:
        raise UsageError(
            f"no weights for variant {variant!r} in {folder}; train some, or give another --weights"
        )
    check_writable(folder, "--weights")
    split = split_photographs(data)
    networks = {}
    for point in points:
        networks[point], info = load_model(variant, point, folder)
        warn_of_other_data(data, split, info.provenance, f"{variant} {point:g}")
    multiple = max(network.image_multiple for network in networks.values())
    held_out = load_held_out(split.held_out, "cpu", multiple)
    models = [(point, name) for point in points for name in quantizer or calibrated()]
    with display.bars() as bars:
        task = bars.add_task("evaluations", total=len(models) * EVALUATIONS)
        for done, (point, name) in enumerate(models, start=1):
            found = choose(networks[point], point, held_out, name, progress=lambda *_: bars.advance(task))
            bars.update(task, completed=done * EVALUATIONS)
            update_settings(folder, variant, point, {name: CalibratedSettings({point: found.settings})})
            quality = ", ".join(f"{key} {value:.4f}" for key, value in found.quality.items())
            display.say(
                f"{variant} {point:g} {name}: delta {found.settings.delta:g}, "
                f"trellis lambda {found.settings.trellis_lambda:g}; hold-out {quality}"
            )


def import_model(
    source: Annotated[
        str, typer.Argument(help="Checkpoint, weights, state dict or compressai:mbt2018-mean:3.")
    ],
    weights: Annotated[Path, typer.Option(help="The weights folder to add the model to.")],
    variant: Annotated[str, typer.Option(help="The name of the model in the weights folder.")],
    *,
    from_lmbda: Annotated[float | None, typer.Option(help="The lmbda of a plain state dict.")] = None,
) -> None:
    """Add a trained model to a weights folder.

    Codecs can then use it, and calibration and finetuning start from it.
    """
    from benchmark.cli import display
    from benchmark.learned.model import CodingModel
    from benchmark.training.export import export

    start = opened(source, from_lmbda)
    print(f"weights: {export(start, weights, variant)}")
    if not CodingModel(start.network(), start.sha256).portable:
        display.warn(
            f"{variant} is not portable: its entropy networks have layers without exact arithmetic, so its "
            f"streams may be refused on another machine"
        )


def opened(name: str, lmbda: float | None) -> Source:
    """Open a model to start from, and warn where its weights speak against the lmbda that it is given."""
    from benchmark.cli import display
    from benchmark.training.slope import differs, estimated_lmbda
    from benchmark.training.sources import open_source

    source = open_source(name, lmbda)
    if source.foreign and differs(seems := estimated_lmbda(source.network()), source.lmbda):
        display.warn(
            f"{name} behaves as if trained for lmbda {seems:.2g}, not {source.lmbda:g} (in bits + lmbda * "
            f"255^2 * MSE): check --from-lmbda, at which it would be calibrated and finetuned"
        )
    return source


def settle(device: str, threads: int | None) -> None:
    """Check the device and set the number of threads. Raises UsageError if the device is not there."""
    import torch

    from benchmark.errors import UsageError

    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise UsageError(
            f"--device {device}: not usable here; give cpu" + (", or cuda" if device != "cuda" else "")
        )
    if device == "cuda":
        torch.backends.cudnn.deterministic = True
    if threads:
        torch.set_num_threads(threads)


def warn_of_other_data(data: Path, split: Split, provenance: Mapping[str, Any], name: str) -> None:
    """Warn if the model `name` was trained on other photographs: it may have seen those now held out."""
    from benchmark.cli import display

    trained_on = provenance.get("data_sha256")
    if trained_on is not None and trained_on != split.digest():
        display.warn(
            f"{name} was trained on another set of photographs than {data}: it may have seen some of today's "
            f"hold-out set, and hold-out figures may be too good"
        )


def finish(last: Path, weights: Path | None, variant: str | None) -> None:
    """Say where checkpoint and loss curve are and, if asked for, add the model to a weights folder."""
    from benchmark.training.export import export
    from benchmark.training.sources import open_source

    print(f"checkpoint: {last}")
    print(f"loss curve: {last.with_name('loss.png')}")
    if weights is not None and variant is not None:
        print(f"weights: {export(open_source(str(last)), weights, variant)}")
