"""Time our MS-SSIM against pytorch_msssim on real images, one thread each: `python tests/perf/ms_ssim.py`.

Prints a ratio of times from one run. JPEG qualities 5, 10, ..., 95 of each image share a reference, as in a
suite. Images come from the dataset named on the command line, else `demo`.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
import PIL.Image
import pytorch_msssim
import torch

from benchmark.arrays import Image
from benchmark.data.find import find_dataset
from benchmark.images import load_image
from benchmark.metrics.ms_ssim import MIN_SIDE_PIXELS, ms_ssim_rgb


def jpeg(image: Image, quality: int) -> Image:
    """Return the image as JPEG of this quality shows it."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    with PIL.Image.open(buffer) as file:
        return np.array(file)


def peer(a: Image, b: Image) -> float:
    """Return the MS-SSIM of pytorch_msssim, in float32 as it is commonly used."""
    x, y = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() for image in (a, b))
    return float(pytorch_msssim.ms_ssim(x, y, data_range=255))


def timed(
    metric: Callable[[Image, Image], float], pairs: list[tuple[Image, Image]]
) -> tuple[float, list[float]]:
    """Return the seconds for all pairs, and the values."""
    start = time.perf_counter()
    values = [metric(a, b) for a, b in pairs]
    return time.perf_counter() - start, values


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    name = sys.argv[1] if len(sys.argv) > 1 else "demo"
    images = [load_image(ref.path).pixels for ref in find_dataset(name).images]
    images = [image for image in images if min(image.shape[:2]) >= MIN_SIDE_PIXELS][:5]
    pairs = [(image, jpeg(image, quality)) for image in images for quality in range(5, 100, 5)]
    for metric in (ms_ssim_rgb, peer):
        metric(*pairs[0])  # compile, allocate
    rounds = [(timed(ms_ssim_rgb, pairs), timed(peer, pairs)) for _ in range(3)]
    (_, ours), (_, theirs) = rounds[0]
    ours_ms, peer_ms = (min(r[side][0] for r in rounds) / len(pairs) * 1e3 for side in (0, 1))
    difference = np.abs(np.subtract(ours, theirs)).max()
    print(f"{len(pairs)} pairs of {name}: ours {ours_ms:.1f} ms, pytorch_msssim {peer_ms:.1f} ms a pair")
    print(f"ratio {peer_ms / ours_ms:.1f}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
