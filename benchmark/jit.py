"""Compiling numeric kernels with numba, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compile_kernel(**options: Any) -> Callable[[Kernel], Kernel]:  # noqa: ANN401 (numba's own)
    """Return a decorator like `numba.njit(**options)` that keeps the machine code on disk if it can.

    numba keeps it beside the source file or else in the user's cache; it raises RuntimeError where it may
    write to neither, and then the kernel is compiled anew in each process.
    """

    def decorate(function: Kernel) -> Kernel:
        try:
            kernel: Kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:
            kernel = numba.njit(**options)(function)
        return kernel

    return decorate
