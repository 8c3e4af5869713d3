"""BD figures of two curves: laws that hold for any curve, and every doubt that is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from benchmark.analysis import Curve, bd_of_curves, published, rate_savings
from benchmark.analysis.bd import METHODS
from benchmark.analysis.grid import Coverage

FULL = Coverage(images_used=24, dataset_size=24)


def curve(rates: list[float], qualities: list[float], label: str = "c") -> Curve:
    order = np.argsort(rates, kind="stable")
    r, q = np.array(rates)[order], np.array(qualities, dtype=float)[order]
    return Curve(
        label, "kodak", "psnr_rgb", "bpp", "per_image", np.arange(len(r)) * 1.0, r, q, q, FULL, ("ok",)
    )


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    n = draw(st.integers(4, 10))
    steps = st.lists(st.floats(0.1, 1.5), min_size=n, max_size=n)
    gains = st.lists(st.floats(0.3, 4), min_size=n, max_size=n)
    return curve(list(0.03 * 2 ** np.cumsum(draw(steps))), list(22 + np.cumsum(draw(gains))))


@settings(deadline=None)  # the first example loads libraries
@given(curves(), st.floats(0.3, 3))
def test_scaling_rate_by_k_gives_100_times_k_minus_1_percent(base: Curve, k: float) -> None:
    found = bd_of_curves(base, replace(base, rates=base.rates * k))
    for method in METHODS:
        assert found.by_method[method].rate_percent == pytest.approx(100 * (k - 1), abs=1e-6), method
    assert found.rate_percent == pytest.approx(100 * (k - 1), abs=1e-9)
    assert found.overlap == pytest.approx(1)


@settings(deadline=None)  # the first example loads libraries
@given(curves(), curves())
def test_swapping_inverts_the_ratio(one: Curve, two: Curve) -> None:
    there, back = bd_of_curves(one, two), bd_of_curves(two, one)
    assert (there.rate_percent is None) == (back.rate_percent is None)
    if there.rate_percent is not None and back.rate_percent is not None:
        assert (1 + there.rate_percent / 100) * (1 + back.rate_percent / 100) == pytest.approx(1, rel=1e-9)
    if there.quality_db is not None and back.quality_db is not None:
        assert there.quality_db == pytest.approx(-back.quality_db, abs=1e-9)
    # half a point of disagreement is not half a point of the inverse: that one may differ
    assert {*there.statuses} ^ {*back.statuses} <= {"methods_disagree", "ok"}


@settings(deadline=None)  # the first example loads libraries
@given(curves())
def test_a_curve_against_itself_is_zero(base: Curve) -> None:
    found = bd_of_curves(base, base)
    assert found.rate_percent == pytest.approx(0, abs=1e-12)
    assert found.quality_db == pytest.approx(0, abs=1e-12)
    assert found.statuses == ("ok",)


@settings(deadline=None)  # the first example loads libraries
@given(curves(), st.floats(-2, 2))
def test_raising_quality_by_d_gives_d_db(base: Curve, d: float) -> None:
    found = bd_of_curves(base, replace(base, qualities=base.qualities + d))
    assert found.quality_db == pytest.approx(d, abs=1e-9)


@settings(deadline=None)  # the first example loads libraries
@given(curves(), st.floats(0.5, 2))
def test_bd_rate_is_the_logarithmic_mean_of_the_savings(base: Curve, k: float) -> None:
    other = replace(base, rates=base.rates**1.1 * k)
    _, percent = rate_savings(base, other, samples=20_001)
    mean = trapezoid(np.log10(1 + percent / 100), dx=1 / (len(percent) - 1))
    found = bd_of_curves(base, other).rate_percent
    assert found == pytest.approx((10**mean - 1) * 100, abs=1e-4)


def test_disjoint_curves_have_no_figure_and_say_so() -> None:
    low = curve([0.1, 0.2, 0.4, 0.8], [20, 22, 24, 26])
    high = curve([0.1, 0.2, 0.4, 0.8], [30, 32, 34, 36])
    found = bd_of_curves(low, high)
    assert found.rate_percent is None
    assert found.quality_db == pytest.approx(10)
    assert "no_overlap" in found.statuses
    assert [len(part) for part in rate_savings(low, high)] == [0, 0]


def test_little_overlap_is_named_and_still_computed() -> None:
    found = bd_of_curves(
        curve([0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32]), curve([0.1, 0.2, 0.4, 0.8], [26, 30, 34, 38])
    )
    assert found.rate_percent is not None
    assert found.overlap == pytest.approx(6 / 18)
    assert "overlap_below_75" in found.statuses


def test_three_points_have_no_cubic_and_are_named() -> None:
    three = curve([0.1, 0.2, 0.4], [20, 24, 28])
    found = bd_of_curves(three, replace(three, rates=three.rates * 0.9))
    assert found.rate_percent == pytest.approx(-10)
    assert found.by_method["cubic"].rate_percent is None
    assert "too_few_points" in found.statuses


@pytest.mark.parametrize("points", [0, 1])
def test_less_than_two_points_have_no_figure(points: int) -> None:
    short = curve([0.1, 0.2][:points], [20.0, 24][:points])
    found = bd_of_curves(curve([0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32]), short)
    assert found.rate_percent is None
    assert found.quality_db is None
    assert "too_few_points" in found.statuses


def test_falling_curves_are_cut_and_named() -> None:
    base = curve([0.1, 0.2, 0.4, 0.8, 1.6], [20, 24, 28, 32, 36])
    bent = curve([0.1, 0.2, 0.3, 0.4, 0.8, 1.6], [20, 24, 23, 28, 32, 36])
    found = bd_of_curves(base, bent)
    assert found.rate_percent == pytest.approx(0)
    assert "non_monotonic" in found.statuses
    assert "duplicate_points" not in found.statuses


def test_points_measured_twice_count_once() -> None:
    base = curve([0.1, 0.2, 0.4, 0.8], [20, 24, 28, 32])
    twice = curve([0.1, 0.2, 0.2, 0.4, 0.8], [20, 24, 24, 28, 32])
    found = bd_of_curves(base, twice)
    assert found.rate_percent == pytest.approx(0)
    assert "duplicate_points" in found.statuses
    assert "non_monotonic" not in found.statuses


def test_methods_that_disagree_are_named() -> None:
    wavy = curve([0.1, 0.2, 0.21, 0.8, 1.0], [20, 21, 27, 28, 36])
    found = bd_of_curves(curve([0.1, 0.2, 0.4, 0.8], [20, 24, 28, 36]), wavy)
    rates = [figures.rate_percent for figures in found.by_method.values() if figures.rate_percent is not None]
    assert max(rates) - min(rates) > 0.5
    assert "methods_disagree" in found.statuses


def test_vtm18_is_within_a_fifth_of_a_percent_of_the_published_vtm_curve() -> None:
    # source: the harness notes on lossy-vae's VTM 18 against CompressAI's vtm.json: "within 0.2 %"
    found = bd_of_curves(published.load("kodak-compressai-vtm"), published.load("kodak-lossy-vae-vtm18.0"))
    assert found.rate_percent == pytest.approx(-0.172, abs=0.001)
    assert found.statuses == ("published",)
