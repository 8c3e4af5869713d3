"""Integers to bytes and back: the hyper-latents and the quantization indices through an ANS coder.

The coder is the `constriction` package's (asymmetric numeral systems, 64-bit state, 24-bit frequencies).
Every frequency comes from tables that are the same bits on every machine, by operations that IEEE-754 rounds
correctly, so a stream reads alike everywhere.

Samples that share a table are coded together, one call a table. With trellis-coded quantization the table of
a sample hangs on the parities before it in its channel, so an index goes in two parts, by the chain rule
P(k) = P(parity) * P(k | parity): the parities first, position by position and all channels at once, which
fixes every state; then the rest, grouped by table like the scalar case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import constriction
import numpy as np
from numpy.typing import NDArray

from benchmark.arrays import F64, I32, I64, U8, U16, Bools
from benchmark.errors import BitstreamError

# constriction's submodules are attributes: no import statement reaches into them
AnsCoder = constriction.stream.stack.AnsCoder
Categorical = constriction.stream.model.Categorical
Uniform = constriction.stream.model.Uniform

Coder: TypeAlias = Any
"""An AnsCoder (constriction has no type stubs)."""
Contexts = U8 | U16

FREQUENCY_BITS = 20
"""Probabilities are rounded to multiples of 2^-20 (and up to one of them) before they become frequencies."""
_LARGEST_EXPONENT = 31
_CHUNK_BITS = 16


@dataclass(frozen=True)
class Alphabets:
    """What each context codes: `first + step * i` for i in 0 .. count - 1 by table, and all else by escape.

    `frequencies[context]` holds count + 1 positive integers, the escape's last; they need not add up to
    anything in particular.
    """

    first: I64
    count: I64
    step: int
    frequencies: Sequence[I64]

    @cached_property
    def models(self) -> list[Any]:
        """Return one entropy model a context, scaled from the integers by one division: no free order."""
        return [Categorical(row.astype(np.float64), perfect=False) for row in self.frequencies]


def frequencies(probabilities: F64) -> I64:
    """Return integer frequencies of `probabilities`: nearest multiple of 2^-20, at least one."""
    multiples = np.rint(np.ldexp(probabilities, FREQUENCY_BITS)).astype(np.int64)
    positive: I64 = np.maximum(multiples, 1)
    return positive


def to_bytes(coder: Coder) -> bytes:
    """Return the coder's words, little-endian, without the zero bytes at the end of the last word."""
    words: NDArray[np.uint32] = coder.get_compressed()
    return words.astype("<u4").tobytes().rstrip(b"\0")


def from_bytes(stream: bytes) -> Coder:
    """Return a coder that decodes what `to_bytes` wrote. Raises BitstreamError for other streams."""
    if stream.endswith(b"\0"):
        raise BitstreamError("an entropy-coded stream ends in a zero byte, which no encoder writes")
    words = np.frombuffer(stream + bytes(-len(stream) % 4), dtype="<u4")
    return AnsCoder(words.astype(np.uint32))


def seeded(seed: int) -> Coder:
    """Return a coder that holds the 32 bits of `seed` (not 0), which `check_end` looks for after decoding.

    An ANS coder that starts empty wastes up to 24 bits, one that starts so wastes none: the check is
    nearly free, and binds a stream to what the seed was computed from.
    """
    return AnsCoder(np.array([seed], np.uint32))


def check_end(coder: Coder, seed: int, what: str) -> None:
    """Raise BitstreamError unless decoding has left just the seed (0: nothing).

    With a seed that is a checksum of the symbols, damage and foreign tables pass once in 2^32.
    """
    if coder.num_words() != (seed != 0) or (seed and int(coder.get_compressed()[0]) != seed):
        raise BitstreamError(f"the {what} stream does not end where its symbols do: it is damaged or foreign")


