"""The registry of quantizers of the latent: one costs a file here and a line below, or an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from benchmark.errors import UsageError
from benchmark.registry import Registry

if TYPE_CHECKING:
    from benchmark.learned.quantizers.base import Quantizer


def _is_quantizer(entry: object) -> TypeGuard[Quantizer]:
    from benchmark.learned.quantizers.base import Quantizer

    return isinstance(entry, Quantizer)


QUANTIZERS: Registry[Quantizer] = Registry(
    what="quantizer",
    group="bench.quantizers",
    form="instance of benchmark.learned.quantizers.base.Quantizer",
    accepts=_is_quantizer,
    builtin={
        "scalar": "benchmark.learned.quantizers.scalar:SCALAR",
        "deadzone": "benchmark.learned.quantizers.scalar:DEADZONE",
        "rdoq": "benchmark.learned.quantizers.rdoq:RDOQ",
        "tcq4": "benchmark.learned.quantizers.tcq:FOUR_STATES",
        "tcq8": "benchmark.learned.quantizers.tcq:EIGHT_STATES",
        "rdoq-expanded": "benchmark.learned.quantizers.rdoq:RDOQ_EXPANDED",
        "tcq4-expanded": "benchmark.learned.quantizers.tcq:FOUR_STATES_EXPANDED",
        "tcq8-expanded": "benchmark.learned.quantizers.tcq:EIGHT_STATES_EXPANDED",
    },
)


def get_quantizer(name: str) -> Quantizer:
    """Return the quantizer of this name. Raises UsageError, with the near names, if there is none."""
    return QUANTIZERS.find(name)


def find_stream_id(stream_id: int) -> Quantizer | None:
    """Return the quantizer that streams know by this byte; None if there is none here.

    Raises UsageError if two claim it.
    """
    found = [quantizer for _, quantizer in QUANTIZERS.items() if quantizer.stream_id == stream_id]
    if len(found) > 1:
        names = " and ".join(quantizer.name for quantizer in found)
        raise UsageError(f"quantizers {names} have the same stream_id, {stream_id}: give one another")
    return found[0] if found else None


def calibrated() -> tuple[str, ...]:
    """Return the names of the quantizers whose settings `bench calibrate` chooses."""
    return tuple(name for name, quantizer in QUANTIZERS.items() if quantizer.calibrated)
