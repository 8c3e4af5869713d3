"""The metrics that can be computed where the tests run: CI installs every library."""

from __future__ import annotations

import pytest

from benchmark.errors import UsageError
from benchmark.metrics import METRICS
from benchmark.metrics.base import Metric


def obstacle(name: str) -> str:
    """Return why a metric cannot be computed here, "" where it can."""
    try:
        METRICS.find(name).check()
    except UsageError as error:
        return str(error)
    return ""


USABLE = tuple(name for name in METRICS.names() if not obstacle(name))


def usable(name: str) -> Metric:
    """Return a metric, or skip the test, with the remedy, where it cannot be computed."""
    if why := obstacle(name):
        pytest.skip(f"{name} {why}")
    return METRICS.find(name)
