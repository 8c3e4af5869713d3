"""For notebooks and scripts: load results, BD-rates, plots, codecs and metrics of one's own (docs/python.md).

from benchmark import api

results = api.load("kodak")
results.bd_rate("webp", "jpeg")
api.bd_rate([(0.1, 28.0), (0.3, 31.0), (0.6, 34.0), (1.1, 37.0)], rival)
results.plot()
"""

from benchmark.api.bdrate import BdRate, bd_rate, published
from benchmark.api.results import Picture, Results, load
from benchmark.api.trials import measure, register_codec, register_metric

__all__ = [
    "BdRate",
    "Picture",
    "Results",
    "bd_rate",
    "load",
    "measure",
    "published",
    "register_codec",
    "register_metric",
]
