"""The operating point at which a codec meets a target on one image: bits per pixel, quality or bytes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.arrays import Image
from benchmark.codecs.base import Codec
from benchmark.errors import CodecError, PointError, UsageError
from benchmark.metrics import DEFAULT, METRICS
from benchmark.metrics.base import MetricUndefined

MOST_PROBES = 24
"""Encodings of one search."""
RATE_TOLERANCE = 0.1
"""How far the rate of a row may be from the one that a suite asks for: "JPEG AI Common Training and Test
Conditions" allow 10 %."""
_NEAR = 1e-3
"""A probe within this share of the target, and on the side that was asked for, ends the search."""
_LARGEST = 1e9
_GEOMETRIC = 2.0
"""Points further apart than by this factor (lmbda, compression ratio) are divided by their ratio."""


@dataclass(frozen=True)
class Probe:
    """One encoding of the image, uint8 [height, width, 3], at one operating point."""

    codec: Codec
    image: Image
    point: float
    stream: bytes

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return 8 * len(self.stream) / (self.image.shape[0] * self.image.shape[1])

    @cached_property
    def psnr(self) -> float:
        """PSNR of RGB in dB, infinite for a lossless picture; decodes the stream."""
        try:
            return METRICS.find(DEFAULT).compute(self.image, self.codec.decode(self.stream))
        except MetricUndefined:
            return math.inf


class Target(ABC):
    """What is asked for: a figure that rises with quality, and which probe is best. Raises UsageError."""

    what: str
    """The figure's name in messages."""
    enough: tuple[float, float]
    """The search ends at a probe whose `error` lies between these."""

    def __init__(self, wanted: float) -> None:
        if not (math.isfinite(wanted) and wanted > 0):
            raise UsageError(f"{self.what} {wanted:g} cannot be reached; give a number above 0")
        self.wanted = wanted

    @abstractmethod
    def figure(self, probe: Probe) -> float:
        """Return the figure of a probe."""

    @abstractmethod
    def best(self, probes: Sequence[Probe]) -> Probe:
        """Return the probe that answers the request."""

    def error(self, probe: Probe) -> float:
        """Return how far the figure lies above the target, as the logarithm of their ratio."""
        return math.log(min(self.figure(probe), _LARGEST) / self.wanted)

    def met(self, probe: Probe) -> bool:
        """Tell whether no better probe need be looked for."""
        return self.enough[0] <= self.error(probe) <= self.enough[1]

    def share(self, below: Probe, above: Probe) -> float:
        """Return how far from `below` to `above` the target lies, by linear interpolation: 0.1 to 0.9."""
        aim, low, high = sum(self.enough) / 2, self.error(below), self.error(above)
        return min(0.9, max(0.1, (aim - low) / (high - low)))


class BitsPerPixel(Target):
    """The rate nearest to one."""

    what, enough = "bpp", (-_NEAR, _NEAR)

    def figure(self, probe: Probe) -> float:
        """Return bits per pixel."""
        return probe.bpp

    def best(self, probes: Sequence[Probe]) -> Probe:
        """Return the probe whose rate is nearest, by ratio."""
        return min(probes, key=lambda probe: abs(self.error(probe)))


class Psnr(Target):
    """The smallest stream of at least this PSNR; where none reaches it, the one that comes nearest."""

    what, enough = "PSNR in dB", (0.0, _NEAR)

    def figure(self, probe: Probe) -> float:
        """Return the PSNR of RGB in dB."""
        return probe.psnr

    def best(self, probes: Sequence[Probe]) -> Probe:
        """Return the smallest that is good enough, else the best picture."""
        reached = [probe for probe in probes if probe.psnr >= self.wanted]
        return min(reached, key=lambda p: len(p.stream)) if reached else max(probes, key=lambda p: p.psnr)


class MaxBytes(Target):
    """The largest stream of at most so many bytes."""

    what, enough = "size in bytes", (-_NEAR, 0.0)

    def figure(self, probe: Probe) -> float:
        """Return the size in bytes."""
        return float(len(probe.stream))

    def best(self, probes: Sequence[Probe]) -> Probe:
        """Return the largest that fits. Raises CodecError if none does, saying how small they get."""
        fits = [probe for probe in probes if len(probe.stream) <= self.wanted]
        if fits:
            return max(fits, key=lambda probe: len(probe.stream))
        least = min(probes, key=lambda probe: len(probe.stream))
        raise CodecError(
            f"no stream has at most {self.wanted:g} bytes: the smallest, at point {least.point:g}, has "
            f"{len(least.stream)}"
        )


