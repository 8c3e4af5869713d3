"""What comparisons of the same codecs have in common, made once: the curves of resamples and of images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from benchmark.analysis.bd import ImageCurves
from benchmark.analysis.curves import weighted_means
from benchmark.analysis.grid import CodecGrid
from benchmark.analysis.pchip import Fronts, fronts
from benchmark.arrays import F64

MAX_BYTES = 400_000_000


class Shared:
    """Keeps the curves used last, up to some memory; a grid is known by its identity."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._left = max_bytes
        self._kept: OrderedDict[Hashable, tuple[CodecGrid, Any, int]] = OrderedDict()

    def resampled(self, grid: CodecGrid, weights: F64, part: tuple[str, int, int, int]) -> Fronts:
        """Return the mean curves under image weights [sets, images].

        `part` says what the weights are: the averaging, all resamples, their seed, and which part of them.
        """
        key = (id(grid), *part)
        if (found := self._find(key)) is None:
            rates, values = weighted_means(grid, weights, part[0])
            found = fronts(rates, grid.metric.quality(values))
            self._keep(key, grid, found, found.nbytes)
        return found  # type: ignore[no-any-return]

    def images(self, grid: CodecGrid) -> ImageCurves:
        """Return the curves of the grid's single images."""
        key = (id(grid), "images")
        if (found := self._find(key)) is None:
            found = ImageCurves.of(grid.rates, grid.metric.quality(grid.values))
            self._keep(key, grid, found, found.fronts.nbytes)
        return found  # type: ignore[no-any-return]

    def _find(self, key: Hashable) -> Any:  # noqa: ANN401 (curves of either kind)
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][1]

    def _keep(self, key: Hashable, grid: CodecGrid, found: object, size: int) -> None:
        """Keep what was made, and its grid: no other one may get its identity."""
        self._kept[key] = (grid, found, size)
        self._left -= size
        while self._left < 0 and len(self._kept) > 1:
            self._left += self._kept.popitem(last=False)[1][2]
