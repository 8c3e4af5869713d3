"""Convolutions with fewer multiplications: Winograd's minimal filtering, for 3x3 and for 5x5 of stride 2.

Two outputs of a 3-tap filter take 4 products instead of 6, F(2, 3), and two of a 2-tap filter 3 instead of 4,
F(2, 2) (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"; Winograd 1980). A 5x5 layer
of stride 2 is made of a 3-tap and a 2-tap filter per axis: of the even and the odd inputs where it goes down,
for the even and the odd outputs where it goes up. The forms of F(2, 2) below are chosen to share what follows
the products (down) or what precedes them (up) with F(2, 3), so that the phases are extra columns of the same
16 matrix products: 49 products where the layer has 100, and 16 where a 3x3 one has 36.

All tensors are [rows, width, channels], contiguous; work is elementwise or one matrix product at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

INPUT_GROWTH = 4.0
"""No transformed input exceeds this many times the largest input."""
WEIGHT_GROWTH = 4.0
"""The absolute transforms of one tap, all products together, sum to at most this many times the tap."""
WEIGHT_BITS = 2
"""Transformed weights are multiples of the weights' grid over 2 to this power."""

_THREE_TAPS = [[0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
"""F(2, 3): the taps at the points 1, -1, infinity, 0."""
_TWO_TAPS_UP = [[0.5, 0.5], [-0.5, 0.5], [0.0, 1.0]]
"""F(2, 2) at 1, -1, infinity: same inputs as F(2, 3) there."""
_THREE_TAPS_DOWN = [_THREE_TAPS[i] for i in (0, 3, 2, 1)]
"""F(2, 3) at 1, 0, infinity, -1."""
_TWO_TAPS_DOWN = [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
"""F(2, 2) at 1, 0, infinity: same combination of products as F(2, 3) there."""
_POINTS = range(4)
_SHARED = 3
"""The point after these has the 3-tap filter alone."""


def _phases(point: int) -> int:
    return 2 if point < _SHARED else 1


def _transform(taps: Tensor, rows: Sequence[Sequence[float]], columns: Sequence[Sequence[float]]) -> Tensor:
    """Return [row points, column points, ., .] of taps [., ., height, width], computed in float64."""
    left, right = torch.tensor(rows).double(), torch.tensor(columns).double()
    return torch.einsum("pa,ioab,qb->pqio", left, taps.detach().double(), right)


def _by_phase(
    taps: Tensor, axes: Sequence[tuple[Sequence[int], Sequence[Sequence[float]]]]
) -> list[list[Tensor]]:
    """Return transformed taps [row phase][column phase] of 5x5 taps; `axes`: each phase's taps and matrix."""
    return [
        [_transform(taps[:, :, rows][:, :, :, columns], left, right) for columns, right in axes]
        for rows, left in axes
    ]


class Same:
    """A 3x3 convolution of stride 1 and padding 1. Rows and width must be even.

    weight [out, in, 3, 3], bias [out]; the result has the weight's dtype.
    """

    above, below, step, made = 1, 1, 2, 2

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        transformed = _transform(weight.transpose(0, 1), _THREE_TAPS, _THREE_TAPS).to(weight.dtype)
        self._products = [[transformed[p, q].contiguous() for q in _POINTS] for p in _POINTS]
        self.channels = weight.shape[0]
        self._bias = _or_zero(bias, self.channels, weight.dtype)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write the rows of `out` from `x`, one row more above and below."""
        inputs = _shared_inputs(x)
        tiles = inputs.shape[2] * inputs.shape[3]
        sums = torch.empty(4, 4, tiles, self.channels, dtype=x.dtype)
        for q in _POINTS:
            for p in _POINTS:
                factor = inputs[q, p].view(tiles, -1)
                _multiply(factor, self._products[p][q], self._bias if p == q == 0 else None, sums[p, q])
        _join(sums, out, (0, 1, 2, 3))


class Up:
    """A 5x5 transposed convolution of stride 2, padding 2, output padding 1. Rows and width must be even.

    weight [in, out, 5, 5], bias [out]; the result has the weight's dtype.
    """

    above, below, step, made = 1, 1, 2, 4

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        by_phase = _by_phase(weight, [((4, 2, 0), _THREE_TAPS), ((3, 1), _TWO_TAPS_UP)])
        self.channels = weight.shape[1]
        self._products = [
            [
                torch.cat([by_phase[r][s][p, q] for r in range(_phases(p)) for s in range(_phases(q))], dim=1)
                .to(weight.dtype)
                .contiguous()
                for q in _POINTS
            ]
            for p in _POINTS
        ]
        self._bias = _or_zero(bias, self.channels, weight.dtype).repeat(4)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write the rows of `out` from `x`, half as many rows plus one above and one below."""
        inputs = _shared_inputs(x)
        _, _, down, across, _ = inputs.shape
        half = [self._rows(inputs[q], q) for q in _POINTS]
        # output row 4 * tile + 2 * output + phase, the same for columns
        target = out.view(down, 2, 2, across, 2, 2, -1).permute(4, 1, 0, 3, 2, 5, 6)
        torch.add(half[0], half[1], out=target[0])
        target[0, ..., 0, :].add_(half[3][..., 0, :])
        torch.sub(half[0], half[1], out=target[1])
        target[1].sub_(half[2])

    def _rows(self, inputs: Tensor, q: int) -> Tensor:
        """Return [output, tile row, tile column, row phase, column phase, channels] at column point q."""
        _, down, across, _ = inputs.shape
        tiles, phases = down * across, _phases(q)
        sums = torch.empty(4, tiles, 2, phases * self.channels, dtype=inputs.dtype)
        for p in _POINTS:
            bias = self._bias if p == q == 0 else None
            out = sums[p, :, : _phases(p)].view(tiles, -1) if p < _SHARED else sums[p, :, 0]
            _multiply(inputs[p].view(tiles, -1), self._products[p][q], bias, out)
        half = torch.empty(2, tiles, 2, phases * self.channels, dtype=inputs.dtype)
        torch.add(sums[0], sums[1], out=half[0])
        half[0, :, 0].add_(sums[3, :, 0])
        torch.sub(sums[0], sums[1], out=half[1])
        half[1].sub_(sums[2])
        return half.view(2, down, across, 2, phases, self.channels)


class Down:
    """A 5x5 convolution of stride 2 and padding 2. Rows and width must be multiples of 4.

    weight [out, in, 5, 5], bias [out]; the result has the weight's dtype.
    """

    above, below, step, made = 2, 1, 4, 2

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        taps = weight.transpose(0, 1)
        by_phase = _by_phase(taps, [((0, 2, 4), _THREE_TAPS_DOWN), ((1, 3), _TWO_TAPS_DOWN)])
        self._products = [
            [
                torch.cat([by_phase[r][s][p, q] for r in range(_phases(p)) for s in range(_phases(q))])
                .to(weight.dtype)
                .contiguous()
                for q in _POINTS
            ]
            for p in _POINTS
        ]
        self.channels = weight.shape[0]
        self._bias = _or_zero(bias, self.channels, weight.dtype)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write the rows of `out` from `x`, twice as many rows plus two above and one below."""
        rows = self._row_points(x)
        _, _, down, width, channels = rows.shape
        across = (width - 3) // 4
        tiles = down * across
        sums = torch.empty(4, 4, tiles, self.channels, dtype=x.dtype)
        for q in _POINTS:
            phases = _phases(q)
            inputs = torch.empty(4, tiles, 2, phases * channels, dtype=x.dtype)
            _column_points(rows, q, inputs.view(4, down, across, 2, phases, channels))
            for p in _POINTS:
                factor = inputs[p].view(tiles, -1) if p < _SHARED else inputs[p, :, 0]
                _multiply(factor, self._products[p][q], self._bias if p == q == 0 else None, sums[p, q])
        _join(sums, out, (0, 3, 2, 1))

    @staticmethod
    def _row_points(x: Tensor) -> Tensor:
        """Return [row phase, point, tile row, 2 + width + 1, channels], zero beyond the sides."""
        rows, width, channels = x.shape
        down = (rows - 3) // 4
        out = torch.empty(2, 4, down, width + 3, channels, dtype=x.dtype)
        out[:, :, :, :2] = 0
        out[:, :, :, -1] = 0
        inside = out[:, :, :, 2:-1]
        even = [x[2 * k : 2 * k + 4 * down - 3 : 4] for k in range(4)]
        odd = [x[2 * k + 1 : 2 * k + 4 * down - 2 : 4] for k in range(3)]
        for point in _POINTS:
            _three_taps_down(even, point, inside[0, point])
        for point in range(_SHARED):
            _two_taps_down(odd, point, inside[1, point])
        return out


def _column_points(rows: Tensor, q: int, out: Tensor) -> None:
    """Write [row point, tile row, tile column, row phase, column phase, channels] at column point q."""
    across = out.shape[2]
    for r in range(2):
        points = 4 if r == 0 else _SHARED
        x = rows[r, :points]
        _three_taps_down(
            [x[:, :, 2 * k : 2 * k + 4 * across - 3 : 4] for k in range(4)], q, out[:points, :, :, r, 0]
        )
        if q < _SHARED:
            odd = [x[:, :, 2 * k + 1 : 2 * k + 4 * across - 2 : 4] for k in range(3)]
            _two_taps_down(odd, q, out[:points, :, :, r, 1])


def _three_taps_down(d: Sequence[Tensor], point: int, out: Tensor) -> None:
    if point == 0:
        torch.add(d[1], d[2], out=out)
    else:
        first, second = {1: (0, 2), 2: (1, 3), 3: (2, 1)}[point]
        torch.sub(d[first], d[second], out=out)


def _two_taps_down(d: Sequence[Tensor], point: int, out: Tensor) -> None:
    if point == 0:
        out.copy_(d[1])
    else:
        first = point - 1
        torch.sub(d[first], d[first + 1], out=out)


def _shared_inputs(x: Tensor) -> Tensor:
    """Return [column point, row point, tile row, tile column, channels] of tiles of 4x4 inputs, 2 apart."""
    rows, width, channels = x.shape
    down, across = rows // 2 - 1, width // 2
    half = torch.empty(4, down, width + 2, channels, dtype=x.dtype)
    half[:, :, 0] = 0
    half[:, :, -1] = 0
    _shared_points([x[k : k + 2 * down - 1 : 2] for k in range(4)], half[:, :, 1:-1])
    out = torch.empty(4, 4, down, across, channels, dtype=x.dtype)
    _shared_points([half[:, :, k : k + 2 * across - 1 : 2] for k in range(4)], out)
    return out


def _shared_points(d: Sequence[Tensor], out: Tensor) -> None:
    torch.add(d[1], d[2], out=out[0])
    torch.sub(d[2], d[1], out=out[1])
    torch.sub(d[1], d[3], out=out[2])
    torch.sub(d[0], d[2], out=out[3])


def _multiply(factor: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(factor, weight, out=out)
    else:
        torch.addmm(bias, factor, weight, out=out)


def _join(sums: Tensor, out: Tensor, order: tuple[int, int, int, int]) -> None:
    """Write the 2x2 outputs of every tile from its 4x4 products; `order`: where 1, -1, infinity, 0 are."""
    _, _, tiles, channels = sums.shape
    half = torch.empty(2, 4, tiles, channels, dtype=sums.dtype)
    _combine([sums[point] for point in order], half)
    across = out.shape[1] // 2
    target = out.view(-1, 2, across, 2, channels).permute(3, 1, 0, 2, 4)
    half = half.transpose(0, 1).view(4, 2, -1, across, channels)
    _combine([half[point] for point in order], target)


def _combine(products: Sequence[Tensor], out: Tensor) -> None:
    """Write both outputs of F(2, 3) from the products at 1, -1, infinity, 0."""
    one, minus, infinity, zero = products
    torch.add(one, minus, out=out[0])
    out[0].add_(zero)
    torch.sub(one, minus, out=out[1])
    out[1].sub_(infinity)


def _or_zero(bias: Tensor | None, channels: int, dtype: torch.dtype) -> Tensor:
    return torch.zeros(channels, dtype=dtype) if bias is None else bias.detach().to(dtype)
