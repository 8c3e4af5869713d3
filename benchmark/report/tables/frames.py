"""The numbers as frames to work on: BD table, mean curves and per-image figures, a file each."""

from __future__ import annotations

import pandas as pd

from benchmark.analysis import comparison_table
from benchmark.report.summary import Summary

IMAGE_COLUMNS = [
    "metric", "anchor", "codec", "image", "bd_rate_percent", "bd_quality_db", "overlap", "statuses",
]  # fmt: skip
CURVE_COLUMNS = [
    "metric", "codec", "source", "point", "bpp", "quality_db", "value", "images", "averaging", "statuses",
]  # fmt: skip


def bd_frame(summary: Summary) -> pd.DataFrame:
    """Return the BD table of every metric against the report's anchor (see `comparison_table`)."""
    frame = comparison_table([c for metric in summary.metrics for c in summary.against(metric)])
    for side in ("encode", "decode"):
        medians = {codec: getattr(speed, side).median for codec, speed in summary.speeds.items()}
        frame[f"{side}_seconds_per_megapixel"] = frame["codec"].map(medians).astype(float)
    for side in ("encode", "decode"):
        medians = {codec: getattr(cost, side).median for codec, cost in summary.costs.items()}
        frame[f"{side}_kmac_per_pixel"] = frame["codec"].map(medians).astype(float)
    return frame


def image_frame(summary: Summary) -> pd.DataFrame:
    """Return per-image BD figures against the report's anchor, a row for each metric, codec and image."""
    parts = [
        c.per_image.table.assign(metric=metric, anchor=c.anchor, codec=c.codec)
        for metric in summary.metrics
        for c in summary.against(metric)
        if c.per_image is not None
    ]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=IMAGE_COLUMNS)
    return found[IMAGE_COLUMNS]


def curve_frame(summary: Summary) -> pd.DataFrame:
    """Return the mean curves, a row for each point, to be drawn again by other means."""
    found = []
    for metric in summary.metrics:
        for codec, c in summary.drawn(metric).items():
            about = (c.coverage.images_used, c.averaging, " ".join(c.statuses))
            points = zip(c.points, c.rates, c.qualities, c.values, strict=True)
            found += [(metric, codec, c.source, *point, *about) for point in points]
    return pd.DataFrame(found, columns=CURVE_COLUMNS)
