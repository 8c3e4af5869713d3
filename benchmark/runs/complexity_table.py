"""What a codec costs as lines: for the table at the terminal, and for the CSV file beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.runs.complexity import Complexity, Side, Spread

OTHER = "other"
"""The part of the time that the codec books under no phase."""
TOTAL = "total"
FORWARD = "forward pass"
"""Encoder and decoder in one pass of training: the figure that most papers print."""

_CELLS = ("encode", "encode_low", "encode_high", "decode", "decode_low", "decode_high", "parameters")


@dataclass(frozen=True)
class Line:
    """One figure of both directions: `unit` says what it is, `part` of what; None where it is not known."""

    unit: str
    part: str
    encode: Spread | float | None = None
    decode: Spread | float | None = None
    parameters: int | None = None

    def cells(self) -> tuple[float | None, ...]:
        """Return the numbers, _CELLS."""
        return (*_three(self.encode), *_three(self.decode), self.parameters)


def lines(found: Complexity) -> Iterator[Line]:
    """Yield operations by module, their sums, times by phase, and memory."""
    kmac = "kMAC/pixel"
    counted = found.operations
    for part in counted.parts if counted else ():
        yield Line(kmac, part.name, part.encode_kmac_per_pixel, part.decode_kmac_per_pixel, part.parameters)
    if counted:
        sides = counted.encode_kmac_per_pixel, counted.decode_kmac_per_pixel
        yield Line(kmac, TOTAL, *sides, counted.parameters)
        yield Line(kmac, FORWARD, counted.forward_kmac_per_pixel, counted.forward_kmac_per_pixel)
    else:
        yield Line(kmac, TOTAL)
    yield Line("s", TOTAL, found.encode.seconds, found.decode.seconds)
    encode, decode = _phases(found.encode), _phases(found.decode)
    for phase in dict.fromkeys([*encode, *decode]):
        yield Line("s", phase, encode.get(phase), decode.get(phase))
    yield Line("MiB", "peak memory", found.encode.peak_mib, found.decode.peak_mib)


def to_csv(about: Mapping[str, object], found: Complexity) -> str:
    """Return the lines as CSV, the fields of `about` before each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*about, "point", "part", "unit", *_CELLS])
    for line in lines(found):
        cells = ["" if cell is None else f"{cell:.9g}" for cell in line.cells()]
        writer.writerow([*about.values(), f"{found.point:g}", line.part, line.unit, *cells])
    return text.getvalue()


def _phases(side: Side) -> dict[str, float]:
    """Return the seconds of each phase, and what the median leaves over; nothing where none is known."""
    if not side.phases:
        return {}
    return {**side.phases, OTHER: max(0.0, side.seconds.median - sum(side.phases.values()))}


def _three(figure: Spread | float | None) -> tuple[float | None, float | None, float | None]:
    if isinstance(figure, Spread):
        return figure.median, figure.low, figure.high
    return figure, None, None
