"""The fixture of a folder in which a suite is run by processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import harness
import pytest
from running import TESTS, Runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    site = tmp_path / "site"
    entry_points = "[bench.codecs]\nwild = wild_package:ENTRY\ncopy = wild_package:COPY\n"
    harness.install_package(site, "wild_package", "from wild import COPY, ENTRY", entry_points)
    (tmp_path / "temporary").mkdir()
    paths = map(str, (site, TESTS.parent, TESTS, TESTS / "faults"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(tmp_path / "temporary"),
        "COLUMNS": "200",
    }
    return Runs(tmp_path, environment)
