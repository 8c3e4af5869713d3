"""The codecs that a study looks at: those of the suite that can run here, or those that were named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import CodecUnavailableError, UsageError, WeightsError
from benchmark.runs.suite import CodecSpec, Suite
from benchmark.studies.base import Candidate


@dataclass(frozen=True)
class Candidates:
    """Codecs that can run here, and why others cannot, by label."""

    usable: tuple[Candidate, ...]
    unavailable: Mapping[str, str]


def candidates(suite: Suite, labels: Sequence[str], folder: Path = Path()) -> Candidates:
    """Return the codecs of `labels`, each of the suite or else of the registry; without labels the suite's.

    Raises UsageError, with near names, for a label that neither has.
    """
    specs = {spec.name: spec for spec in suite.codec}
    usable: list[Candidate] = []
    unavailable: dict[str, str] = {}
    for label in dict.fromkeys(labels or specs):
        spec = specs.get(label, CodecSpec(label))
        try:
            candidate = Candidate(spec, spec.entry(folder), folder)
            candidate.make().version()
            if not candidate.points:
                raise UsageError(f"codec {label!r} has no operating points of its own; give them in a suite")
            usable.append(candidate)
        except (CodecUnavailableError, WeightsError) as error:
            unavailable[label] = str(error)
    return Candidates(tuple(usable), unavailable)
