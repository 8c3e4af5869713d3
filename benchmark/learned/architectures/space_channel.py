"""CompressAI's networks with a checkerboard in each channel group: Cheng 2020 with He 2021, and ELIC.

Their modules are CompressAI's own, names of tensors included; what is here is the order of coding, two steps
a group (anchors, then the other colour), and the same entropy model in exact arithmetic. The hyper-latents
give features psi for each position; a group's channel context sees groups before it, its spatial context the
anchors of the group, and three or so 1x1 layers make means and scales of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import F32, F64, U8, Intp
from benchmark.errors import NotExactError
from benchmark.learned.architectures.base import (
    Architecture,
    Config,
    ExactParams,
    ExactPrior,
    Part,
    Prior,
    Step,
)
from benchmark.learned.architectures.foreign import sizes_if_of
from benchmark.learned.architectures.layers import Bottleneck, ChandelierModel, CheckerboardModel, ElicModel
from benchmark.learned.exact.chain import Chain, as_convolution, flattened, slope_of
from benchmark.learned.exact.grid import UNIT, activate, in_steps, scale_indices
from benchmark.learned.exact.taps import Taps, framed

_LINEAR = 1.0
"""The slope of no activation: sums are rounded to activations as they are."""


class SpaceChannel(Architecture):
    """A network of CompressAI whose latents are coded by channel groups, each in two colours.

    Subclasses give the class in `model`. One of a class of your own whose latent codec has this form needs no
    more; where its entropy model has layers that exact arithmetic does not have, streams are bound to the
    machine (see `FloatPrior`).
    """

    latent_stride = 16
    image_multiple = 64
    parts: ClassVar[Mapping[str, Part]] = MappingProxyType(
        {
            "g_s": Part(("g_s.",), moves_rate=False),
            "h_s": Part(("latent_codec.hyper.h_s.",), moves_rate=True),
            "prior": Part(("latent_codec.y.",), moves_rate=True),
        }
    )
    model: ClassVar[type[nn.Module]]

    def __init__(self, **sizes: object) -> None:
        config = self.config_type.model_validate(sizes)
        super().__init__(config)
        model: Any = self.model(**config.model_dump())
        self.g_a, self.g_s, self.latent_codec = model.g_a, model.g_s, model.latent_codec
        self._hyper.entropy_bottleneck = Bottleneck(self._hyper.entropy_bottleneck.channels)
        groups = self.groups()
        first = [sum(groups[:number]) for number in range(len(groups))]
        self.steps = tuple(Step(a, a + own, c) for a, own in zip(first, groups, strict=True) for c in (0, 1))

    @property
    def _hyper(self) -> Any:  # noqa: ANN401 (CompressAI is untyped)
        return self.latent_codec.hyper

    def groups(self) -> Sequence[int]:
        """Return how many channels each group has."""
        return tuple(self.latent_codec.y.groups)

    def spatial(self, group: int) -> Any:  # noqa: ANN401
        """Return CompressAI's checkerboard codec of a group."""
        return self.latent_codec.y.latent_codec[f"y{group}"]

    def channel(self, group: int) -> Any:  # noqa: ANN401
        """Return the network that sees the groups before, None for the first."""
        return self.latent_codec.y.channel_context[f"y{group}"] if group else None

    def seen(self, group: int) -> Sequence[slice]:
        """Return which latent channels the channel context of a group sees, in its order."""
        return (slice(0, self.steps[2 * group].first),)

    @property
    def entropy_bottleneck(self) -> Bottleneck:  # type: ignore[override]
        """The densities of the hyper-latents, CompressAI's name for them kept."""
        return cast(Bottleneck, self._hyper.entropy_bottleneck)

    def analysis(self, x: Tensor) -> Tensor:
        """Return the latents y, float32 [batch, M, height/16, width/16]."""
        return cast(Tensor, self.g_a(x).float())

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return the decoded images, float32 [batch, 3, height, width], not clamped to [0, 1]."""
        return cast(Tensor, self.g_s(y_hat).float())

    def hyper_analysis(self, y: Tensor) -> Tensor:
        """Return the hyper-latents z, float32 [batch, N, height/64, width/64]."""
        return cast(Tensor, self._hyper.h_a(y).float())

    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return the prior, two steps a group."""
        return _Params(self, self._hyper.h_s(z_hat))

    def exact_prior(self) -> ExactPrior:
        """Return the same in exact arithmetic. Raises NotExactError for layers that it does not have."""
        return _ExactPrior(self)

    @classmethod
    def recognise(cls, state: Mapping[str, Tensor]) -> Config | None:
        """Return the config of `model` if the tensors are of one."""
        sizes = sizes_if_of(cls.model, state)
        return None if sizes is None else cls.config_type(**sizes)


class CheckerboardConfig(Config):
    """N: channels of all layers and of the latents."""

    N: int = Field(ge=3, le=1024)


class Checkerboard(SpaceChannel):
    """Cheng et al. 2020 without attention, with the checkerboard of He et al. 2021: one group."""

    name = "cheng2020-anchor-checkerboard"
    config_type = CheckerboardConfig
    model = CheckerboardModel

    def groups(self) -> Sequence[int]:
        """Return the one group."""
        return (self._hyper.entropy_bottleneck.channels,)

    def spatial(self, group: int) -> Any:  # noqa: ANN401
        """Return CompressAI's checkerboard codec of all latents."""
        return self.latent_codec.y


class ElicConfig(Config):
    """N: channels of the hidden layers; M: of the latents; groups: how many of them are coded together."""

    N: int = Field(ge=2, le=1024)
    M: int = Field(ge=1, le=1024)
    groups: tuple[int, ...] = Field(min_length=1)