def push(coder: Coder, values: I32, contexts: Contexts, alphabets: Alphabets) -> None:
    """Put `values` (flat) on the coder, each by its context's table; `pop` takes them off."""
    symbols = values.astype(np.int64) - alphabets.first[contexts]
    if alphabets.step > 1:
        symbols //= alphabets.step
    count = alphabets.count[contexts]
    escaped = (symbols < 0) | (symbols >= count)
    if escaped.any():
        below = symbols[escaped] < 0
        _push_escapes(coder, np.where(below, -1 - symbols[escaped], symbols[escaped] - count[escaped]), below)
        symbols[escaped] = count[escaped]
    order = np.argsort(contexts, kind="stable")
    by_context = symbols[order].astype(np.int32)
    ends = np.cumsum(np.bincount(contexts, minlength=len(alphabets.first)))
    end = len(order)
    for context in range(len(ends) - 1, -1, -1):
        start = int(ends[context - 1]) if context else 0
        if start < end:
            coder.encode_reverse(by_context[start:end], alphabets.models[context])
        end = start


def pop(coder: Coder, contexts: Contexts, alphabets: Alphabets) -> I32:
    """Take the values of `contexts` (flat) off the coder.

    Raises BitstreamError for an escape that no int32 holds. Time and memory are linear in len(contexts),
    whatever the bytes are.
    """
    order = np.argsort(contexts, kind="stable")
    by_context = np.empty(len(order), np.int32)
    start = 0
    for context, amount in enumerate(np.bincount(contexts, minlength=len(alphabets.first))):
        if amount:
            by_context[start : start + amount] = coder.decode(alphabets.models[context], int(amount))
            start += int(amount)
    symbols = np.empty(len(order), np.int64)
    symbols[order] = by_context
    escaped = np.flatnonzero(symbols == alphabets.count[contexts])
    if len(escaped):
        distance, below = _pop_escapes(coder, len(escaped))
        symbols[escaped] = np.where(below, -1 - distance, symbols[escaped] + distance)
    values = alphabets.first[contexts] + alphabets.step * symbols
    if len(escaped) and np.abs(values[escaped]).max() > np.iinfo(np.int32).max:
        raise BitstreamError("an escape code holds a value beyond 32 bits")
    return values.astype(np.int32)


_EXPONENTS = Categorical(np.ldexp(1.0, -np.arange(1, _LARGEST_EXPONENT + 2)), perfect=False)
_FAIR = Categorical(np.array([0.5, 0.5]), perfect=False)


def _push_escapes(coder: Coder, distance: I64, below: Bools) -> None:
    """Put distances >= 0 from the table's edge on the coder: Elias gamma of distance + 1, and the side."""
    value = distance + 1
    exponent = np.frexp(value.astype(np.float64))[1] - 1
    rest = value - (np.int64(1) << exponent)
    for chunk in reversed(range(2)):
        bits = np.clip(exponent - chunk * _CHUNK_BITS, 0, _CHUNK_BITS)
        some = bits > 0
        part = (rest >> (chunk * _CHUNK_BITS)) & ((1 << bits) - 1)
        if some.any():
            coder.encode_reverse(part[some].astype(np.int32), Uniform(), (1 << bits[some]).astype(np.int32))
    coder.encode_reverse(below.astype(np.int32), _FAIR)
    coder.encode_reverse(exponent.astype(np.int32), _EXPONENTS)


def _pop_escapes(coder: Coder, amount: int) -> tuple[I64, Bools]:
    exponent = coder.decode(_EXPONENTS, amount).astype(np.int64)
    below = coder.decode(_FAIR, amount).astype(np.bool_)
    value = np.int64(1) << exponent
    for chunk in range(2):
        bits = np.clip(exponent - chunk * _CHUNK_BITS, 0, _CHUNK_BITS)
        some = bits > 0
        if some.any():
            part = coder.decode(Uniform(), (1 << bits[some]).astype(np.int32)).astype(np.int64)
            value[some] += part << (chunk * _CHUNK_BITS)
    return value - 1, below


def escape_bits(distance: I64) -> F64:
    """Return what an escape costs beyond the escape symbol: the side, and Elias gamma of distance + 1."""
    bits: F64 = 2.0 * np.frexp((distance + 1).astype(np.float64))[1]
    return bits
