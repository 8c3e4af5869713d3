"""The two entropy coders at hand, compressai.ans and constriction, on the same Kodak-sized indices.

    python tests/perf/entropy_coders.py [--rounds 7]

192 x 1536 indices with scales like a trained model's. compressai.ans is given CompressAI's own tables, and
lists, as its interface asks; for the trellis it would need one call a position, which is timed over a part.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.tables import SCALE_TABLE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from compressai.ans import RansDecoder, RansEncoder

CHANNELS, LENGTH = 192, 1536


def milliseconds(work: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    base = np.where(rng.random((CHANNELS, 1)) < 0.3, 0, rng.integers(0, 45, (CHANNELS, 1)))
    scale_index = np.clip(base + rng.integers(-4, 5, (CHANNELS, LENGTH)), 0, 63).astype(np.uint8)
    residual = (rng.standard_normal(scale_index.shape) * SCALE_TABLE[scale_index]).astype(np.float32)
    print("milliseconds of processor time: encode, decode; bytes")
    for name in ("scalar", "tcq8"):
        quantizer = get_quantizer(name)
        settings = quantizer.default_settings()
        indices = quantizer.quantize(residual, scale_index, settings)
        coder = index_coder(get_quantizer(name), settings)
        stream = coder.encode([indices], [scale_index], 1)
        encode = milliseconds(lambda: coder.encode([indices], [scale_index], 1), rounds)  # noqa: B023
        decode = milliseconds(lambda: coder.read(stream).step(scale_index), rounds)  # noqa: B023
        print(f"  constriction, {name:7} {encode:8.1f} {decode:8.1f} {len(stream):8}")
    compressai_times(np.rint(residual).astype(np.int32), scale_index, rounds)


def compressai_times(indices: np.ndarray, scale_index: np.ndarray, rounds: int) -> None:
    conditional = MeanScaleHyperprior(8, 12).gaussian_conditional
    conditional.update_scale_table(SCALE_TABLE.tolist())
    cdf: torch.Tensor = conditional.quantized_cdf

    def tables() -> tuple[Any, Any, Any]:
        return cdf.tolist(), conditional.cdf_length.tolist(), conditional.offset.tolist()

    def encode() -> bytes:
        stream: bytes = RansEncoder().encode_with_indexes(
            indices.ravel().tolist(), scale_index.ravel().tolist(), *tables()
        )
        return stream

    stream = encode()
    decode = milliseconds(
        lambda: RansDecoder().decode_with_indexes(stream, scale_index.ravel().tolist(), *tables()), rounds
    )
    print(f"  compressai.ans, scalar {milliseconds(encode, rounds):6.1f} {decode:8.1f} {len(stream):8}")
    decoder, some = RansDecoder(), 20
    decoder.set_stream(stream)
    made = tables()
    part = milliseconds(
        lambda: [decoder.decode_stream(scale_index[:, t].tolist(), *made) for t in range(some)], 1
    )
    print(f"  compressai.ans, one call a position: decode {part / some * LENGTH:.0f} (extrapolated)")


if __name__ == "__main__":
    main()
