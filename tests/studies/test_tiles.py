"""The study of tiles: equality, seams, and what its figures are means of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from skimage import data

from benchmark.data.dataset import ImageRef
from benchmark.errors import UsageError
from benchmark.studies.base import Subject
from benchmark.studies.tiles import BLOCKS, OVERLAPS, WHOLE, Tiles, by_distance


def subject(folder: Path, width: int) -> Subject:
    PIL.Image.fromarray(data.coffee()[100:164, 200 : 200 + width]).save(folder / "a.png")
    return Subject("folder", (ImageRef("a.png", folder / "a.png", "0"),), 1)


def test_errors_are_told_apart_by_their_distance_to_a_seam() -> None:
    pixels = np.zeros((64, 192, 3), np.uint8)
    decoded = pixels.copy()
    decoded[:, 63:65] = 2  # beside the first seam
    decoded[:, 67] = 4  # three pixels right of it
    found = by_distance(pixels, decoded, 64)
    assert found[-1] == pytest.approx((2 * 4 + 16) / 192)
    assert found[0] == pytest.approx(4 * 2 / 4)  # two of the four columns beside the two seams
    assert found[1] == found[2] == found[24] == 0.0
    assert found[3] == pytest.approx(16 / 4)
    below = by_distance(np.zeros((128, 192, 3), np.uint8), np.full((128, 192, 3), 1, np.uint8), 64)
    assert set(below.values()) == {1.0}


def test_tiles_with_overlaps_differ_in_no_sample_and_blocks_in_many(tmp_path: Path) -> None:
    image, *memory = Tiles(tile=64, most=8).jobs(subject(tmp_path, 128))
    assert [job.what["megapixels"] for job in memory] == [4, 4, 8, 8]
    rows = pd.DataFrame([{**image.what, **row} for row in image.work(lambda: None)])
    every = rows[rows["distance"] == -1].set_index("mode")
    assert list(every["differing"] == 0) == [True, True, False]
    assert every.loc[OVERLAPS, "mse"] == every.loc[WHOLE, "mse"]
    beside = rows[rows["distance"] == 0].set_index("mode")["mse"]
    assert beside[BLOCKS] > beside[OVERLAPS]
    peaks = [
        {"mode": job.what["mode"], "megapixels": job.what["megapixels"], "peak": 100.0} for job in memory
    ]
    said = " ".join(Tiles(tile=64).said(pd.concat([rows, pd.DataFrame(peaks)])))
    assert "Tiles with overlaps: 0 % of samples differ" in said
    assert "Memory, tiles with overlaps: 100 MiB at 4 megapixels, 100 at 8." in said


def test_an_image_without_a_seam_is_refused(tmp_path: Path) -> None:
    image, *_ = Tiles(tile=64).jobs(subject(tmp_path, 100))
    with pytest.raises(UsageError, match=r"a\.png: has no two tiles of 64 pixels"):
        image.work(lambda: None)
