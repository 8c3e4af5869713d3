"""Peak resident memory and time of coding one large image with an N=128, M=192 network.

python tests/perf/learned_memory.py [--width 4000] [--height 3000] [--quantizer tcq8] [--variant patch]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.weights import load_model


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def untrained() -> Architecture:
    torch.manual_seed(0)
    network = MeanScaleHyperprior(128, 192, linear_branch=True).eval()
    with torch.no_grad():
        network.h_s[-1].bias[:192] = torch.logspace(-1.0, 0.5, 192)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--quantizer", default="tcq8")
    parser.add_argument("--variant", help="a network of the package, such as patch, at lmbda 0.013")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = load_model(arguments.variant, 0.013)[0] if arguments.variant else untrained()
    model = CodingModel(network, "00" * 32)
    columns, rows = np.arange(arguments.width), np.arange(arguments.height)[:, None]
    grey = (128 + 60 * np.sin(columns / 50) * np.cos(rows / 70)).astype(np.uint8)
    image = np.stack([grey, np.roll(grey, 100, 0), np.roll(grey, 100, 1)], axis=2)
    settings = get_quantizer(arguments.quantizer).default_settings()
    model.decode(model.encode(image[:64, :64], arguments.quantizer, settings).container)
    print(f"ready: peak {peak_mib():.0f} MiB")
    start = time.process_time()
    stream = pack(model.encode(image, arguments.quantizer, settings).container)
    print(f"encoded to {len(stream)} bytes: {time.process_time() - start:.1f} s, peak {peak_mib():.0f} MiB")
    start = time.process_time()
    decoded = model.decode(unpack(stream))
    print(f"decoded {decoded.shape}: {time.process_time() - start:.1f} s, peak {peak_mib():.0f} MiB")


if __name__ == "__main__":
    main()
