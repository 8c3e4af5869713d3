"""Layers of embedded indices: what is split in each, to bytes and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from benchmark.arrays import I32, U8, U16, Intp
from benchmark.errors import BitstreamError
from benchmark.learned.coding.ans import Alphabets, check_end, from_bytes, pop, push, seeded, to_bytes
from benchmark.learned.coding.embedded import Embedding, entropy_bits

_LARGEST = 2**22


@dataclass(frozen=True)
class Chunk:
    """Flat values that are coded by their contexts' tables."""

    values: I32
    contexts: U8 | U16
    alphabets: Alphabets


@dataclass(frozen=True)
class Layer:
    """What a layer holds, in the order in which it is decoded."""

    chunks: Sequence[Chunk]

    def checksum(self, seed: int) -> int:
        """Return a CRC-32 of the values that goes on from `seed`, which stands for all before; never 0."""
        return _checksum([chunk.values for chunk in self.chunks], seed)

    def encode(self, checksum: int) -> bytes:
        """Return the layer's stream: the coder is a stack that begins with the checksum."""
        coder = seeded(checksum)
        for chunk in reversed(self.chunks):
            push(coder, chunk.values, chunk.contexts, chunk.alphabets)
        return to_bytes(coder)

    def entropy_bits(self) -> float:
        """Return the information content of the layer in bits."""
        return sum(entropy_bits(chunk.values, chunk.contexts, chunk.alphabets) for chunk in self.chunks)


def layers(embedding: Embedding, indices: I32, scale_index: U8, amount: int) -> Iterator[Layer]:
    """Yield the first layers of the last plane's indices, flat, with their scale indices."""
    for number in range(amount):
        chunks = []
        if number == 0:
            chunks.append(Chunk(embedding.at(indices, 0), scale_index, embedding.coarsest))
        for plane in range(embedding.planes):
            some = _places(embedding, number, plane, scale_index)
            before, after = (embedding.at(indices[some], p) for p in (plane, plane + 1))
            contexts = embedding.contexts(before, scale_index[some])
            chunks.append(Chunk(embedding.split(before, after), contexts, embedding.splits[plane]))
        yield Layer(chunks)


def read_layers(embedding: Embedding, streams: Sequence[bytes], scale_index: U8, seed: int) -> I32:
    """Return flat int32 indices as far as these layers, the first ones, refine them.

    `seed` is the checksum of what stands before the first layer. Raises BitstreamError for a layer that does
    not end where its symbols do: it is damaged, or not the one that belongs there.
    """
    indices = np.zeros(len(scale_index), np.int32)
    for number, stream in enumerate(streams):
        coder, values = from_bytes(stream), []
        if number == 0:
            indices = pop(coder, scale_index, embedding.coarsest)
            values.append(indices.copy())  # for the checksum: they are refined in place
            if np.abs(indices.astype(np.int64)).max(initial=0) > _LARGEST:
                raise BitstreamError("the first layer holds an index that no latent has: it is damaged")
        for plane in range(embedding.planes):
            some = _places(embedding, number, plane, scale_index)
            contexts = embedding.contexts(indices[some], scale_index[some])
            values.append(pop(coder, contexts, embedding.splits[plane]))
            indices[some] = embedding.refined(indices[some], values[-1])
        seed = _checksum(values, seed)
        check_end(coder, seed, f"layer {number + 1}'s")
    return indices


def _places(embedding: Embedding, number: int, plane: int, scale_index: U8) -> Intp:
    """Return where a layer splits cells of a plane."""
    return np.flatnonzero((embedding.layers[plane] == number)[scale_index])


def _checksum(values: Sequence[I32], seed: int) -> int:
    for part in values:
        seed = crc32(part.astype("<i4").tobytes(), seed)
    return max(seed, 1)
