"""A short, seeded part of `every_fault.py`: nothing is lost, doubled or left, the next run is a good one."""

from __future__ import annotations

import pytest
from every_fault import HEADINGS, Rows, attempt, undisturbed


@pytest.fixture(scope="module")
def rows() -> Rows:
    return undisturbed()


@pytest.mark.parametrize(
    "name", ["SIGKILL of the run", "SIGKILL of an encoder", "encoder writes half a stream"]
)
def test_no_row_is_lost_and_the_next_run_equals_an_undisturbed_one(name: str, rows: Rows) -> None:
    assert len(rows) == 39
    found = dict(zip(HEADINGS, attempt(name, rows, seed=1), strict=True))
    assert found["times"] == "1"
    assert [found[column] for column in ("rows lost", "duplicates", "orphans", "leftovers")] == ["0"] * 4
    assert found["next run equal"] == "yes"
