"""What an architecture is: the types that pass between networks, quantizers, coding and training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from benchmark.arrays import F32, F64, U8, Intp
from benchmark.errors import NotExactError, WeightsError
from benchmark.learned.architectures.layers import Bottleneck, GaussianConditional
from benchmark.learned.architectures.transforms import Transforms, WholeImage

Latents = TypeVar("Latents", F32, F64, U8, Tensor)


class Config(BaseModel):
    """The sizes of a network: a frozen value that recipes state and weights files carry."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Step:
    """Latents that are coded together: channels `first` to `last` (exclusive), all positions or a colour.

    A `colour` is 0 or 1, the parity of row + column: the two fields of a checkerboard. A mean-scale
    hyperprior has one step, a checkerboard two, channel groups with checkerboards two a group. What is
    decoded in a step is known to the steps after it.
    """

    first: int
    last: int
    colour: int | None = None

    def positions(self, rows: int, columns: int) -> Intp:
        """Return the step's positions, row-major, in latents of this size."""
        return np.arange(rows * columns) if self.colour is None else _positions(rows, columns, self.colour)

    def gather(self, y: Latents) -> Latents:
        """Return the step's latents, [..., last - first, length], of y [..., M, rows, columns], row-major."""
        part = y[..., self.first : self.last, :, :]
        flat = part.reshape(*part.shape[:-2], -1)
        if self.colour is None:
            return flat
        return flat[..., _positions(y.shape[-2], y.shape[-1], self.colour)]

    def scatter(self, rows: F32, y: F32) -> None:
        """Write what `gather` returns to its place in y, contiguous float32 [M, rows, columns]."""
        part = y[self.first : self.last].reshape(self.last - self.first, -1)
        if not np.shares_memory(part, y):
            raise ValueError("y must be contiguous")
        part[:, slice(None) if self.colour is None else _positions(y.shape[1], y.shape[2], self.colour)] = (
            rows
        )

    def placed(self, rows: Tensor, y: Tensor) -> Tensor:
        """Return y, [batch, M, rows, columns], with `rows` in the step's place; both keep their gradients."""
        part = y[:, self.first : self.last]
        if self.colour is None:
            new = rows.reshape(part.shape)
        else:
            at = torch.from_numpy(_positions(y.shape[2], y.shape[3], self.colour)).to(y.device)
            new = part.flatten(2).index_copy(2, at, rows).view(part.shape)
        if self.last - self.first == y.shape[1]:
            return new
        return torch.cat([y[:, : self.first], new, y[:, self.last :]], 1)


@lru_cache(maxsize=64)
def _positions(rows: int, columns: int, colour: int) -> Intp:
    """Return the places, row-major, where (row + column) % 2 is `colour`."""
    parity = (np.arange(rows)[:, None] + np.arange(columns)) % 2
    return np.flatnonzero(parity.ravel() == colour)


