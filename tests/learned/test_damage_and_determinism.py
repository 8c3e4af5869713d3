"""Short runs of the two scripts beside this file: mutated streams, and decoding elsewhere."""

from __future__ import annotations

from determinism import compare
from fuzz_streams import fuzz


def test_two_thousand_mutants_are_refused() -> None:
    outcomes = fuzz(2000)
    assert outcomes.total() == 2000
    assert outcomes["refused: container"] > 500
    assert outcomes["refused: streams"] > 500
    assert outcomes["decoded"] == 0


def test_sixty_decodings_in_other_processes_are_exact() -> None:
    assert compare(60, (8, 12), 70, fresh=False) == (0, 0)
