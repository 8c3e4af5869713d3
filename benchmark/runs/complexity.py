"""What a codec costs on one image: operations, parameters, memory, and where the time goes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, collect_facts
from benchmark.operations import Operations
from benchmark.stopwatch import watching

_Result = TypeVar("_Result")

_STATUS = Path("/proc/self/status")
_PEAK_AGAIN = Path("/proc/self/clear_refs"), "5"
"""What makes Linux measure the peak of this process anew (proc(5))."""

_PROGRAM = ("encode_argv", "decode_argv")
"""What a codec notes that runs as a program (see `codecs.base.note`)."""


@dataclass(frozen=True)
class Spread:
    """Seconds of several calls: median and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Side:
    """One direction of a codec on one image.

    `phases` are the medians of what the codec tells apart (see `benchmark.stopwatch`), in seconds; what is
    left of the median is neither. `peak_mib` is the peak of this process's resident memory, None where the
    codec is a program of its own, or the system does not say it.
    """

    seconds: Spread
    phases: dict[str, float]
    peak_mib: float | None


@dataclass(frozen=True)
class Complexity:
    """What one codec costs at one point."""

    point: float
    encode: Side
    decode: Side
    operations: Operations | None


def measure(
    codec: Codec, point: float, image: Image, repeats: int, observe: Callable[[], None] = lambda: None
) -> Complexity:
    """Code `image`, uint8 [height, width, 3], so often after a warm-up; `observe` is called after each.

    Raises CodecError and PointError as the codec does.
    """
    codec.check_point(point)
    codec.prepare(point)
    stream = codec.encode(image, point)  # the warm-up
    codec.decode(stream)
    encode = _side(lambda: codec.encode(image, point), repeats, observe)
    decode = _side(lambda: codec.decode(stream), repeats, observe)
    return Complexity(point, encode, decode, codec.operations(point))


def _side(call: Callable[[], object], repeats: int, observe: Callable[[], None]) -> Side:
    seconds: list[float] = []
    phases: list[dict[str, float]] = []
    ran_a_program = False
    can_say = _forget_peak()
    for _ in range(repeats):
        with collect_facts() as facts, watching() as watch:
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
        phases.append(watch.seconds)
        ran_a_program |= not facts.keys().isdisjoint(_PROGRAM)
        observe()
    peak = peak_mib() if can_say and not ran_a_program else None
    return Side(_spread(seconds), _medians(phases), peak)


def _spread(seconds: Sequence[float]) -> Spread:
    if len(seconds) == 1:
        return Spread(seconds[0], seconds[0], seconds[0])
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Spread(median, low, high)


def _medians(phases: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in phases for name in one)
    return {name: statistics.median(one.get(name, 0.0) for one in phases) for name in names}


def _forget_peak() -> bool:
    """Make the peak be measured from now on; whether it can be."""
    path, text = _PEAK_AGAIN
    with suppress(OSError):
        path.write_text(text)
        return True
    return False


def peak_mib() -> float | None:
    """Return the peak of this process's resident memory in MiB; None where the system does not say it.

    Not getrusage's: that counts what the parent held when the process began.
    """
    with suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return None
