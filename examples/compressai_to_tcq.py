"""From a CompressAI checkpoint to a codec with trellis-coded quantization, measured beside BPG.

    python examples/compressai_to_tcq.py --data PHOTOS

A scale hyperprior, CompressAI's own class, is trained for a few minutes on PHOTOS, a folder of photographs
(or a checkpoint of yours is loaded: --checkpoint FILE --lmbda L). Three commands of bench make it a codec
finetuned with TCQ, and two more measure it: beside its own CompressAI form, JPEG and, where it is installed,
BPG, on hold-out photographs, by PSNR, SSIMULACRA2, NLPD and CIEDE2000. What they wrote is in --out. All of it
takes about five minutes of one core; import will say that the network is not trained to its end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from benchmark.cli import build_app
from benchmark.codecs import make_codec
from benchmark.errors import CodecUnavailableError
from benchmark.torchvision_stub import make_compressai_importable
from benchmark.training.data import RandomCrops, Split, load_for_training, load_held_out, split_photographs

make_compressai_importable()  # where torch is a CPU build and torchvision the registry's

from compressai.models import ScaleHyperprior  # noqa: E402

RECIPE = """
description = "TCQ in the loop"
quantizer = "tcq8"
parts = "g_s+h_s"
steps = {steps}
batch = 4
crop = {crop}
learning_rate = 2e-4
warmup_steps = 10
hold = 0.0
clip_norm = 5.0
seed = 2
"""

SUITE = """
name = "compressai-to-tcq"
dataset = "folder:images"
metrics = ["psnr_rgb", "ssimulacra2", "nlpd_y", "ciede2000"]

[[codec]]
name = "bpg"
points = [32, 37, 42, 47]

[[codec]]
name = "jpeg"
points = [10, 20, 40, 60]

[[codec]]
name = "CompressAI"
codec = "compressai"
options = {{ arch = "{arch}", checkpoints = {{ "{lmbda}" = "{checkpoint}" }} }}

[[codec]]
name = "imported, rounding"
codec = "baseline"
points = [{lmbda}]
options = {{ weights = "weights", variant = "mine" }}

[[codec]]
name = "imported, TCQ"
codec = "baseline-tcq8"
points = [{lmbda}]
options = {{ weights = "weights", variant = "mine" }}

[[codec]]
name = "finetuned, TCQ"
codec = "baseline-tcq8"
points = [{lmbda}]
options = {{ weights = "weights", variant = "mine-tcq" }}
"""


def main() -> None:
    """Train or load, import, calibrate, finetune, measure, report."""
    asked = arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    split = split_photographs(asked.data)
    checkpoint = asked.checkpoint
    if checkpoint is None:
        checkpoint = trained(split, asked.lmbda, asked.out / "scale.pth.tar", quick=asked.quick)
    write_images(split, asked.out / "images")
    steps, crop = (3, 64) if asked.quick else (200, 192)
    (asked.out / "tcq.toml").write_text(RECIPE.format(steps=steps, crop=crop))

    data, weights = ("--data", asked.data), ("--weights", asked.out / "weights")
    bench("import", checkpoint, "--from-lmbda", asked.lmbda, "--variant", "mine", *weights)
    if not asked.quick:
        bench("calibrate", "mine", "--quantizer", "tcq8", *data, *weights)
    start = asked.out / "weights" / "mine" / f"{asked.lmbda:g}.safetensors"
    bench(
        "finetune", "--from", start, "--recipe", asked.out / "tcq.toml", "--out", asked.out / "tcq", *data,
        "--variant", "mine-tcq", *weights,
    )  # fmt: skip

    suite = asked.out / "suite.toml"
    suite.write_text(SUITE.format(arch=asked.arch, lmbda=f"{asked.lmbda:g}", checkpoint=checkpoint.resolve()))
    results, report = asked.out / "results", asked.out / "report"
    bench("run", "suite", suite, "--out", results)
    formats = ("--format", "markdown", "--format", "csv") if asked.quick else ()
    bench("report", suite, "--results", results, "--anchor", anchor(), "--out", report, *formats)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--out", type=Path, default=Path("compressai-to-tcq"), help="where to write")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of CompressAI, instead of training one")
    parser.add_argument("--arch", default="bmshj2018-hyperprior", help="the checkpoint's architecture")
    parser.add_argument("--lmbda", type=float, default=0.013, help="of bits + lmbda * 255^2 * MSE")
    parser.add_argument("--quick", action="store_true", help="only show that every step runs")
    return parser.parse_args()


def bench(*words: object) -> None:
    """Run a command of bench, as `bench ...` in a shell does."""
    texts = [str(word) for word in words]
    print("$ bench", *texts, flush=True)
    build_app()(texts, standalone_mode=False)


def trained(split: Split, lmbda: float, path: Path, *, quick: bool) -> Path:
    """Train CompressAI's class in the plainest way, and write its state dict."""
    channels, steps, crop = ((8, 12), 5, 64) if quick else ((32, 64), 1200, 128)
    torch.manual_seed(0)
    model = ScaleHyperprior(*channels).train()
    crops = RandomCrops(load_for_training(split.train, crop), crop, 8, seed=1)
    quantiles = [p for name, p in model.named_parameters() if name.endswith("quantiles")]
    others = [p for name, p in model.named_parameters() if not name.endswith("quantiles")]
    adam = torch.optim.Adam(others, lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    medians = torch.optim.Adam(quantiles, lr=1e-2)
    for step in range(steps):
        x = crops.batch(step)
        out = model(x)
        bits = -sum(p.log2().sum() for p in out["likelihoods"].values())
        cost = bits / x[:, 0].numel() + lmbda * 255**2 * (out["x_hat"] - x).square().mean()
        adam.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(others, 5.0)
        adam.step()
        schedule.step()
        medians.zero_grad()
        model.aux_loss().backward()
        medians.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}: cost {cost.item():.3f}", flush=True)
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def write_images(split: Split, folder: Path, most: int = 4) -> None:
    """Write the middles of hold-out photographs: real images that the training did not see.

    Calibration looks at them, so figures that are to be quoted come from another dataset, such as kodak.
    """
    folder.mkdir(exist_ok=True)
    for number, x in enumerate(load_held_out(split.held_out[:most], "cpu", 64)):
        samples = (x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        PIL.Image.fromarray(samples).save(folder / f"{number}.png")


def anchor() -> str:
    """Return bpg where its programs are installed, else jpeg."""
    try:
        make_codec("bpg").version()
    except CodecUnavailableError as error:
        print(f"without BPG: {error}", flush=True)
        return "jpeg"
    return "bpg"


if __name__ == "__main__":
    main()
