"""Lets compressai import where torch is a CPU build and torchvision the registry's CUDA build.

torchvision's Python side registers fake kernels for operators that its compiled part defines; that part
does not load under a CPU-only torch, and `import compressai` then fails with "operator torchvision::nms
does not exist". Defining the two schemas beforehand is enough. Where torchvision imports, this does nothing.
"""

from __future__ import annotations

import contextlib
import warnings

import torch

_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library: torch.library.Library | None = None


def make_compressai_importable() -> None:
    """Define the missing operator schemas if, and only if, `import torchvision` fails for want of them."""
    global _library  # noqa: PLW0603 (the library must outlive this call: schemas vanish with it)
    if _library is not None:
        return
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
