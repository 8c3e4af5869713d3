"""What comparisons of the same codecs have in common, made once: the curves of resamples and of images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from benchmark.analysis.bd import CutCurve, ImageCurves
from benchmark.analysis.curves import Curve, weighted_means
from benchmark.analysis.grid import CodecGrid
from benchmark.analysis.pchip import BatchBd, Fronts, bd_batch, fronts
from benchmark.arrays import F64

MAX_BYTES = 400_000_000


class Shared:
    """Keeps the curves used last, up to some memory; a grid is known by its identity."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._left = max_bytes
        self._kept: OrderedDict[Hashable, tuple[object, Any, int]] = OrderedDict()

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

    def mean(self, grid: CodecGrid, averaging: str, curve: Curve) -> CutCurve:
        """Return the grid's mean curve, which `curve` is, cut."""
        key = (id(grid), averaging)
        if (found := self._find(key)) is None:
            found = CutCurve.of(curve)
            self._keep(key, grid, found, found.one.front.nbytes)
        return found  # type: ignore[no-any-return]

    def deltas(
        self,
        anchor: CodecGrid,
        test: CodecGrid,
        curves: Callable[[CodecGrid], Fronts],
        of: tuple[Hashable, ...],
    ) -> BatchBd:
        """Return the deltas of a batch of curves of two codecs; `of` says which curves these are.

        Made once for a pair and its reverse, in the order of their names: they never depend on what was
        asked before.
        """
        turned = anchor.codec > test.codec
        first, second = (test, anchor) if turned else (anchor, test)
        key = (id(first), id(second), "deltas", *of)
        if (found := self._find(key)) is None:
            found = bd_batch(curves(first), curves(second))
            self._keep(key, (first, second), found, found.nbytes)
        return found.swapped() if turned else found  # type: ignore[no-any-return]

    def _find(self, key: Hashable) -> Any:  # noqa: ANN401 (curves of either kind)
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][1]

    def _keep(self, key: Hashable, of: object, found: object, size: int) -> None:
        """Keep what was made, and its grids: no other ones may get their identities."""
        self._kept[key] = (of, found, size)
        self._left -= size
        while self._left < 0 and len(self._kept) > 1:
            self._left += self._kept.popitem(last=False)[1][2]
