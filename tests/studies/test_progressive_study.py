"""The study of progressive coding: its rows on one small picture, and what its caption says of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import PIL.Image
from skimage import data

from benchmark.data.dataset import ImageRef
from benchmark.studies.base import Subject
from benchmark.studies.progressive import ONE_STREAM, Progressive


def test_each_curve_rises_and_the_one_stream_grows(tmp_path: Path) -> None:
    PIL.Image.fromarray(data.coffee()[100:164, 200:296]).save(tmp_path / "a.png")
    subject = Subject("folder", (ImageRef("a.png", tmp_path / "a.png", "0"),), 1)
    (job,) = Progressive().jobs(subject)
    heard: list[None] = []
    rows = pd.DataFrame([{**job.what, **row} for row in job.work(lambda: heard.append(None))])
    assert len(rows) == len(heard) == job.steps
    for curve, mine in rows.groupby("curve"):
        rising = mine.sort_values("bpp")
        assert rising["psnr"].is_monotonic_increasing, curve
    assert rows[rows["curve"] == ONE_STREAM]["bytes"].is_monotonic_increasing


def test_the_caption_gives_the_rate_of_the_one_stream_against_each() -> None:
    def rows(curve: str, factor: float) -> list[dict[str, object]]:
        return [
            {"curve": curve, "point": n, "bpp": factor * 2.0**n / 8, "psnr": 28.0 + 2 * n, "image": "a.png"}
            | {"crop": 64, "dataset": "kodak"}
            for n in range(5)
        ]

    frame = pd.DataFrame(
        [*rows("one stream", 1.1), *rows("streams by step", 1.0), *rows("networks by rate", 0.5)]
    )
    said = " ".join(Progressive().said(frame))
    assert "means over 1 image." in said
    assert "+10.0 % against same network" in said
    assert "+120.0 % against a network for each rate" in said
    assert "Published" not in said  # crops are not what was published
    whole = frame.assign(crop=0)
    assert "over all 24 images: no BD-rate" in " ".join(Progressive().said(whole))
    assert len(Progressive().panels(whole)) == 2
