"""Operations of networks as papers print them: multiply-accumulates, counted by torch, module by module."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

SIDE = 256
"""Operations are counted on an image of this width and height, as CompressAI's papers have it."""
_PIXELS = SIDE * SIDE
_DEPTH = 2
"""Modules that are called inside others which are not are told apart by two parts of their names."""


@dataclass(frozen=True)
class Part:
    """One module of a model: what it takes in each direction, and how many parameters it has."""

    name: str
    encode_macs: int
    decode_macs: int
    parameters: int

    @property
    def encode_kmac_per_pixel(self) -> float:
        """Thousands of multiply-accumulates per pixel of the image, in encoding."""
        return self.encode_macs / _PIXELS / 1e3

    @property
    def decode_kmac_per_pixel(self) -> float:
        """The same in decoding."""
        return self.decode_macs / _PIXELS / 1e3


@dataclass(frozen=True)
class Operations:
    """The multiply-accumulates of a codec's networks on an image of SIDE x SIDE pixels."""

    parts: tuple[Part, ...]
    forward_macs: int | None = None
    """What one forward pass takes, as in training; None where the model has none."""

    @property
    def encode_kmac_per_pixel(self) -> float:
        """Thousands of multiply-accumulates per pixel of the image, in encoding."""
        return sum(part.encode_kmac_per_pixel for part in self.parts)

    @property
    def decode_kmac_per_pixel(self) -> float:
        """The same in decoding."""
        return sum(part.decode_kmac_per_pixel for part in self.parts)

    @property
    def forward_kmac_per_pixel(self) -> float | None:
        """A forward pass: encoder and decoder, what both share once; the figure that most papers print."""
        return None if self.forward_macs is None else self.forward_macs / _PIXELS / 1e3

    @property
    def parameters(self) -> int:
        """Parameters of all parts."""
        return sum(part.parameters for part in self.parts)

    def fact(self) -> dict[str, object]:
        """Return what a row keeps."""
        return {
            "version": _FACT_VERSION,
            "encode_kmac_per_pixel": self.encode_kmac_per_pixel,
            "decode_kmac_per_pixel": self.decode_kmac_per_pixel,
            "parameters": self.parameters,
        }


def kept_fact(extra: str | None) -> dict[str, float] | None:
    """Return what the `extra` of a row says, JSON; None where it says nothing, or was counted otherwise."""
    found = json.loads(extra or "{}").get(FACT)
    return found if isinstance(found, dict) and found.get("version") == _FACT_VERSION else None


FACT = "operations"
"""The name under which the `extra` of a row has what `Operations.fact` gives."""
_FACT_VERSION = "1"
"""Of how operations are counted: figures of different versions are not compared."""

Sections = Mapping[str, Callable[[], object]]
"""What one direction does, by name, under which is booked what it computes outside of any module."""


def count(
    model: nn.Module, encode: Sections, decode: Sections, forward: Callable[[], object] | None
) -> Operations:
    """Return what both directions and a forward pass take of `model`, run on real tensors of the CPU.

    Convolutions and matrix products are counted (by `torch.utils.flop_counter`, of whose operations two make
    one multiply-accumulate): not activations, sums and entropy coding. GDN is a convolution there.
    """
    encoding, decoding = _counted(model, encode), _counted(model, decode)
    sizes = Counter[str]()
    for name, parameter in model.named_parameters():
        sizes[_of_part(name, {*encoding, *decoding})] += parameter.numel()
    names = dict.fromkeys([*encoding, *decoding, *sizes])
    parts = tuple(Part(name, encoding[name], decoding[name], sizes[name]) for name in names)
    return Operations(parts, _counted(model, {"": forward}).total() if forward else None)


def _counted(model: nn.Module, sections: Sections) -> Counter[str]:
    """Return multiply-accumulates by name: of the outermost modules that are called, and the rest."""
    import torch

    counter = _counter()
    found: Counter[str] = Counter()
    with torch.no_grad(), counter, _booked(model, lambda: counter.operations, found):
        for name, section in sections.items():
            booked, before = found.total(), counter.operations
            section()
            found[name] += counter.operations - before - (found.total() - booked)
    return Counter({name: operations // 2 for name, operations in found.items() if operations})


def _counter() -> Any:  # noqa: ANN401 (of a class of torch, which is not imported here)
    """Return a mode of torch that counts `operations`.

    By the formulas of torch's own FlopCounterMode, which looks for a decomposition of every call: the many
    small ones of an autoregressive decoder then take minutes.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        operations = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
            out = func(*args, **(kwargs or {}))
            if formula := flop_registry.get(func._overloadpacket):
                self.operations += formula(*args, **(kwargs or {}), out_val=out)
            return out

    return Counting()  # type: ignore[no-untyped-call]


@contextmanager
def _booked(model: nn.Module, total: Callable[[], int], found: Counter[str]) -> Iterator[None]:
    """Book what the outermost called modules add to `total` meanwhile under their names."""
    begun: list[int] = []

    def hooks(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def enter(*_: Any) -> None:  # noqa: ANN401 (as torch calls hooks)
            begun.append(total())

        def leave(*_: Any) -> None:  # noqa: ANN401
            start = begun.pop()
            if not begun:
                found[_short(name)] += total() - start

        return enter, leave

    handles = []
    for name, module in model.named_modules():
        if module is not model:
            enter, leave = hooks(name)
            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _short(name: str) -> str:
    return ".".join(name.split(".")[:_DEPTH])


def _of_part(parameter: str, called: Collection[str]) -> str:
    """Return which part a parameter belongs to: a module that was called, else the outermost one."""
    short, first = _short(parameter), parameter.partition(".")[0]
    return short if short in called else first
