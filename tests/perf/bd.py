"""How fast the analysis is: the batched BD-rate against the package, and the growth from 1e4 to 1e6 rows.

Run: python tests/perf/bd.py
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from bjontegaard import bd_rate

from benchmark.analysis import compare, compare_all
from benchmark.analysis.pchip import bd_batch, fronts


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the best processor time of `repeats`, which a busy machine does not change."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def frame(codecs: int, points: int, images: int) -> pd.DataFrame:
    """Make synthetic results with the columns that the analysis reads."""
    codec, point, image = (
        a.ravel() for a in np.meshgrid(*map(np.arange, (codecs, points, images)), indexing="ij")
    )
    rng = np.random.default_rng(0)
    log2_rate = -2.5 + 4 * point / points
    return pd.DataFrame(
        {
            "dataset": "synthetic",
            "dataset_size": images,
            "codec": np.char.add("codec", codec.astype(str)),
            "codec_id": np.char.add("codec", codec.astype(str)),
            "point": point.astype(float),
            "image": np.char.add("image", image.astype(str)),
            "image_sha256": np.char.add("sha", image.astype(str)),
            "status": "ok",
            "width": 768,
            "height": 512,
            "bpp": 2**log2_rate * (1 + 0.02 * codec),
            "psnr_rgb": 32
            + rng.normal(0, 3, images)[image]
            + 5.5 * log2_rate
            + rng.normal(0, 0.05, len(codec)),
            "protocol": "{}",
            "started_at": "2026-01-01",
        }
    )


def against_the_package() -> None:
    """Print the time of 10,000 BD-rates by the batch and by the package (which is timed on 500 of them)."""
    rng = np.random.default_rng(0)
    rates = 0.05 * 2 ** np.cumsum(rng.uniform(0.3, 0.6, (2, 10_000, 10)), axis=2)
    qualities = 24 + np.cumsum(rng.uniform(1, 3, (2, 10_000, 10)), axis=2)
    ours = seconds(lambda: bd_batch(fronts(rates[0], qualities[0]), fronts(rates[1], qualities[1])))
    pairs = list(zip(rates[0], qualities[0], rates[1], qualities[1], strict=True))[:500]
    theirs = seconds(lambda: [bd_rate(*pair, method="pchip", min_overlap=0) for pair in pairs]) * 20
    ratio = f"{theirs / ours:.0f} times faster"
    print(f"10,000 BD-rates of 10 points: batch {ours:.3f} s, package {theirs:.1f} s: {ratio}")


def main() -> None:
    """Print the figures."""
    against_the_package()
    kodak = frame(2, 19, 24)
    both = seconds(lambda: compare(kodak, "codec1", "codec0"))
    print(f"Kodak, 19 points, both figures with 10,000 resamples: {both:.3f} s")
    for codecs, points, images in ((20, 10, 50), (50, 10, 200), (50, 20, 1000), (10, 10, 10_000)):
        rows = frame(codecs, points, images)
        elapsed = seconds(partial(compare_all, rows, "codec0"), 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{len(rows):>9,} rows ({codecs} codecs, {points} points, {images} images): all against one, "
            f"{elapsed:.2f} s of processor time, peak {peak:.2f} GiB"
        )


if __name__ == "__main__":
    main()
