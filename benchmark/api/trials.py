"""Codecs and metrics of a notebook, and small measurements in its own process."""

from __future__ import annotations

import hashlib
import inspect
import marshal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from benchmark.api.results import Results
from benchmark.metrics import DEFAULT, METRICS
from benchmark.metrics.base import Metric


def register_metric(metric: Metric) -> None:
    """Make a metric known to this process, by its name: to `measure`, `bd_rate` and plots.

    Runs work in processes of their own: for them it is an entry point (docs/extending.md).
    Raises UsageError for a name that is taken.
    """
    METRICS.add(metric.name, metric)


def register_codec(
    name: str,
    make: Callable[..., object],
    points: Sequence[float],
    point_name: str = "point",
    summary: str = "",
) -> None:
    """Make a codec known to this process: `make()` has `encode(image, point)` and `decode(bytes)`.

    All that `codec = "mycodec.py:MyCodec"` of a suite takes is taken (docs/extending.md), which runs in
    processes of their own need instead. Its version is the sha256 of its source.
    Raises UsageError for a name that is taken.
    """
    from benchmark.codecs import CODECS, CodecEntry
    from benchmark.runs.evaluate import forget
    from benchmark.zoo.own import own_codec

    identity = hashlib.sha256(_source(make)).hexdigest()
    key = f"c{hashlib.sha256(name.encode()).hexdigest()}"
    target = f"{__name__}:_made.{key}"
    CODECS.add(name, CodecEntry(target, summary, point_name, tuple(map(float, points))))
    setattr(_made, key, partial(_own, own_codec, make, identity))
    forget()


_made = SimpleNamespace()
"""What makes the codecs that were registered: the registry finds codecs by the name of what makes them."""


_Make = Callable[..., object]


def _own(wrap: _Make, make: _Make, identity: str, name: str, **options: Any) -> object:  # noqa: ANN401
    return wrap(name, make, options, identity)


def _source(make: Callable[..., object]) -> bytes:
    """Return what a class or function was written as; where there is no file, what its functions do."""
    try:
        return inspect.getsource(make).encode()
    except (OSError, TypeError):
        members = [make, *vars(make).values()] if hasattr(make, "__dict__") else [make]
        return b"".join(marshal.dumps(m.__code__) for m in members if hasattr(m, "__code__"))


def measure(
    codecs: Mapping[str, Sequence[float]], images: str | Path, metrics: Sequence[str] = (DEFAULT,)
) -> Results:
    """Measure codecs at their points on a dataset or a folder of images, here and now, one after another.

    For small trials: nothing is kept, no time limit holds. `bench run suite` is for all else.
    Raises UsageError for unknown names, DatasetError for images that cannot be read; what a codec does wrong
    is in `failed`.
    """
    from benchmark.data.find import find_dataset
    from benchmark.data.manifests import DATASETS
    from benchmark.runs.evaluate import RunContext, evaluate
    from benchmark.runs.suite import CodecSpec, Suite

    dataset = str(images) if str(images) in DATASETS.names() else f"folder:{images}"
    specs = tuple(CodecSpec(name, points=tuple(map(float, points))) for name, points in codecs.items())
    suite = Suite("measure", dataset, tuple(METRICS.find(name).name for name in metrics), specs)
    tasks = suite.tasks(find_dataset(dataset))
    rows = [evaluate(task, RunContext()).row() for task in tasks]
    return Results("measure", pd.DataFrame(rows), tuple(codecs))
