"""The bootstrap: seeded, paired, as wide as theory says."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmark.analysis.intervals import Estimate, bootstrap, resample_weights
from benchmark.arrays import F64


def mean_of(values: F64) -> Callable[[F64], tuple[F64, ...]]:
    return lambda weights: ((weights @ values) / weights.sum(axis=1),)


def test_resamples_draw_as_many_images_as_there_are_and_are_reproducible() -> None:
    weights = np.concatenate(list(resample_weights(24, 10_000, 7)))
    assert weights.shape == (10_000, 24)
    np.testing.assert_array_equal(weights.sum(axis=1), 24)
    np.testing.assert_array_equal(weights, np.concatenate(list(resample_weights(24, 10_000, 7))))
    assert not np.array_equal(weights, np.concatenate(list(resample_weights(24, 10_000, 8))))
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.05)


def test_large_image_sets_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.analysis.intervals._CHUNK_CELLS", 10_000)
    pieces = list(resample_weights(500, 1_010, 0))
    assert [len(piece) for piece in pieces] == [20] * 50 + [10]
    assert all((piece.sum(axis=1) == 500).all() for piece in pieces)


def test_interval_of_a_mean_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(1).normal(5, 2, 200)
    (interval,) = bootstrap(mean_of(values), 200)
    assert interval is not None
    half_width = 1.96 * values.std() / np.sqrt(200)
    assert interval[1] - interval[0] == pytest.approx(2 * half_width, rel=0.05)
    assert interval[0] < values.mean() < interval[1]


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        (interval,) = bootstrap(mean_of(rng.normal(0, 1, 24)), 24, resamples=2_000)
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
    # the percentile method is a little short at n = 24: 92 to 93 % is its known coverage
    assert 0.89 <= covered / 300 <= 0.97


def test_one_image_has_no_interval() -> None:
    assert bootstrap(lambda w: (w[:, 0],), 1) == [None]


def test_resamples_without_a_figure_take_the_interval_away_when_they_are_many() -> None:
    def some(share: float) -> list[tuple[float, float] | None]:
        def figures(weights: F64) -> tuple[F64, ...]:
            found = weights[:, 0].copy()
            found[: int(share * len(found))] = np.nan
            return (found,)

        return bootstrap(figures, 24)

    assert some(0.04)[0] is not None
    assert some(0.06)[0] is None


@pytest.mark.parametrize(
    ("low", "high", "clear"),
    [(0.1, 0.4, True), (-0.4, -0.1, True), (-0.1, 0.1, False), (0.0, 0.2, False), (None, None, False)],
)
def test_clear_of_zero(low: float | None, high: float | None, clear: bool) -> None:
    assert Estimate(0.2, low, high).clear_of_zero is clear
