"""Encoding plus decoding time of a Kodak image: ours against CompressAI's compress() and decompress().

Same weights (mbt2018-mean, N=128, M=192, random, but with a spread of latent magnitudes and matching scales),
same image, same number of threads, in turn in one process; the least of several rounds. Prints wall and
processor time, the ratio, what each quantizer adds, and where the time goes.

    python tests/perf/learned_vs_compressai.py IMAGE [--threads 1] [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from PIL import Image as PillowImage

from benchmark.arrays import Image
from benchmark.learned.architectures.loading import load_foreign
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from compressai.models import MeanScaleHyperprior as CompressaiModel

QUANTIZERS = ("scalar", "rdoq", "tcq4", "tcq8")
Timing = tuple[float, float]


def plausible_network(x: torch.Tensor) -> CompressaiModel:
    """Return CompressAI's network with latents from 0.03 to 30 and scales that fit them on image x."""
    torch.manual_seed(0)
    network = CompressaiModel(128, 192).eval()
    with torch.no_grad():
        wanted = torch.logspace(-1.5, 1.5, 192)
        gain = wanted / network.g_a(x).std((0, 2, 3))
        network.g_a[-1].weight.mul_(gain[:, None, None, None])
        network.g_a[-1].bias.mul_(gain)
        network.g_s[0].weight.div_(gain[:, None, None, None])
        network.h_s[-1].bias[:192] = wanted
    network.update(force=True)
    return network


def timed(work: Callable[[], Any]) -> Timing:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def least(rows: list[Timing]) -> Timing:
    return min(row[0] for row in rows), min(row[1] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    numba.set_num_threads(arguments.threads)
    image = np.asarray(PillowImage.open(arguments.image).convert("RGB"))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    theirs = plausible_network(x)
    ours = CodingModel(load_foreign(theirs.state_dict()), "00" * 32)
    report(compare(theirs, ours, x, image, arguments.rounds))
    split(ours, image, arguments.rounds)


def compare(
    theirs: CompressaiModel, ours: CodingModel, x: torch.Tensor, image: Image, rounds: int
) -> dict[str, Timing]:
    times: dict[str, list[Timing]] = {}
    with torch.inference_mode():
        strings = theirs.compress(x)
    print(f"CompressAI's bytes: {sum(len(part[0]) for part in strings['strings'])}")
    streams = {}
    for name in QUANTIZERS:
        streams[name] = pack(ours.encode(image, name, get_quantizer(name).default_settings()).container)
        ours.decode(unpack(streams[name]))
        print(f"our bytes, {name}: {len(streams[name])}")
    for _ in range(rounds):
        with torch.inference_mode():
            times.setdefault("compress", []).append(timed(lambda: theirs.compress(x)))
            times.setdefault("decompress", []).append(
                timed(lambda: theirs.decompress(strings["strings"], strings["shape"]))
            )
        for name in QUANTIZERS:
            settings = get_quantizer(name).default_settings()
            times.setdefault(f"encode {name}", []).append(
                timed(lambda n=name, s=settings: pack(ours.encode(image, n, s).container))  # type: ignore[misc]
            )
            times.setdefault(f"decode {name}", []).append(
                timed(lambda n=name: ours.decode(unpack(streams[n])))  # type: ignore[misc]
            )
    return {what: least(rows) for what, rows in times.items()}


def report(times: dict[str, Timing]) -> None:
    print(f"{torch.get_num_threads()} thread(s); milliseconds: wall, processor")
    for what, (wall, processor) in times.items():
        print(f"  {what:15} {wall * 1e3:8.1f} {processor * 1e3:8.1f}")
    for clock, label in ((0, "wall"), (1, "processor")):
        sums = [times[a][clock] + times[b][clock] for a, b in (("compress", "decompress"),)]
        our_sum = times["encode scalar"][clock] + times["decode scalar"][clock]
        print(f"CompressAI / ours, encode + decode, {label}: {sums[0] / our_sum:.2f}")
        for name in QUANTIZERS[1:]:
            added = [
                times[f"{step} {name}"][clock] / times[f"{step} scalar"][clock] - 1
                for step in ("encode", "decode")
            ]
            print(f"  {name} over scalar, {label}: encode {added[0]:+.1%}, decode {added[1]:+.1%}")


def split(model: CodingModel, image: Image, rounds: int) -> None:
    """Print where encoding and decoding spend their time, in milliseconds of processor time."""
    y, z = model.transforms.analysis(image)
    rows, columns = z.shape[2:]
    hyper = model.hyper_latents
    symbols = hyper.symbols(z)
    z_hat = hyper.dequantize(symbols).reshape(-1, rows, columns)
    hyper_stream = hyper.encode(symbols)
    mu, scale_index = (part.reshape(len(part), -1) for part in model.hyper_synthesis(z_hat))
    residual = y[0].flatten(1).numpy() - mu
    steps: dict[str, Callable[[], Any]] = {
        "g_a and h_a": lambda: model.transforms.analysis(image),
        "h_s, exact": lambda: model.hyper_synthesis(z_hat),
        "z encode": lambda: hyper.encode(symbols),
        "z decode": lambda: hyper.decode(hyper_stream, rows * columns),
        "g_s": lambda: model.transforms.synthesis(y[0].numpy()),
    }
    for name in QUANTIZERS:
        settings = get_quantizer(name).default_settings()
        coder = index_coder(get_quantizer(name), QuantizerSettings(settings.delta))
        indices = get_quantizer(name).quantize(residual, scale_index, settings)
        stream = coder.encode([indices], [scale_index], 1)
        steps |= {
            f"{name}: quantize": lambda n=name, s=settings: get_quantizer(n).quantize(
                residual, scale_index, s
            ),  # type: ignore[misc]
            f"{name}: y encode": lambda c=coder, i=indices: c.encode(i, scale_index, 1),  # type: ignore[misc]
            f"{name}: entropy estimate": lambda c=coder, i=indices: c.entropy_bits(i, scale_index),  # type: ignore[misc]
            f"{name}: y decode": lambda c=coder, b=stream: c.decode(b, scale_index, 1),  # type: ignore[misc]
            f"{name}: dequantize": lambda n=name, i=indices, s=settings: get_quantizer(n).dequantize(
                i, scale_index, s
            ),  # type: ignore[misc]
            f"{name}: tables, once": lambda n=name, s=settings: (
                index_coder.__wrapped__(n, s)._alphabets.models
            ),  # type: ignore[misc]
        }
    print("split, milliseconds of processor time (the least of the rounds)")
    for what, work in steps.items():
        work()
        print(f"  {what:26} {least([timed(work) for _ in range(rounds)])[1] * 1e3:8.2f}")


if __name__ == "__main__":
    main()
