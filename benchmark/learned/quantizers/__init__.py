"""The registry of quantizers of the latent: one costs a file here and a line below, or an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from benchmark.errors import UsageError
from benchmark.registry import Registry

if TYPE_CHECKING:
    from benchmark.learned.quantizers.base import Quantizer


def _is_quantizer(entry: object) -> TypeGuard[Quantizer]:
    from benchmark.learned.quantizers.base import Quantizer

    return isinstance(entry, Quantizer) and entry.stream_id in range(256)


QUANTIZERS: Registry[Quantizer] = Registry(
    what="quantizer",
    group="bench.quantizers",
    form="instance of benchmark.learned.quantizers.base.Quantizer with a stream_id of 0 to 255",
    accepts=_is_quantizer,
    name_of=lambda quantizer: quantizer.name,
    builtin={
        "scalar": "benchmark.learned.quantizers.scalar:SCALAR",
        "deadzone": "benchmark.learned.quantizers.scalar:DEADZONE",
        "rdoq": "benchmark.learned.quantizers.rdoq:RDOQ",
        "tcq4": "benchmark.learned.quantizers.tcq:FOUR_STATES",
        "tcq8": "benchmark.learned.quantizers.tcq:EIGHT_STATES",
        "rdoq-expanded": "benchmark.learned.quantizers.rdoq:RDOQ_EXPANDED",
        "tcq8-expanded": "benchmark.learned.quantizers.tcq:EIGHT_STATES_EXPANDED",
    },
)


def get_quantizer(name: str) -> Quantizer:
    """Return the quantizer of this name.

    Raises UsageError, with the near names, if there is none, and if its stream_id is another's, which came
    first: streams could not tell them apart.
    """
    quantizer = QUANTIZERS.find(name)
    owner = find_stream_id(quantizer.stream_id)
    if owner is not None and owner is not quantizer:
        raise UsageError(
            f"quantizer {name!r} has the stream_id of {owner.name!r}, {quantizer.stream_id}: give it another"
        )
    return quantizer


def find_stream_id(stream_id: int) -> Quantizer | None:
    """Return the quantizer that streams know by this byte, the package's own first; None if there is none."""
    return next((q for _, q in QUANTIZERS.items() if q.stream_id == stream_id), None)


def calibrated() -> tuple[str, ...]:
    """Return the names of the quantizers whose settings `bench calibrate` chooses."""
    return tuple(name for name, quantizer in QUANTIZERS.items() if quantizer.calibrated)
