"""Devices that networks run on: whether one is there, and what it is. The processor is "cpu"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CPU = "cpu"


def fault(device: str) -> str:
    """Return why torch cannot use a device here, in one line; "" if it can."""
    if device == CPU:
        return ""
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return ""


def hardware(device: str) -> str:
    """Return what a device that is here is, such as "cuda (NVIDIA H100)"; "cpu" for the processor."""
    import torch

    is_cuda = torch.device(device).type == "cuda"
    return f"{device} ({torch.cuda.get_device_name(device)})" if is_cuda else device


def place(device: str) -> torch.device:
    """Return the device as torch names it."""
    import torch

    return torch.device(device)


def on_device(device: str) -> str:
    """Return what versions say of a device other than the processor: ", on cuda (NVIDIA H100)"; "" for that.

    Numbers and times of one device are not those of another, so rows of each have versions of their own.
    """
    return "" if device == CPU else f", on {hardware(device)}"