class Elic(SpaceChannel):
    """ELIC, He et al. 2022, "Efficient Learned Image Compression with Unevenly Grouped Space-Channel ..."."""

    name = "elic2022-official"
    config_type = ElicConfig
    model = ElicModel


class ElicChandelier(Elic):
    """ELIC as V. Chandelier wrote it: a group's channel context sees the first group and the one before."""

    name = "elic2022-chandelier"
    model = ChandelierModel

    def seen(self, group: int) -> Sequence[slice]:
        """Return the first group and the one before, once where they are the same."""
        first, before = (
            (self.steps[2 * number].first, self.steps[2 * number].last) for number in (0, group - 1)
        )
        return (slice(*first),) if group == 1 else (slice(*first), slice(*before))


class _Params:
    """Means and scales with gradients, step by step."""

    def __init__(self, network: SpaceChannel, psi: Tensor) -> None:
        self._network, self._psi = network, psi
        self._side = psi

    def params(self, step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma (see `Prior`)."""
        group, other_colour = divmod(step, 2)
        of_step, spatial = self._network.steps[step], self._network.spatial(group)
        if not other_colour:
            self._side = self._with_channels(group, y_hat)
        context = _near(spatial.context_prediction, y_hat[:, of_step.first : of_step.last])
        if not other_colour:
            context = torch.zeros_like(context)
        out = spatial.entropy_parameters(torch.cat([context, self._side], 1)).float()
        sigma, mu = spatial.y._chunk(out)
        alone = Step(0, of_step.last - of_step.first, of_step.colour)
        return alone.gather(mu), alone.gather(sigma)

    def _with_channels(self, group: int, y_hat: Tensor) -> Tensor:
        context = self._network.channel(group)
        if context is None:
            return self._psi
        before = torch.cat([y_hat[:, part] for part in self._network.seen(group)], 1)
        return torch.cat([context(before), self._psi], 1)


def _near(layer: Any, anchors: Tensor) -> Tensor:  # noqa: ANN401
    """Return a checkerboard convolution, its weight left as it is (CompressAI masks it in place)."""
    return functional.conv2d(anchors, layer.weight * layer.mask, layer.bias, padding=layer.padding)


class _ExactPrior:
    def __init__(self, network: SpaceChannel) -> None:
        self._network = network
        self._h_s = Chain(network._hyper.h_s)
        self._groups = [_ExactGroup(network, number) for number in range(len(network.steps) // 2)]

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return the parameters of one image (see `ExactPrior`)."""
        psi = in_steps(np.concatenate(list(self._h_s.strips(cast(F64, z_hat)))))
        side = psi

        def params(step: int, y_hat: F32) -> tuple[F32, U8]:
            nonlocal side
            of_step, group = self._network.steps[step], self._groups[step // 2]
            if step % 2 == 0:
                side = group.side(psi, y_hat)
            at = of_step.positions(rows, columns)
            own = y_hat[of_step.first : of_step.last] if step % 2 else None
            sigma, mu = group(side, own, at)
            return np.ascontiguousarray(mu.T, np.float32), scale_indices(np.ascontiguousarray(sigma.T))

        return params


class _ExactGroup:
    """One group's entropy model on grids; fields are [rows, columns, channels], in steps."""

    def __init__(self, network: SpaceChannel, number: int) -> None:
        spatial, channel = network.spatial(number), network.channel(number)
        context = spatial.context_prediction
        self._near = Taps(context.weight, context.bias, context.mask[0, 0].numpy().astype(bool))
        self._near_channels = context.out_channels
        self._channels = None if channel is None else Chain(channel)
        self._seen = network.seen(number)
        self._head = _pointwise(spatial.entropy_parameters)
        self._chunks = spatial.y.chunks

    def side(self, psi: F64, y_hat: F32) -> F64:
        """Return what both colours see: the channel context, if any, and psi."""
        if self._channels is None:
            return psi
        before = np.concatenate([y_hat[part] for part in self._seen]).astype(np.float64)
        return np.concatenate([in_steps(np.concatenate(list(self._channels.strips(before)))), psi], 2)

    def __call__(self, side: F64, anchors: F32 | None, at: Intp) -> tuple[F64, F64]:
        """Return sigma and mu, [len(at), channels] each, at the positions `at`."""
        near: F64 = np.zeros((len(at), self._near_channels))
        if anchors is not None:
            near = _activated(self._near(framed(in_steps(anchors), self._near.reach), at), _LINEAR)
        hidden = np.concatenate([near, side.reshape(-1, side.shape[2])[at]], 1)
        every = np.arange(len(at))
        for layer, slope in self._head:
            hidden = layer(hidden[None], every)
            if slope is not None:
                hidden = _activated(hidden, slope)
        halves = dict(zip(self._chunks, np.split(hidden * UNIT, 2, axis=1), strict=True))
        return halves["scales"], halves["means"]


def _activated(sums: F64, slope: float) -> F64:
    activate(torch.from_numpy(sums), slope)
    return sums


def _pointwise(layers: nn.Sequential) -> list[tuple[Taps, float | None]]:
    """Return each 1x1 layer with the slope of the activation behind it. Raises NotExactError for others."""
    found: list[tuple[Taps, float | None]] = []
    for layer in flattened(layers):
        slope = slope_of(layer)
        if slope is not None and found and found[-1][1] is None:
            found[-1] = (found[-1][0], slope)
            continue
        weight, bias = as_convolution(layer)
        if weight.shape[2] > 1:
            raise NotExactError(f"{layer} cannot be evaluated exactly at single positions")
        found.append((Taps(weight, bias), None))
    return found
