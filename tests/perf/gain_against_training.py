"""Draws docs/gain-against-training.csv: what finetuning saves, against the training of the network before it.

    python tests/perf/gain_against_training.py

The figures are those of `bench compare` on Kodak: BD-rate by PSNR, mean of per-image values, 95 % interval.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    rows = pd.read_csv(DOCS / "gain-against-training.csv")
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for quantizer, group in rows.groupby("quantizer", sort=False):
        saved = -group["bd_rate"]
        errors = [saved + group["high"], -group["low"] - saved]
        axes.errorbar(
            group["pixels"] / 1e9, saved, yerr=errors, marker="o", linestyle="", capsize=3, label=quantizer
        )
    best = rows.loc[rows.groupby("network", sort=False)["bd_rate"].idxmin()]  # a network's name once
    for x, y, name in zip(best["pixels"] / 1e9, -best["bd_rate"], best["network"], strict=True):
        late = x > 0.8 * rows["pixels"].max() / 1e9  # labels stay inside
        place, side = ((-7, 4), "right") if late else ((7, 4), "left")
        axes.annotate(name, (x, y), xytext=place, textcoords="offset points", fontsize=8, ha=side)
    axes.set(xlabel="Training before finetuning ($10^9$ pixels)", ylabel="Rate saved by finetuning (%)")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.margins(x=0.1)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1, 0.35))
    figure.savefig(DOCS / "gain-against-training.png", dpi=160)


if __name__ == "__main__":
    main()
