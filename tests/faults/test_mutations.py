"""A short run of `mutations.py`: altered files of every format are refused in words, or read."""

from __future__ import annotations

import pytest
from mutations import FORMATS, run


@pytest.mark.parametrize("name", FORMATS)
def test_altered_files_are_refused_or_read(name: str) -> None:
    outcomes = run(name, 200, seed=1)
    assert outcomes.total() == 200
    assert outcomes["refused"] > 50 or name == "journal"  # a journal's bad lines are left out, and told
