"""What can be wrong with a figure: every answer of the analysis carries at least one of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

InterpolationStatus = Literal["methods_disagree", "uncertain_interpolation"]

CurveStatus = Literal[
    "little_overlap",
    "no_overlap",
    "no_rate_overlap",
    "non_monotonic",
    "duplicate_points",
    "too_few_points",
    InterpolationStatus,
]
"""These are said of one pair of curves: the mean curves, or those of an image. The others hold for both."""

Status = Literal[
    "ok",
    CurveStatus,
    "partial_dataset",
    "mixed_protocols",
    "mixed_versions",
    "other_images",
    "failed_rows",
    "missing_values",
    "lossless_values",
    "dropped_points",
    "duplicate_rows",
    "few_images",
    "no_shared_images",
    "published",
]

MIXED: frozenset[Status] = frozenset({"mixed_protocols", "mixed_versions", "other_images"})
"""With these there is no figure unless it is asked for (`allow_mixed`)."""

NOT_TO_QUOTE: frozenset[Status] = frozenset({"too_few_points", "little_overlap", "uncertain_interpolation"})
"""Where one of these is said of the mean curves, BD-rate should not be used: it rests on too little."""

OF_CURVES: frozenset[Status] = frozenset(get_args(CurveStatus))
OF_INTERPOLATION: frozenset[Status] = frozenset(get_args(InterpolationStatus))

MEANING: dict[Status, str] = {
    "ok": "nothing to report",
    "little_overlap": "the two share less than 75 % of the shorter curve, or less than 2 dB",
    "no_overlap": "the two curves share no quality range: no BD-rate",
    "no_rate_overlap": "the two curves share no range of rates: no BD-quality",
    "non_monotonic": "points that cost more bits without better quality were dropped",
    "duplicate_points": "points with equal rate and equal quality were counted once",
    "too_few_points": "fewer than four points: PCHIP and Akima are weakly supported, cubic is not given",
    "methods_disagree": "PCHIP, Akima and cubic differ by more than the interval and 5 % of the figure",
    "uncertain_interpolation": "leaving out a point moves the figure by over a quarter of it and over 2 %",
    "partial_dataset": "not every image of the dataset entered the figure",
    "mixed_protocols": "the two were measured under different protocols",
    "mixed_versions": "rows of several versions or options of one codec: the curve is of neither",
    "other_images": "the published curve is of all images of the dataset, the results are of some",
    "failed_rows": "some evaluations failed; their images were excluded",
    "missing_values": "some values could not be measured; their images were excluded",
    "lossless_values": "some decoded images equal the original (infinite dB); they were excluded",
    "dropped_points": "points that more than half of the images lack were dropped",
    "duplicate_rows": "several rows for one evaluation: the latest was used",
    "few_images": "fewer than ten images: the interval is a rough guide",
    "no_shared_images": "the two have no image in common: no figure",
    "published": "a published curve, not measured here",
}


def joined(*groups: Iterable[Status]) -> tuple[Status, ...]:
    """Return the statuses of all groups, each once, in the order of the table; ("ok",) if there are none."""
    held = {status for group in groups for status in group} - {"ok"}
    return tuple(status for status in MEANING if status in held) or ("ok",)
