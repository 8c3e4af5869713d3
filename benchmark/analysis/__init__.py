"""From per-image records to rate-distortion curves, BD-rates with intervals, and verdicts."""

from benchmark.analysis.bd import Bd, bd_of_curves, rate_savings
from benchmark.analysis.comparison import compare, compare_all, compare_grids
from benchmark.analysis.curves import Curve, PerImageCurves, mean_curves, per_image_curves
from benchmark.analysis.figures import Comparison, comparison_table
from benchmark.analysis.intervals import Estimate
from benchmark.analysis.status import MEANING, Status

__all__ = [
    "MEANING",
    "Bd",
    "Comparison",
    "Curve",
    "Estimate",
    "PerImageCurves",
    "Status",
    "bd_of_curves",
    "compare",
    "compare_all",
    "compare_grids",
    "comparison_table",
    "mean_curves",
    "per_image_curves",
    "rate_savings",
]
