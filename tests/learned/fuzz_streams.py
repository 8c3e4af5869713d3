"""Mutates streams and decodes them: only BitstreamError, or the picture, within a second of the processor.

    python tests/learned/fuzz_streams.py [--mutations 100000] [--seed 0] [--variant patch]

Two in three mutants get a right checksum again, so that they reach the entropy decoder. The latents' own
checksum leaves one chance in 2^32 that one decodes all the same.
"""

from __future__ import annotations

import argparse
import struct
import time
import zlib
from collections import Counter

import numpy as np
import torch
from tiny_model import IDENTITY, photograph_like, shipped_network, tiny_model

from benchmark.errors import BitstreamError
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer

LIMIT_SECONDS = 1.0
SIZES = ((1, 1), (70, 40), (128, 128))


def corpus(model: CodingModel) -> list[bytes]:
    """Return six streams of at most a few hundred bytes each."""
    return [
        pack(
            model.encode(photograph_like(*size, seed), name, get_quantizer(name).default_settings()).container
        )
        for name in ("scalar", "tcq8")
        for seed, size in enumerate(SIZES)
    ]


def mutate(rng: np.random.Generator, streams: list[bytes]) -> bytes:
    """Return a stream with some bytes flipped, cut, repeated, replaced, or taken from another stream."""
    data = bytearray(streams[rng.integers(len(streams))])
    for _ in range(rng.integers(1, 4)):
        at, other = rng.integers(len(data) + 1), streams[rng.integers(len(streams))]
        match rng.integers(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.integers(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.bytes(rng.integers(1, 9))
            case 3:
                data[at:] = other[min(at, len(other)) :]
            case 4:
                data[8:16] = rng.bytes(8)
            case _:
                data[at : at + rng.integers(1, 20)] = bytes([rng.choice([0, 0x7F, 0x80, 0xFF])])
    if rng.random() < 2 / 3 and len(data) > 4:
        data[-4:] = struct.pack("<I", zlib.crc32(data[:-4]))
    return bytes(data)


def attempt(model: CodingModel, data: bytes) -> str:
    """Decode `data`; return what came of it. Raises AssertionError for what must not be."""
    start = time.process_time()
    stage = "container"
    try:
        container = unpack(data)
        if container.header.model_id != model.model_id:
            return "refused: model"
        stage = "streams"
        model.decode_latents(container)
    except BitstreamError as error:
        elapsed = time.process_time() - start
        assert elapsed < LIMIT_SECONDS, f"{elapsed:.2f} s to refuse: {error}"
        return f"refused: {stage}"
    header = container.header
    image = model.decode(container)
    assert image.shape == (header.height, header.width, 3)
    return "decoded"


def fuzz(mutations: int, seed: int = 0, variant: str | None = None) -> Counter[str]:
    """Return how many mutants ended in which way; those equal to a stream of the corpus are not counted."""
    model = CodingModel(shipped_network(variant), IDENTITY) if variant else tiny_model()
    streams = corpus(model)
    rng = np.random.default_rng(seed)
    outcomes: Counter[str] = Counter()
    while outcomes.total() < mutations:
        data = mutate(rng, streams)
        if data in streams:
            continue
        try:
            outcomes[attempt(model, data)] += 1
        except BaseException:
            print(f"fails on {data.hex()}")
            raise
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", help="a network of the package, such as patch, in place of the tiny one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for outcome, count in fuzz(arguments.mutations, arguments.seed, arguments.variant).most_common():
        print(f"{count:8} {outcome}")


if __name__ == "__main__":
    main()
