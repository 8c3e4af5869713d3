"""What refinement at the encoder saves, and what it costs: rate against encoding time, on photographs.

Every codec is compared with itself without refinement, on real bitstreams of the middles (256x256) of
photographs of the hold-out set, at four lambdas. Prints BD-rate (PSNR, mean curves) and the processor seconds
that encoding a megapixel takes, as a ratio to no refinement; draws both.

    python tests/perf/refinement.py PHOTOGRAPHS --codec patch --codec patch-tcq8 --plot refinement.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from bjontegaard import bd_rate

from benchmark.arrays import F64, Image
from benchmark.codecs import make_codec
from benchmark.runs.target import Probe
from benchmark.training.data import load_held_out, split_photographs

LMBDAS = (0.0018, 0.0067, 0.025, 0.0483)
STEPS = (0, 25, 50, 100, 200)


def photographs(folder: Path, every: int) -> list[Image]:
    """Return the middle of every `every`-th hold-out photograph."""
    crops = load_held_out(split_photographs(folder).held_out[::every], "cpu", 64)
    return [np.ascontiguousarray((crop[0] * 255).round().byte().permute(1, 2, 0).numpy()) for crop in crops]


def measured(name: str, steps: int, images: Sequence[Image]) -> tuple[F64, F64, float]:
    """Return mean bpp and mean PSNR by lmbda, and the processor seconds of encoding a megapixel."""
    codec = make_codec(name, {"refine": steps})
    bpp, psnr, seconds = np.zeros(len(LMBDAS)), np.zeros(len(LMBDAS)), 0.0
    for i, lmbda in enumerate(LMBDAS):
        codec.prepare(lmbda)
        for image in images:
            start = time.process_time()
            stream = codec.encode(image, lmbda)
            seconds += time.process_time() - start
            probe = Probe(codec, image, lmbda, stream)
            bpp[i] += probe.bpp / len(images)
            psnr[i] += probe.psnr / len(images)
    return bpp, psnr, 1e6 * seconds / (len(LMBDAS) * sum(image[:, :, 0].size for image in images))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--codec", action="append", required=True)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = photographs(arguments.photographs, arguments.every)
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    print(f"{len(images)} crops; lambdas {LMBDAS}")
    for name in arguments.codec:
        anchor = measured(name, 0, images)
        saved, times = [0.0], [anchor[2]]
        for steps in STEPS[1:]:
            bpp, psnr, seconds = measured(name, steps, images)
            found = bd_rate(anchor[0], anchor[1], bpp, psnr, method="pchip")
            print(
                f"{name}, {steps} steps: BD-rate {found:+.2f} %, {seconds:.1f} s/MP to encode "
                f"({seconds / anchor[2]:.0f} times {anchor[2]:.2f})",
                flush=True,
            )
            saved.append(-found)
            times.append(seconds)
        axes.plot(times, saved, marker="o", label=name)
    axes.set(
        xscale="log",
        xlabel="Encoding time (processor seconds per megapixel)",
        ylabel="Rate saved at equal PSNR (%)",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    if arguments.plot:
        figure.savefig(arguments.plot, dpi=160)


if __name__ == "__main__":
    main()
