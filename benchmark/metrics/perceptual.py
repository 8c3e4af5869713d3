"""LPIPS and DISTS: distances of a trained network's features. The network's file is the user's to get.

The libraries hold the few weights on top; those of the network below, hundreds of megabytes, torchvision
would download in the middle of a run. So a suite is refused where the file is missing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.arrays import Image
from benchmark.environment import torch_threads
from benchmark.errors import UsageError
from benchmark.metrics.base import Metric
from benchmark.metrics.libraries import as_tensor, check_side, requires, version_with
from benchmark.torchvision_stub import make_compressai_importable

_URL = "https://download.pytorch.org/models/"
_MIN_SIDE_PIXELS = 32


def checkpoints() -> Path:
    """Return the folder in which torchvision keeps networks, as torch.hub's documentation has it."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("TORCH_HOME") or cache_home / "torch").expanduser() / "hub" / "checkpoints"


def _needs(library: str, backbone: str) -> Callable[[], None]:
    """Return a check that raises UsageError where the library or the file of the network is missing."""

    def check() -> None:
        requires(library)()
        if not (path := checkpoints() / backbone).is_file():
            raise UsageError(f"needs the network {path}, which is missing: put {_URL}{backbone} there")

    return check


def lpips(reference: Image, decoded: Image) -> float:
    """Return LPIPS 0.1 on AlexNet of two 8-bit RGB images of one shape, at least 0.

    Source: Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep features as a
    perceptual metric", CVPR 2018. Raises MetricUndefined under 32 pixels on a side.
    """
    return _distance(
        "LPIPS", _lpips_network, lambda image: as_tensor(image) / 127.5 - 1, (reference, decoded)
    )


def dists(reference: Image, decoded: Image) -> float:
    """Return DISTS on VGG16 of two 8-bit RGB images of one shape, at their own size.

    Source: Ding, Ma, Wang and Simoncelli, "Image quality assessment: unifying structure and texture
    similarity", IEEE Trans. PAMI 44(5), 2022. Raises MetricUndefined under 32 pixels on a side.
    """
    return _distance("DISTS", _dists_network, lambda image: as_tensor(image) / 255, (reference, decoded))


def _distance(
    short: str, network: Callable[[], Any], tensor: Callable[[Image], Any], images: tuple[Image, Image]
) -> float:
    check_side(short, images[0], _MIN_SIDE_PIXELS)
    if np.array_equal(*images):
        return 0.0
    import torch

    with torch.no_grad(), torch_threads(1):
        return float(network()(*map(tensor, images)))


@cache
def _lpips_network() -> Any:  # noqa: ANN401 (the libraries have no types)
    make_compressai_importable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision, on the library's way to name its weights
        from lpips import LPIPS

        return LPIPS(net="alex", verbose=False).double().eval()


@cache
def _dists_network() -> Any:  # noqa: ANN401 (the libraries have no types)
    make_compressai_importable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from DISTS_pytorch import DISTS

        return DISTS().double().eval()


LPIPS_ALEX = Metric(
    name="lpips_alex",
    version=version_with("1", "lpips"),
    unit="1",
    summary="LPIPS on AlexNet (lpips); lower is better",
    label="LPIPS",
    short="LPIPS",
    function=lpips,
    digits=5,
    better="lower",
    identical=0.0,
    check=_needs("lpips", "alexnet-owt-7be5be79.pth"),
)

DISTS_VGG = Metric(
    name="dists_vgg",
    version=version_with("1", "DISTS_pytorch"),
    unit="1",
    summary="DISTS on VGG16 (DISTS_pytorch); lower is better",
    label="DISTS",
    short="DISTS",
    function=dists,
    digits=5,
    better="lower",
    identical=0.0,
    check=_needs("DISTS_pytorch", "vgg16-397923af.pth"),
)
