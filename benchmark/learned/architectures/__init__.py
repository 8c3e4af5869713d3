"""The registry of architectures: a network costs a file here and a line below, or an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from benchmark.registry import Registry

if TYPE_CHECKING:
    from benchmark.learned.architectures.base import Architecture


def _is_architecture(entry: object) -> TypeGuard[type[Architecture]]:
    from benchmark.learned.architectures.base import Architecture

    return isinstance(entry, type) and issubclass(entry, Architecture)


ARCHITECTURES: Registry[type[Architecture]] = Registry(
    what="architecture",
    group="bench.architectures",
    form="subclass of benchmark.learned.architectures.base.Architecture",
    accepts=_is_architecture,
    name_of=lambda kind: kind.name,
    builtin={
        "mean-scale": "benchmark.learned.architectures.mean_scale:MeanScaleHyperprior",
        "patch": "benchmark.learned.architectures.patch:Patch",
        "bmshj2018-hyperprior": "benchmark.learned.architectures.scale:ScaleHyperprior",
        "cheng2020-anchor-checkerboard": "benchmark.learned.architectures.space_channel:Checkerboard",
        "elic2022-official": "benchmark.learned.architectures.space_channel:Elic",
        "elic2022-chandelier": "benchmark.learned.architectures.space_channel:ElicChandelier",
    },
)
