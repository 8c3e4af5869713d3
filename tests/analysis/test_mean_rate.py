"""The mean of several metrics' BD-rates, and its interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import frame_of

from benchmark.analysis import compare_all
from benchmark.analysis.figures import Comparison
from benchmark.analysis.mean_rate import mean_rate
from benchmark.errors import AnalysisError


def comparison(metric: str, rates: list[float]) -> Comparison:
    """Return a comparison whose images have these BD-rates."""
    (found,) = compare_all(frame_of(images=len(rates)), "jpeg", resamples=4000)
    assert found.per_image is not None
    table = pd.DataFrame({"image": [f"i{n}" for n in range(len(rates))], "bd_rate_percent": rates})
    return replace(found, metric=metric, per_image=replace(found.per_image, table=table))


def test_the_mean_is_over_metrics_then_over_images() -> None:
    found = mean_rate([comparison("a", [-10, -20, -30]), comparison("b", [-30, -40, 10])])
    assert found.rate.value == pytest.approx((-20 - 30 - 10) / 3)
    assert found.by_metric == {"a": pytest.approx(-20), "b": pytest.approx(-20)}
    assert (found.images, found.left_out, found.metrics) == (3, 0, ("a", "b"))


def test_an_image_without_a_rate_in_one_metric_is_left_out_of_all() -> None:
    found = mean_rate([comparison("a", [-10, -20, -90]), comparison("b", [-30, -40, np.nan])])
    assert found.rate.value == pytest.approx(-25)
    assert found.by_metric == {"a": pytest.approx(-15), "b": pytest.approx(-35)}
    assert (found.images, found.left_out) == (2, 1)


def test_resamples_have_the_same_images_in_all_metrics() -> None:
    """Metrics that move against each other leave the mean of every image, and so of every resample, alone."""
    rates = np.random.default_rng(0).normal(-20, 15, 12)
    found = mean_rate([comparison("a", list(rates)), comparison("b", list(-40 - rates))])
    assert found.rate.low == pytest.approx(-20)
    assert found.rate.high == pytest.approx(-20)
    alike = mean_rate([comparison("a", list(rates)), comparison("b", list(rates))])
    # The standard error of the mean, within what 4,000 resamples of twelve images tell.
    half = (alike.rate.high - alike.rate.low) / 2  # type: ignore[operator]
    assert half == pytest.approx(1.96 * rates.std() / np.sqrt(12), rel=0.1)


def test_one_image_has_no_interval_and_none_no_figure() -> None:
    assert mean_rate([comparison("a", [-10])]).rate.low is None
    assert mean_rate([comparison("a", [np.nan, np.nan])]).rate.value is None


def test_what_has_no_mean_is_said() -> None:
    one = comparison("a", [-10, -20])
    with pytest.raises(AnalysisError, match="of one pair of codecs, not of 2"):
        mean_rate([one, replace(one, codec="another")])
    with pytest.raises(AnalysisError, match="published curve has no images"):
        mean_rate([one, replace(one, per_image=None)])
