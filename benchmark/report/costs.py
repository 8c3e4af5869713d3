"""What the networks of codecs take, by codec: the same on every machine, unlike times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.operations import kept_fact
from benchmark.report.speed import Spread


@dataclass(frozen=True)
class Cost:
    """Thousands of multiply-accumulates per pixel over a codec's points: median, least and most."""

    encode: Spread
    decode: Spread


def costs(good: pd.DataFrame) -> Mapping[str, Cost]:
    """Return what the rows (status ok) of each codec say; a codec is left out if none of a point says it."""
    first = good.loc[good["extra"].fillna("").str.contains("kmac_per_pixel", regex=False)]
    first = first.drop_duplicates(["codec", "point"])
    facts = [
        (str(codec), fact)
        for codec, extra in zip(first["codec"], first["extra"], strict=True)
        if (fact := kept_fact(extra)) is not None
    ]
    by_codec: dict[str, list[Mapping[str, float]]] = {}
    for codec, fact in facts:
        by_codec.setdefault(codec, []).append(fact)
    return {
        codec: Cost(*(_spread([fact[f"{side}_kmac_per_pixel"] for fact in found]) for side in _SIDES))
        for codec, found in by_codec.items()
    }


_SIDES = ("encode", "decode")


def _spread(figures: list[float]) -> Spread:
    return Spread(float(np.median(figures)), min(figures), max(figures))
