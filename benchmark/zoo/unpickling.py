"""A pickle module for `torch.load` that makes tensors and plain containers, and runs nothing else.

Training scripts leave NumPy scalars, argparse Namespaces or configurations of their own beside the tensors;
torch's own restricted loader refuses the whole file then. Here each such object becomes a `Skipped`, an
inert placeholder: its class is neither imported nor called. The technique is that of Python's documentation
("Restricting Globals" under pickle); what is allowed is what torch's files of tensors need.
"""

from __future__ import annotations

import pickle  # nosec B403  # see the module's first lines
from collections import OrderedDict
from typing import IO, Any

import torch
from torch import _utils

_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor"): _utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,
}


class Skipped:
    """What stands for an object that is not made; takes whatever a pickle does to it, and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> Skipped:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, *args: object, **kwargs: object) -> Skipped:
        """Return itself: a pickle may call what it took for a function."""
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Drop `item`."""

    def extend(self, items: object) -> None:
        """Drop `items`."""


class Unpickler(pickle.Unpickler):
    """`torch.load` derives from this class, and finds storages itself."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401 (as pickle has it)
        """Return what a file of tensors needs; `Skipped` for everything else."""
        if module_name == "torch" and isinstance(found := getattr(torch, global_name, None), torch.dtype):
            return found
        return _ALLOWED.get((module_name, global_name), Skipped)


def load(file: IO[bytes], **options: Any) -> Any:  # noqa: ANN401 (as pickle has it)
    """Return the next object of `file`, as `pickle.load` does."""
    return Unpickler(file, **options).load()
