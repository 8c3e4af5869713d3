"""Mutates every binary format that is ours and reads it: it is refused in words, or read, within a second.

    python tests/faults/mutations.py [--mutations 100000] [--seed 0] [--format NAME]

Flips bits, cuts, repeats, replaces and splices bytes. `refused` mutants raise an error of this package;
`read` ones are read (an altered payload can be another right one, where the format has no checksum). Any
other exception, and a reader that takes longer than a second of the processor, ends the script and prints the
bytes. Streams of the learned codecs are `tests/learned/fuzz_streams.py`'s: mutants with right checksums.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.codecs import make_codec
from benchmark.codecs.container import Container
from benchmark.errors import BenchError
from benchmark.results.journal import JOURNAL
from benchmark.results.records import Record
from benchmark.results.store import TABLE, Store, read_results

LIMIT_SECONDS = 1.0


@dataclass(frozen=True)
class Format:
    """A format: streams that are right, what reads them, and whether none that is altered may be read."""

    corpus: Sequence[bytes]
    read: Callable[[bytes], object]
    checked: bool = False


def _image(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (5 + seed, 7, 3), dtype=np.uint8)


def _container(folder: Path) -> Format:
    corpus = [Container("jpeg", {"subsampling": "4:4:4"}, 50.0, bytes(range(n))).pack() for n in (0, 9, 99)]
    return Format(corpus, lambda data: Container.unpack(data, "mutant"))


def _null(folder: Path) -> Format:
    codec = make_codec("null")
    return Format([codec.encode(_image(n), depth) for n, depth in enumerate((8, 10, 16))], codec.decode)


def _vtm(folder: Path) -> Format:
    from benchmark.codecs.jvet import VtmCodec

    codec = VtmCodec("vtm")
    return Format([b"\x20\x00\x10\x00" + bytes(range(40)), b"\xff\xff\xff\xff\x00"], codec.payload)


def _zoo(folder: Path) -> Format:
    from benchmark.zoo.bitstream import Stream, pack, unpack

    corpus = [pack(Stream(b"idid", point, 70, 40, 7, [b"abc", b"defg"])) for point in (None, 3.0, 0.25)]
    return Format(corpus, lambda data: unpack(data, 2), checked=True)


def _record(n: int) -> Record:
    return Record("s", "d", 2, 2, "jpeg", "jpeg", "{}", float(n), "a.png", "0" * 64, "ok", bpp=1.5 * n)


def _table(folder: Path) -> Format:
    with Store(folder / "made") as store:
        store.append([_record(n) for n in range(20)])
    path = folder / TABLE

    right = read_results(folder / "made")

    def read(data: bytes) -> object:
        path.write_bytes(data)
        # Where the digest's name is altered it is taken for another program's; pages have checksums too.
        assert read_results(path).equals(right), "altered values were read"
        return right

    return Format([(folder / "made" / TABLE).read_bytes()], read)


def _journal(folder: Path) -> Format:
    store = folder / "journal"
    with Store(store) as opened:
        opened.append([_record(n) for n in range(3)])
        lines = (store / JOURNAL).read_bytes()

    def read(data: bytes) -> object:
        (store / JOURNAL).write_bytes(data)
        return read_results(store)

    return Format([lines], read)


def _weights(folder: Path) -> Format:
    import torch

    from benchmark.learned.weights import read_weights, write_weights

    state = {"g_a.weight": torch.arange(24.0).reshape(4, 6), "g_a.bias": torch.ones(4)}
    file = write_weights(folder, state, network={}, variant="tiny", lmbda=0.01, settings={}, provenance={})
    path = folder / "mutant.safetensors"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return read_weights(path, folder)

    return Format([file.read_bytes()], read)


FORMATS: dict[str, Callable[[Path], Format]] = {
    "file of bench encode": _container,
    "null stream": _null,
    "size before a VVC stream": _vtm,
    "stream of a CompressAI model": _zoo,
    "results.parquet": _table,
    "journal": _journal,
    "weights": _weights,
}


def mutate(rng: np.random.Generator, corpus: Sequence[bytes]) -> bytes:
    """Return one of `corpus` with some bytes flipped, cut, inserted, replaced, or taken from another."""
    data = bytearray(corpus[rng.integers(len(corpus))])
    for _ in range(rng.integers(1, 4)):
        at, other = int(rng.integers(len(data) + 1)), corpus[rng.integers(len(corpus))]
        match rng.integers(5):
            case 0 if at < len(data):
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                data[at:] = other[min(at, len(other)) :]
            case _:
                data[at : at + int(rng.integers(1, 20))] = bytes([rng.choice([0, 0x7F, 0x80, 0xFF])])
    return bytes(data)


def mutants(found: Format, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield mutants that are none of the corpus, without end."""
    while True:
        data = mutate(rng, found.corpus)
        if data not in found.corpus:
            yield data


def attempt(found: Format, data: bytes) -> str:
    """Read a mutant; return what came of it. Raises what is no refusal, AssertionError for a slow one."""
    start = time.process_time()
    try:
        found.read(data)
        outcome = "read"
    except BenchError:
        outcome = "refused"
    elapsed = time.process_time() - start
    assert elapsed < LIMIT_SECONDS, f"{elapsed:.2f} s until {outcome}"
    assert not (found.checked and outcome == "read"), "an altered file was read"
    return outcome


def run(name: str, mutations: int, seed: int = 0) -> Counter[str]:
    """Return how many mutants of a format ended in which way."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        found = FORMATS[name](Path(folder))
        for data in found.corpus[:1]:
            found.read(data)  # what is not altered is read
        for _, data in zip(range(mutations), mutants(found, np.random.default_rng(seed)), strict=False):
            try:
                outcomes[attempt(found, data)] += 1
            except BaseException:
                print(f"{name} fails on {data.hex()}")
                raise
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=FORMATS, help="this one alone")
    arguments = parser.parse_args()
    print("| format | mutants | refused | read |\n|---|---|---|---|")
    for name in [arguments.format] if arguments.format else FORMATS:
        found = run(name, arguments.mutations, arguments.seed)
        print(f"| {name} | {found.total():,} | {found['refused']:,} | {found['read']:,} |", flush=True)


if __name__ == "__main__":
    main()
