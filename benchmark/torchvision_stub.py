"""Lets compressai import where torch is a CPU build and torchvision the registry's CUDA build.

torchvision's Python side registers fake kernels for operators that its compiled part defines; that part
does not load under a CPU-only torch, and `import compressai` then fails with "operator torchvision::nms
does not exist". Defining the two schemas beforehand is enough. Where torchvision imports, this does nothing.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library: torch.library.Library | None = None


def remedy() -> str | None:
    """Return what makes a plain `import compressai` work outside of bench, None where it works as it is.

    Seen from the versions: a CPU build of torch says "+cpu", and so does the torchvision made for it.
    """
    try:
        torch_version, torchvision_version = version("torch"), version("torchvision")
    except PackageNotFoundError:
        return None
    if not torch_version.endswith("+cpu") or torchvision_version.endswith("+cpu"):
        return None
    return (
        f"a plain `import compressai` fails here: torch {torch_version} is a CPU build, torchvision "
        f"{torchvision_version} one for CUDA; pip install "
        f"torchvision=={torchvision_version.partition('+')[0]} --index-url "
        f"https://download.pytorch.org/whl/cpu (codecs that run under bench need nothing)"
    )


class _Finder(MetaPathFinder):
    """Finds nothing: it hears of the first import of compressai, and prepares it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "compressai":
            make_compressai_importable()
        return None


def with_compressai_importable() -> None:
    """Make every later `import compressai` of this process work, a user's own included; imports nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def make_compressai_importable() -> None:
    """Define the missing operator schemas if, and only if, `import torchvision` fails for want of them."""
    global _library  # noqa: PLW0603 (the library must outlive this call: schemas vanish with it)
    if _library is not None:
        return
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                _library.define(operator + _NMS_SCHEMA)  # type: ignore[no-untyped-call]
