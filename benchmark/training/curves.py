"""The loss curve of a training as a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.training.checkpoint import Course


def draw_course(course: Course, recipe: Mapping[str, Any], png: Path) -> None:
    """Draw loss, rate and distortion over the steps of `course` to `png`.

    Dots are windows of 50 training steps, the line is their running mean, diamonds are validations.
    """
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    logged = {key: np.array([entry[key] for entry in course.losses]) for key in ("step", "bpp", "mse")}
    lmbda = recipe["lmbda"]
    values = {
        "RD cost (bpp + λ · MSE)": (logged["bpp"] + lmbda * logged["mse"], "cost"),
        "rate (bpp)": (logged["bpp"], "bpp"),
        "PSNR (dB)": (10 * np.log10(255.0**2 / logged["mse"]), "psnr"),
    }
    figure, axes = plt.subplots(3, 1, figsize=(7, 8), sharex=True, layout="constrained")
    width = max(1, min(10, len(logged["step"]) // 5))
    for axis, (label, (training, key)) in zip(axes, values.items(), strict=True):
        axis.plot(logged["step"], training, ".", color="0.75", markersize=4, label="training, 50 steps each")
        smooth = np.convolve(training, np.ones(width) / width, mode="valid")
        axis.plot(logged["step"][width - 1 :], smooth, color="#0072b2", label="training, running mean")
        steps = [entry["step"] for entry in course.validations]
        axis.plot(
            steps,
            [entry[key] for entry in course.validations],
            "D",
            color="#d55e00",
            label="hold-out photographs",
        )
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    axes[0].set_title(f"{recipe['description']}, λ = {lmbda:g}", fontsize=10)
    axes[-1].set_xlabel("step")
    figure.savefig(png, dpi=120)
    plt.close(figure)
