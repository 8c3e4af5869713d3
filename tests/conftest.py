"""A folder of installed packages, for tests that add something from outside the package."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.registry import Registry


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` for `harness.install_package`, whose entry points every registry sees."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    _forget()
    yield folder
    _forget()
    for file in folder.glob("*.py"):
        sys.modules.pop(file.stem, None)


def _forget() -> None:
    for registry in [found for found in gc.get_objects() if type(found) is Registry]:
        registry.forget()
