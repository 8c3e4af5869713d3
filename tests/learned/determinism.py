"""Encodes in one process and decodes in others, under other thread counts and layouts: is everything equal?

    python tests/learned/determinism.py [--pairs 1000] [--channels 8 12] [--side 200] [--variant patch]

Each pair is an image encoded here with 1 thread; a worker decodes the bytes with 1 or 2 threads, its weights
in channels-last or contiguous layout, and returns hashes of the latents and of the pixels. Exit status 1 if
any latent differs. Pixels go through float32 sums, which may differ between kinds of processors; the number
of images that differ here is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
from dataclasses import dataclass
from itertools import product

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from tiny_model import IDENTITY, photograph_like, shipped_network, tiny_network

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer

QUANTIZERS = ("scalar", "rdoq", "tcq4", "tcq8")


@dataclass(frozen=True)
class Setting:
    """How a worker decodes."""

    threads: int
    channels_last: bool
    size: tuple[int, int]
    """N and M of the tiny network."""
    variant: str | None = None
    """A network of the package in its place."""


SETTINGS = tuple(product((1, 2), (False, True)))


def make_model(setting: Setting) -> CodingModel:
    torch.set_num_threads(setting.threads)
    numba.set_num_threads(min(setting.threads, numba.config.NUMBA_NUM_THREADS))
    network: Architecture = tiny_network(0, *setting.size)
    if setting.variant is not None:
        network = shipped_network(setting.variant)
    if setting.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return CodingModel(network, IDENTITY)


def digest(*arrays: NDArray[np.generic]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def decode_all(setting: Setting, streams: list[bytes]) -> list[tuple[str, str]]:
    """Return a hash of indices, mu and scale indices, and one of the pixels, for each stream."""
    model = make_model(setting)
    containers = [unpack(stream) for stream in streams]
    return [(digest(*model.decode_latents(each)), digest(model.decode(each))) for each in containers]


def compare(
    pairs: int, size: tuple[int, int], side: int, *, fresh: bool, variant: str | None = None
) -> tuple[int, int]:
    """Return how many of `pairs` decodings differ in their latents, and how many in their pixels.

    `fresh`: a new process for each setting, else one process for all.
    """
    here = Setting(1, False, size, variant)
    model = make_model(here)
    rng = np.random.default_rng(0)
    streams = []
    for seed in range(-(-pairs // len(SETTINGS))):
        image = photograph_like(*rng.integers(1, side, 2), seed)
        name = QUANTIZERS[seed % len(QUANTIZERS)]
        streams.append(pack(model.encode(image, name, get_quantizer(name).default_settings()).container))
    expected = decode_all(here, streams)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1 if fresh else None) as pool:
        jobs = [(Setting(*setting, size, variant), streams) for setting in SETTINGS]
        results = pool.starmap(decode_all, jobs, chunksize=1)
    flat = [(mine, theirs) for result in results for mine, theirs in zip(expected, result, strict=True)][
        :pairs
    ]
    return sum(a[0] != b[0] for a, b in flat), sum(a[1] != b[1] for a, b in flat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--channels", type=int, nargs=2, default=(8, 12), metavar=("N", "M"))
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--variant", help="a network of the package, such as patch, in place of the tiny one")
    arguments = parser.parse_args()
    latents, pixels = compare(
        arguments.pairs, tuple(arguments.channels), arguments.side, fresh=True, variant=arguments.variant
    )
    print(f"{arguments.pairs} pairs: {latents} differ in latents, {pixels} in pixels")
    sys.exit(latents > 0)


if __name__ == "__main__":
    main()
