"""Bounds of resamples: numpy's own quantiles, where enough resamples reach."""

from __future__ import annotations

import numpy as np

from benchmark.report.savings import _bounds


def test_bounds_are_numpys_nanquantiles() -> None:
    rng = np.random.default_rng(0)
    resamples = rng.normal(size=(200, 40))
    for column in range(20, 40):
        resamples[rng.permutation(200)[: column - 20], column] = np.nan
    low, high = _bounds(resamples)
    expected = np.nanquantile(resamples, [0.025, 0.975], axis=0)
    sure = np.isfinite(resamples).mean(axis=0) >= 0.95
    assert 25 < sure.sum() < 40
    np.testing.assert_allclose(np.array([low, high])[:, sure], expected[:, sure], rtol=1e-12)
    assert np.isnan(low[~sure]).all()
