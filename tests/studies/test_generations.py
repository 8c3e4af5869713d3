"""Successive compression: what must hold of any codec, and of codecs of which it is known what happens."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.studies.generations import by_round, generations


@pytest.fixture(scope="module")
def picture() -> Image:
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[0:64, 0:96]
    shapes = 128 + 80 * np.sin(rows / 9.0) * np.cos(columns / 13.0) + 40 * (rows > columns / 2)
    noise = rng.normal(0, 6, (64, 96, 3))
    return np.clip(shapes[:, :, None] + noise, 0, 255).astype(np.uint8)


def test_null_loses_nothing(picture: Image) -> None:
    for row in generations(make_codec("null"), picture, 10, 50):
        assert (row["mse"], row["change"], row["bpp"]) == (0.0, 0.0, pytest.approx(48, rel=1e-2))


def test_null_of_rounded_planes_loses_nothing_after_the_first_rounds(picture: Image) -> None:
    rows = generations(make_codec("null"), picture, 8, 50)
    assert rows[0]["mse"] < 0.6  # what rounding three planes to 8 bits costs
    assert rows[-1]["change"] == 0.0
    assert rows[-1]["mse"] < 1.02 * rows[0]["mse"]


def test_jpeg_at_one_quality_settles(picture: Image) -> None:
    rows = generations(make_codec("jpeg"), picture, 50, 50)
    assert rows[0]["change"] > 10
    settled = next(row["round"] for row in rows if row["change"] == 0.0)
    assert 1 < settled < 20
    assert {(row["mse"], row["bytes"], row["change"]) for row in rows[settled:]} == {
        (rows[settled]["mse"], rows[settled]["bytes"], 0.0)
    }
    assert [row["round"] for row in rows] == list(range(1, 51))


def test_a_learned_codec_goes_on_losing(picture: Image) -> None:
    rows = generations(make_codec("baseline"), picture, 0.0067, 4)
    errors = [row["mse"] for row in rows]
    assert errors == sorted(errors)
    assert errors[-1] > 1.02 * errors[0]
    assert rows[0]["bpp"] == 8 * rows[0]["bytes"] / (64 * 96)


def test_losses_are_means_over_images_of_differences_of_psnr() -> None:
    def rows(image: str, errors: list[float], sizes: list[int]) -> list[dict[str, object]]:
        return [
            {"codec": "c", "image": image, "round": n, "bytes": size, "bpp": 1.0, "mse": mse, "change": 4.0}
            for n, (mse, size) in enumerate(zip(errors, sizes, strict=True), 1)
        ]

    means = by_round(pd.DataFrame([*rows("a", [1.0, 10.0], [100, 50]), *rows("b", [0.0, 0.0], [100, 100])]))
    assert list(means["loss"]) == [0.0, pytest.approx(5.0)]
    assert list(means["bits"]) == [100.0, 75.0]
    assert list(means["change"]) == [2.0, 2.0]