class Prior(Protocol):
    """Means and scales of the latents, step by step, with gradients: what training uses."""

    def params(self, step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma, float32 [batch, channels, length] each, of step number `step`.

        `y_hat`, float32 [batch, M, rows, columns], holds what the steps before gave; the rest is zero.
        Sigma is as the network gives it, not yet bounded below.
        """


class ExactParams(Protocol):
    """Means and scale indices of one image's latents, step by step, the same bits on every machine."""

    def __call__(self, step: int, y_hat: F32) -> tuple[F32, U8]:
        """Return mu and scale index, [channels, length] each, of step number `step`.

        `y_hat`, float32 [M, rows, columns], holds what the steps before gave; the rest is zero.
        """


class ExactPrior(Protocol):
    """The prior in exact arithmetic, made once a network (see `benchmark.learned.exact`)."""

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return the parameters of latents [M, rows, columns], given z_hat on the grid of the hyper-latents.

        z_hat is float64 [N, rows * latent_stride / image_multiple, ...]; None without hyper-latents.
        """


@dataclass(frozen=True)
class Part:
    """What finetuning may retrain: tensors whose names start with one of `prefixes`.

    `moves_rate` says that the bits change with them, as they do with all that mu and sigma depend on.
    """

    prefixes: tuple[str, ...]
    moves_rate: bool


Decoded = tuple["Architecture", Tensor, Tensor]
"""A trained network at the rates of a batch; the images, and what it decodes of them, in [0, 1]."""


class Architecture(nn.Module, ABC):
    """A network that turns images into latents and back, and says how its latents are distributed.

    Images are RGB in [0, 1], float32 [batch, 3, height, width], sides multiples of `image_multiple`. Latents
    are float32 [batch, M, height / latent_stride, width / latent_stride]; the quantizer's step is about 1.
    A class is registered by one line in `ARCHITECTURES`, or an entry point in the group
    "bench.architectures"; its constructor takes the fields of its `config_type` as keywords.
    """

    name: ClassVar[str]
    """The registry name, which weights files carry."""
    config_type: ClassVar[type[Config]]
    latent_stride: ClassVar[int]
    """Pixels per latent along one axis."""
    image_multiple: ClassVar[int]
    """Sides of what goes into the network are multiples of it: pixels per hyper-latent, or per latent."""
    parts: ClassVar[Mapping[str, Part]]
    """What `bench finetune --parts` can name."""
    lmbda_range: ClassVar[tuple[float, float] | None] = None
    """The rates that one set of weights serves; None for a network of a single rate."""
    slow_tensors: ClassVar[tuple[str, ...]] = ()
    """Prefixes of tensors whose learning rate is lowered by a recipe's `linear_rate`."""

    lmbda: float | None = None
    """The rate that the network is at, a float32 value; None for a network of a single rate."""
    steps: tuple[Step, ...]
    entropy_bottleneck: Bottleneck | None
    """The densities of the hyper-latents (Balle et al. 2018, appendix 6.1); None without hyper-latents."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.gaussian_conditional = GaussianConditional(None)

    @abstractmethod
    def analysis(self, x: Tensor) -> Tensor:
        """Return the latents y of images x."""

    @abstractmethod
    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return the decoded images, float32 and not clamped to [0, 1], of quantized latents."""

    @abstractmethod
    def hyper_analysis(self, y: Tensor) -> Tensor | None:
        """Return the hyper-latents z, float32 [batch, N, h, w]; None where there are none."""

    @abstractmethod
    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return the prior of latents shaped like `y`, whose values it does not look at."""

    def exact_prior(self) -> ExactPrior:
        """Return the prior in exact arithmetic.

        Raises WeightsError for weights that no grid holds, NotExactError for layers that exact arithmetic
        does not have, as attention; by default always. Streams are then of one machine (see `FloatPrior`).
        """
        raise NotExactError(f"{self.name} has no entropy model in exact arithmetic")

    def at(self, lmbda: float | Tensor) -> Architecture:
        """Return the network, its tensors shared, for a rate; itself if it has but one.

        A tensor [batch] gives each image of a batch its own. Raises PointError outside `lmbda_range`.
        """
        return self

    def hyper_gain(self) -> F64 | None:
        """Return float64 [N], by which hyper-latents are scaled beyond their densities; None where not."""
        return None

    def transforms(self) -> Transforms:
        """Return analysis and synthesis as encoder and decoder run them; by default on the whole image."""
        return WholeImage(self)

    def rescale_latents(self, gain: float) -> None:
        """Multiply the latents by `gain` without changing what the network computes.

        The quantizer's step is 1, so that this is a change of step size: the start for another lmbda, where
        gain = sqrt(lmbda / old lmbda) keeps the distortion's slope in balance at high rate. Raises
        WeightsError where the architecture has no such form.
        """
        if gain != 1.0:
            raise WeightsError(
                f"{self.name} cannot be started from a model of another lmbda: its latents cannot be rescaled"
            )

    def extends(self, trained: Architecture) -> bool:
        """Whether this network is `trained` with further parts, which `grow_from` can set."""
        return False

    def grow_from(self, trained: Architecture, decoded: Iterable[Decoded]) -> None:
        """Take over the tensors of a network that this one extends; the rest begins with what it leaves over.

        `decoded` are batches of training images as the trained network decodes them. Raises WeightsError
        where the architecture cannot grow.
        """
        raise WeightsError(f"{self.name} cannot be grown from a smaller network")

    @classmethod
    def recognise(cls, state: Mapping[str, Tensor]) -> Config | None:
        """Return the config of a foreign state dict if it is one of this architecture, else None."""
        return None
