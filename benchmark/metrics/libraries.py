"""What metrics of libraries share: versions, the remedy where one is missing, images as tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmark.arrays import Image
from benchmark.environment import installed
from benchmark.errors import UsageError
from benchmark.metrics.base import MetricUndefined

if TYPE_CHECKING:
    import torch

REMEDY = "pip install 'bench-codec[metrics]'"


def version_with(own: str, library: str) -> str:
    """Return a metric's version where a library computes its numbers, such as "1, piq 0.8.0".

    So rows are measured again when the library changes. Where it is missing, `own`: nothing is measured then.
    """
    found = installed(library)
    return f"{own}, {library} {found}" if found else own


def requires(library: str) -> Callable[[], None]:
    """Return a check that raises UsageError, with the remedy, where a distribution is not installed."""

    def check() -> None:
        if installed(library) is None:
            raise UsageError(f"needs {library}, which is not installed: {REMEDY}")

    return check


def check_side(what: str, image: Image, pixels: int) -> None:
    """Raise MetricUndefined where the short side of an image, shape (height, width, 3), has fewer pixels."""
    if (side := min(image.shape[:2])) < pixels:
        raise MetricUndefined(f"{what} needs {pixels} pixels on the short side, here are {side}")


def as_tensor(image: Image) -> torch.Tensor:
    """Return an 8-bit image (height, width, 3) as float64 of shape (1, 3, height, width), 0 to 255."""
    import torch

    return torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None].contiguous()
