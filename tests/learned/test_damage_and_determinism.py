"""Short runs of the two scripts beside this file: mutated streams, and decoding elsewhere."""

from __future__ import annotations

import pytest
from determinism import compare
from fuzz_streams import fuzz


@pytest.mark.parametrize(("variant", "mutants"), [(None, 2000), ("patch", 600)])
def test_mutants_are_refused(variant: str | None, mutants: int) -> None:
    outcomes = fuzz(mutants, variant=variant)
    assert outcomes.total() == mutants
    assert outcomes["refused: container"] > mutants / 4
    assert outcomes["refused: streams"] > mutants / 4
    assert outcomes["decoded"] == 0


@pytest.mark.parametrize(("variant", "pairs"), [(None, 60), ("patch", 16)])
def test_decodings_in_other_processes_are_exact(variant: str | None, pairs: int) -> None:
    assert compare(pairs, (8, 12), 70, fresh=False, variant=variant) == (0, 0)
