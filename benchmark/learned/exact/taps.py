"""A convolution in exact arithmetic at chosen positions: what reads the latents that are decoded already."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmark.arrays import F64, Bools, Intp
from benchmark.learned.exact.grid import on_grid


class Taps:
    """A convolution of stride 1 with zeros around, evaluated where it is asked for and nowhere else.

    weight [out, in, k, k] with k odd (1 for a layer that sees single positions), bias [out] or None; `mask`,
    bool [k, k], says which taps count, as in masked and checkerboard convolutions: the others cost nothing.
    Raises WeightsError for weights so large that no grid holds them.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, mask: Bools | None = None) -> None:
        kernel = weight.shape[2]
        keep = np.ones((kernel, kernel), bool) if mask is None else mask
        taps = weight.detach()[:, :, torch.from_numpy(keep)]
        grid, self._bias = (part.numpy() for part in on_grid(taps, bias, (1, 2)))
        self._matrix: F64 = np.ascontiguousarray(grid.transpose(2, 1, 0).reshape(-1, grid.shape[0]))
        self.reach = kernel // 2
        self._places = tuple(zip(*np.nonzero(keep), strict=True))

    def __call__(self, steps: F64, at: Intp) -> F64:
        """Return float64 [len(at), out], exact sums, at the positions `at` (row-major) of a field.

        `steps` are its activations, float64 [rows + 2 * reach, columns + 2 * reach, in]: see `framed`.
        """
        rows, columns, channels = steps.shape
        corner = _corners(rows, columns, self.reach)[at]
        flat = steps.reshape(-1, channels)
        offsets = np.array([row * columns + column for row, column in self._places], np.intp)
        seen = flat[corner[:, None] + offsets]
        sums: F64 = seen.reshape(len(at), -1) @ self._matrix + self._bias
        return sums


@lru_cache(maxsize=64)
def _corners(rows: int, columns: int, reach: int) -> Intp:
    """Return where, in a framed field, the upper left tap of each position inside lies."""
    inside = np.arange(rows - 2 * reach)[:, None] * columns + np.arange(columns - 2 * reach)
    corners: Intp = inside.ravel()
    return corners


def framed(steps: F64, reach: int) -> F64:
    """Return [channels, rows, columns] as [rows + 2 * reach, columns + 2 * reach, channels], zeros around."""
    field = np.moveaxis(steps, 0, 2)
    return np.pad(field, ((reach, reach), (reach, reach), (0, 0)))
