"""Task metrics: what is found in the source scores 1, what is gone 0; the pictures that they are made for."""

from __future__ import annotations

import numpy as np
import pytest
from usable_metrics import usable

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.data.find import find_dataset
from benchmark.images import load_image
from benchmark.metrics import METRICS
from benchmark.metrics.base import MetricUndefined

TASKS = tuple(name for name, metric in METRICS.items() if metric.in_steps)
FLAT = np.full((320, 480, 3), 128, np.uint8)


def pictures() -> list[Image]:
    return [load_image(image.path).pixels for image in find_dataset("machines").images]


@pytest.mark.parametrize("name", TASKS)
def test_each_source_scores_one_and_nothing_is_found_in_a_flat_picture(name: str) -> None:
    for picture in pictures():
        assert usable(name).compute(picture, picture.copy()) == 1.0
    assert usable(name).compute(pictures()[0], FLAT) == 0.0
    with pytest.raises(MetricUndefined):
        usable(name).compute(FLAT, pictures()[0])


def test_thirty_codes_but_one_are_read_from_the_sources() -> None:
    """A code that is painted over is one sixth of its picture's."""
    usable("codes_read")
    from benchmark.metrics.machines import _codes

    found = [_codes(picture) for picture in pictures()]
    assert sum(map(len, found)) == 29
    painted = pictures()[0].copy()
    painted[14:70, 14:70] = 128
    assert METRICS.find("codes_read").compute(pictures()[0], painted) == pytest.approx(5 / 6)


def test_edges_within_a_pixel_count_as_found() -> None:
    """A square moved by a pixel keeps its edges, one moved by five loses the two that moved sideways."""
    square = np.full((100, 100, 3), 40, np.uint8)
    square[30:70, 30:70] = 200
    metric = METRICS.find("edge_f1")
    assert metric.compute(square, np.roll(square, 1, axis=1)) == 1.0
    assert metric.compute(square, np.roll(square, 5, axis=1)) == pytest.approx(0.5, abs=0.15)


def test_features_that_moved_are_not_matched() -> None:
    picture, metric = pictures()[0], METRICS.find("orb_matches")
    assert metric.compute(picture, np.roll(picture, 2, axis=0)) > 0.8
    assert metric.compute(picture, np.roll(picture, 8, axis=0)) < 0.1


@pytest.mark.parametrize("name", TASKS)
def test_scores_fall_with_the_rate(name: str) -> None:
    """Of JPEG on one picture: most is found at quality 90, and less the fewer bits there are."""
    codec, picture = make_codec("jpeg"), pictures()[0]
    low, middle, high = (
        usable(name).compute(picture, codec.decode(codec.encode(picture, quality))) for quality in (3, 25, 90)
    )
    assert low < middle <= high <= 1.0
    assert high > 0.8
