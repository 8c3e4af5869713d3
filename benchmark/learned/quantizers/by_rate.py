"""Settings of a quantizer that were chosen for a model: one for each lmbda that was calibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmark.errors import UsageError
from benchmark.learned.quantizers.base import QuantizerSettings


@dataclass(frozen=True)
class CalibratedSettings:
    """The settings of one quantizer on one model, by the lmbda for which they were chosen; at least one."""

    by_lmbda: Mapping[float, QuantizerSettings]

    def at(self, lmbda: float) -> QuantizerSettings:
        """Return the settings of the calibrated lmbda that is nearest, by ratio."""
        return self.by_lmbda[min(self.by_lmbda, key=lambda known: abs(math.log(known / lmbda)))]

    def joined(self, other: CalibratedSettings | None) -> CalibratedSettings:
        """Return these, and of `other` the ones for lambdas that these lack."""
        return self if other is None else CalibratedSettings({**other.by_lmbda, **self.by_lmbda})

    def changed(self, **fields: float | None) -> CalibratedSettings:
        """Return the same with fields of `QuantizerSettings` replaced, but for those that are None."""
        given = {name: value for name, value in fields.items() if value is not None}
        return CalibratedSettings({lmbda: replace(s, **given) for lmbda, s in self.by_lmbda.items()})

    def to_json(self) -> list[dict[str, float]]:
        """Return lmbda, delta and trellis_lambda of each, lmbda rising."""
        return [{"lmbda": lmbda, **asdict(self.by_lmbda[lmbda])} for lmbda in sorted(self.by_lmbda)]

    @staticmethod
    def from_json(found: Any, lmbda: float) -> CalibratedSettings:  # noqa: ANN401 (JSON)
        """Return what `to_json` gave; one mapping, as older files have it, holds for `lmbda`.

        Raises TypeError, KeyError or ValueError for anything else, UsageError for values out of range.
        """
        if isinstance(found, Mapping):
            return CalibratedSettings({lmbda: QuantizerSettings(**found)})
        by_lmbda = {float(fields["lmbda"]): _settings(fields) for fields in found}
        if not by_lmbda or min(by_lmbda) <= 0:
            raise UsageError(f"settings {found!r}: need at least one, each for an lmbda above 0")
        return CalibratedSettings(by_lmbda)

    def __str__(self) -> str:
        rows = (self.by_lmbda[lmbda] for lmbda in sorted(self.by_lmbda))
        return "".join(f"({row.delta:g}, {row.trellis_lambda:g})" for row in rows)


def _settings(fields: Mapping[str, float]) -> QuantizerSettings:
    return QuantizerSettings(**{name: value for name, value in fields.items() if name != "lmbda"})
