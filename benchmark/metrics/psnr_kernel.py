"""The compiled loop behind every PSNR."""

from __future__ import annotations

import numpy as np

from benchmark.arrays import I64, U8
from benchmark.jit import compile_kernel


@compile_kernel()
def sum_products(a: U8, b: U8) -> I64:
    """Return the sums of products rr, gg, bb, rg, rb, gb of the differences of two [pixels, 3] arrays."""
    sums = np.zeros(6, np.int64)
    for start in range(0, a.shape[0], 16384):  # 16384 * 255^2 still fits 32 bits, which vectorize better
        rr = gg = bb = rg = rb = gb = np.int32(0)
        for i in range(start, min(start + 16384, a.shape[0])):
            red = np.int32(a[i, 0]) - np.int32(b[i, 0])
            green = np.int32(a[i, 1]) - np.int32(b[i, 1])
            blue = np.int32(a[i, 2]) - np.int32(b[i, 2])
            rr = np.int32(rr + red * red)
            gg = np.int32(gg + green * green)
            bb = np.int32(bb + blue * blue)
            rg = np.int32(rg + red * green)
            rb = np.int32(rb + red * blue)
            gb = np.int32(gb + green * blue)
        sums += np.array([rr, gg, bb, rg, rb, gb], np.int64)
    return sums
