"""The batched PCHIP against the package that the field uses, and the cut to the rising part."""

import itertools

import numpy as np
import pytest
from bjontegaard import bd_psnr, bd_rate
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from benchmark.analysis import published
from benchmark.analysis.interpolation import OneCurve, by_each_method
from benchmark.analysis.pchip import bd_batch, fronts
from benchmark.arrays import F64


def random_curves(rng: np.random.Generator, curves: int, points: int) -> tuple[F64, F64]:
    rates = 0.05 * 2 ** np.cumsum(rng.uniform(0.05, 1.2, (curves, points)), axis=1)
    qualities = 24 + np.cumsum(rng.uniform(0.01, 4, (curves, points)), axis=1)
    return rates, qualities


@given(seed=st.integers(0, 2**32 - 1), lengths=st.tuples(st.integers(2, 12), st.integers(2, 12)))
def test_equals_the_package_to_nine_digits(seed: int, lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    anchor, test = (random_curves(rng, 8, n) for n in lengths)
    found = bd_batch(fronts(*anchor), fronts(*test))
    for i in range(8):
        arguments = (anchor[0][i], anchor[1][i], test[0][i], test[1][i])
        options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
        if np.isfinite(found.rate_percent[i]):
            assert found.rate_percent[i] == pytest.approx(bd_rate(*arguments, **options), rel=1e-9, abs=1e-9)
        if np.isfinite(found.quality_db[i]):
            assert found.quality_db[i] == pytest.approx(bd_psnr(*arguments, **options), rel=1e-9, abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), lengths=st.tuples(st.integers(4, 12), st.integers(4, 12)))
def test_each_method_equals_the_package(seed: int, lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    anchor, test = (random_curves(rng, 1, n) for n in lengths)
    found = by_each_method(OneCurve(fronts(*anchor)), OneCurve(fronts(*test)))
    arguments = (anchor[0][0], anchor[1][0], test[0][0], test[1][0])
    options = {"require_matching_points": False, "min_overlap": 0}
    for method, figures in found.items():
        for value, function in ((figures.rate_percent, bd_rate), (figures.quality_db, bd_psnr)):
            if value is not None:
                assert value == pytest.approx(function(*arguments, method=method, **options), rel=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_values_are_those_of_scipy_and_none_outside_the_knots(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rates, qualities = random_curves(rng, 6, 7)
    qualities[3, 4] = qualities[3, 3] - 1  # a curve of fewer points
    front = fronts(rates, qualities)
    at = np.linspace(qualities.min() - 1, qualities.max() + 1, 50)
    found = front.over_quality.values(at)
    for row, r, q, n in zip(found, front.rates, front.qualities, front.counts, strict=True):
        np.testing.assert_allclose(row, PchipInterpolator(q[:n], np.log10(r[:n]), extrapolate=False)(at))


def test_swapped_deltas_are_those_of_the_pair_in_the_other_order() -> None:
    rng = np.random.default_rng(1)
    one, two = (fronts(*random_curves(rng, 20, 6)) for _ in range(2))
    there, back = bd_batch(one, two).swapped(), bd_batch(two, one)
    for name in ("rate_percent", "quality_db", "overlap", "low", "high"):
        np.testing.assert_allclose(getattr(there, name), getattr(back, name), rtol=1e-12, atol=1e-12)


def test_no_shared_range_gives_nan_and_no_overlap() -> None:
    rates = np.array([[0.1, 0.2, 0.4]])
    found = bd_batch(fronts(rates, np.array([[20.0, 25, 30]])), fronts(rates, np.array([[31.0, 35, 40]])))
    assert np.isnan(found.rate_percent[0])
    assert found.overlap[0] == 0
    assert found.quality_db[0] == pytest.approx((11 + 10 + 10) / 3, abs=0.5)


def test_overlap_is_the_shared_part_of_the_shorter_curve() -> None:
    rates = np.array([[0.1, 0.2, 0.4]])
    low, high = np.array([[20.0, 25, 30]]), np.array([[25.0, 30, 40]])
    found = bd_batch(fronts(rates, low), fronts(rates, high))
    assert found.overlap[0] == pytest.approx(5 / 10)
    assert (found.low[0], found.high[0]) == (25, 30)
    within = bd_batch(fronts(rates, np.array([[0.0, 25, 60]])), fronts(rates, high))
    assert within.overlap[0] == 1


def test_front_drops_what_costs_more_without_being_better() -> None:
    rates = np.array([[0.4, 0.1, 0.2, 0.2, 0.3, 0.8]])
    qualities = np.array([[31.0, 20, 25, 26, 24, 31]])
    front = fronts(rates, qualities)
    assert front.counts[0] == 3
    np.testing.assert_array_equal(front.rates[0, :3], [0.1, 0.2, 0.4])
    np.testing.assert_array_equal(front.qualities[0, :3], [20, 26, 31])


def test_front_drops_gaps() -> None:
    front = fronts(np.array([[0.1, np.nan, 0.4, -1, 0.5]]), np.array([[20.0, 25, 30, 31, np.inf]]))
    assert front.counts[0] == 2


def test_curves_of_different_lengths_in_one_batch_equal_each_alone() -> None:
    rng = np.random.default_rng(3)
    rates, qualities = random_curves(rng, 40, 9)
    qualities = np.where(rng.random(qualities.shape) < 0.2, np.nan, qualities)
    other = random_curves(rng, 40, 6)
    together = bd_batch(fronts(rates, qualities), fronts(*other))
    for i in range(40):
        one = slice(i, i + 1)
        held = np.isfinite(qualities[i])
        alone = bd_batch(fronts(rates[one, held], qualities[one, held]), fronts(other[0][one], other[1][one]))
        np.testing.assert_array_equal(together.rate_percent[i], alone.rate_percent[0])


@pytest.mark.parametrize("dataset", ["kodak", "tecnick"])
@pytest.mark.parametrize("metric", ["psnr_rgb", "ms_ssim_rgb"])
def test_every_published_pair_agrees_between_two_implementations(dataset: str, metric: str) -> None:
    curves = [published.load(p.name, metric) for p in published.list_curves(dataset, metric)]
    cut = [fronts(c.rates[None, :], c.qualities[None, :]) for c in curves]
    pairs = checked = 0
    for (a, anchor), (b, test) in itertools.combinations(enumerate(cut), 2):
        pairs += 1
        ours = bd_batch(anchor, test)
        if not ours.overlap[0] or min(anchor.counts[0], test.counts[0]) < 2:
            continue
        sides = [side[0, : f.counts[0]] for f in (anchor, test) for side in (f.rates, f.qualities)]
        theirs = bd_rate(*sides, method="pchip", require_matching_points=False, min_overlap=0)
        assert ours.rate_percent[0] == pytest.approx(theirs, rel=1e-9, abs=1e-9), (
            curves[a].label,
            curves[b].label,
        )
        checked += 1
    assert pairs >= 100
    assert checked > 0.9 * pairs
