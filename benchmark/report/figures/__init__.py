"""The figures of a report: each is one file here and one line below, or an entry point of another package."""

from __future__ import annotations

from benchmark.registry import Registry
from benchmark.report.figures.base import Figure

FIGURES: Registry[Figure] = Registry(
    what="figure",
    group="bench.figures",
    form="instance of benchmark.report.figures.base.Figure",
    accepts=lambda entry: isinstance(entry, Figure),
    builtin={
        "rd": "benchmark.report.figures.rd:RD",
        "savings": "benchmark.report.figures.savings:SAVINGS",
        "per-image": "benchmark.report.figures.per_image:PER_IMAGE",
        "time": "benchmark.report.figures.time:TIME",
        "complexity": "benchmark.report.figures.complexity:COMPLEXITY",
    },
)
"""Figures by the name that their files begin with, in the order in which captions and page have them."""
