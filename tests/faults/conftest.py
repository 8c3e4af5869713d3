"""The fixture of a folder in which a suite is run by processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Runs, make_runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return make_runs(tmp_path)