def search(
    codec: Codec,
    points: Sequence[float],
    image: Image,
    target: Target,
    observe: Callable[[Probe], None] = lambda probe: None,
    *,
    known: dict[float, Probe] | None = None,
) -> Probe:
    """Encode `image` until a point meets the target, and return the best of all probes.

    `points` are the codec's default ones in rising quality. The search halves them, goes on beyond their end
    as far as the codec has points, then interpolates between the two neighbours of the target, in whole
    numbers where the codec asks for them. It makes at most MOST_PROBES encodings; `observe` is called after
    each. `known` has the probes of earlier searches on the same image, and gets those of this one. Raises
    CodecError as the codec does, and as `MaxBytes.best`.
    """
    probes = {} if known is None else known
    most = len(probes) + MOST_PROBES

    def above(point: float) -> bool:
        if point not in probes:
            codec.prepare(point)
            probes[point] = Probe(codec, image, point, codec.encode(image, point))
            observe(probes[point])
        return target.error(probes[point]) > 0

    def done() -> bool:
        return len(probes) >= most or any(map(target.met, probes.values()))

    below, beyond = _neighbours(points, above)
    for point in _outwards(codec, points, below, beyond):
        if done():
            break
        if above(point):
            beyond = point
        else:
            below = point
        if None not in (below, beyond):
            break
    while below is not None and beyond is not None and not done():
        between = _between(codec, below, beyond, target.share(probes[below], probes[beyond]))
        if between is None:
            break
        if above(between):
            beyond = between
        else:
            below = between
    return target.best(list(probes.values()))


def near_rate(
    codec: Codec, points: Sequence[float], image: Image, bpp: float, known: dict[float, Probe]
) -> Probe:
    """Return the probe whose rate is nearest to `bpp` (see `search`).

    Raises CodecError where it is not within RATE_TOLERANCE, as JPEG AI's test conditions ask.
    """
    found = search(codec, points, image, BitsPerPixel(bpp), known=known)
    if abs(found.bpp / bpp - 1) > RATE_TOLERANCE:
        raise CodecError(
            f"no point gives {bpp:g} bpp within {RATE_TOLERANCE:.0%}: the nearest, {found.point:g}, gives "
            f"{found.bpp:.4f}"
        )
    return found


def _neighbours(points: Sequence[float], above: Callable[[float], bool]) -> tuple[float | None, float | None]:
    """Return the last point that is not above the target and the first that is; None beyond an end."""
    low, high = -1, len(points)
    while high - low > 1:
        middle = (low + high) // 2
        if above(points[middle]):
            high = middle
        else:
            low = middle
    return (points[low] if low >= 0 else None), (points[high] if high < len(points) else None)


def _outwards(
    codec: Codec, points: Sequence[float], below: float | None, beyond: float | None
) -> Iterator[float]:
    """Yield points beyond that end of `points` on which the target lies, while the codec has any."""
    if (below is None) == (beyond is None) or len(points) < 2:
        return
    inner, outer = (points[1], points[0]) if below is None else (points[-2], points[-1])
    while True:
        step = next(
            (p for share in (1.0, 0.5, 0.25) for p in _valid(codec, _beyond(inner, outer, share))), None
        )
        if step is None or step == outer:
            return
        inner, outer = outer, step
        yield step


def _between(codec: Codec, below: float, beyond: float, share: float) -> float | None:
    """Return a point strictly between two, at `share` of the way if there is one, else in the middle."""
    for part in (share, 0.5):
        for point in _valid(codec, _along(below, beyond, part)):
            if min(below, beyond) < point < max(below, beyond):
                return point
    return None


def _beyond(inner: float, outer: float, share: float) -> float:
    return _along(inner, outer, 1.0 + share)


def _along(start: float, end: float, share: float) -> float:
    if min(start, end) > 0 and max(start, end) > _GEOMETRIC * min(start, end):
        return float(start * (end / start) ** share)
    return start + (end - start) * share


def _valid(codec: Codec, point: float) -> Iterator[float]:
    """Yield the point, to four digits, and the whole number next to it, as far as the codec has them."""
    for candidate in (float(f"{point:.4g}"), float(round(point))):
        try:
            codec.check_point(candidate)
        except PointError:
            continue
        yield candidate
