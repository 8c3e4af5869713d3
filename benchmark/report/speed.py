"""Coding times: compared only between rows of one machine, concurrency and thread count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

CONDITIONS = ["machine", "jobs", "threads"]
SECONDS = ("encode_seconds", "decode_seconds")


@dataclass(frozen=True)
class Spread:
    """A figure over a codec's rows, seconds per megapixel for instance: median and quartiles.

    Not the mean: one row in which the machine was busy with something else would carry it away.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Speed:
    """One codec's times under one condition; `rows_left_out` ran under another one and are not mixed in."""

    encode: Spread
    decode: Spread
    machine: str
    jobs: int
    threads: int
    rows: int
    rows_left_out: int

    @property
    def condition(self) -> str:
        """Say under what condition the times were taken."""
        jobs = "one evaluation at a time" if self.jobs == 1 else f"{self.jobs} evaluations at once"
        return f"{jobs}, {self.threads} thread{'s' if self.threads != 1 else ''}, machine {self.machine}"


def speeds(good: pd.DataFrame) -> Mapping[str, Speed]:
    """Return each codec's times per megapixel, over rows (status ok) of the condition that most rows share.

    Codecs that never ran under that condition are left out: their times would not compare.
    """
    timed = good.dropna(subset=list(SECONDS))
    if timed.empty:
        return {}
    condition: Any = timed.groupby(CONDITIONS, sort=True, observed=True).size().idxmax()
    machine, jobs, threads = str(condition[0]), int(condition[1]), int(condition[2])
    same = (timed["machine"] == machine) & (timed["jobs"] == jobs) & (timed["threads"] == threads)
    held = timed[same]
    megapixels = held["width"] * held["height"] / 1e6
    per_megapixel = pd.DataFrame({name: held[name] / megapixels for name in SECONDS}).groupby(
        held["codec"], sort=False
    )
    medians, counts = per_megapixel.median(), per_megapixel.size()
    lows, highs = per_megapixel.quantile(0.25), per_megapixel.quantile(0.75)
    every = timed["codec"].value_counts()

    def spread(codec: str, name: str) -> Spread:
        return Spread(*(float(table[name][codec]) for table in (medians, lows, highs)))

    return {
        str(codec): Speed(
            spread(codec, "encode_seconds"),
            spread(codec, "decode_seconds"),
            machine,
            jobs,
            threads,
            int(counts[codec]),
            int(every[codec] - counts[codec]),
        )
        for codec in medians.index
    }
