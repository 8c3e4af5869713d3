"""`patch`: 16x16 patches, depthwise blocks, channel groups with checkerboards, one network for all rates.

Transforms: a 16x16 convolution of stride 8, blocks at 1/8, pixel-unshuffle, blocks at 1/16, mirrored in g_s;
a DCT branch beside both. A block is x + gain * narrow(gelu(widen(depthwise(x)))), as in MetaFormers (Yu et
al. 2022). Entropy model: uneven channel groups, each in two colours of a checkerboard (ELIC, He et al. 2022).
One network serves all rates by gains for each channel (Cui et al. 2021, "Asymmetric Gained Deep Image
Compression"), here a quadratic in t, the logarithm of lmbda between -1 and 1: it moves the step sizes of
latents and hyper-latents, the blocks' gains and the biases of the entropy model.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import F32, F64, U8, Intp
from benchmark.errors import PointError
from benchmark.learned.architectures.base import (
    Architecture,
    Decoded,
    ExactParams,
    ExactPrior,
    Part,
    Prior,
    Step,
)
from benchmark.learned.architectures.layers import (
    PATCH,
    ScaledBottleneck,
    deconv,
    latents_to_patches,
    patches_to_latents,
    start_from_dct,
)
from benchmark.learned.architectures.patch_growth import regression, take_over
from benchmark.learned.architectures.patch_layers import Analysis, HyperAnalysis, PatchConfig, Synthesis
from benchmark.learned.exact.chain import Chain
from benchmark.learned.exact.grid import UNIT, activate, in_steps, scale_indices
from benchmark.learned.exact.taps import Taps, framed
from benchmark.learned.tables import exact_exp, exact_log2

LOWEST_LMBDA, HIGHEST_LMBDA = 0.0018, 0.0483
_MIDDLE_LMBDA = 0.013
"""Where step 1 suits the DCT branch as it starts."""
_SLOPE = 0.01
_NEIGHBOURS = np.add.outer(np.arange(5), np.arange(5)) % 2 == 1
"""The taps of a 5x5 kernel that lie on the other colour."""


class GroupPrior(nn.Module):
    """Mean and scale of one channel group, from the hyper decoder, the groups before, and its own anchors."""

    def __init__(self, config: PatchConfig, before: int, own: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.from_features = nn.Conv2d(config.features, hidden, 1)
        self.from_before = nn.Conv2d(before, hidden, 3, padding=1, bias=False) if before else None
        self.own = own
        self.from_anchors = nn.Parameter(torch.empty(hidden, own, int(_NEIGHBOURS.sum())))
        """Of a 5x5 convolution, the taps on the other colour: the rest is zero."""
        nn.init.uniform_(self.from_anchors, -1 / (5 * own**0.5), 1 / (5 * own**0.5))
        self.rate_slope = nn.Parameter(torch.zeros(hidden))
        self.middle = nn.Conv2d(hidden, hidden, 1)
        self.last = nn.Conv2d(hidden, 2 * own, 1)
        with torch.no_grad():
            bias = cast(Tensor, self.last.bias)
            self.last.weight.mul_(0.3)
            bias[:own].fill_(1.0)
            bias[own:].zero_()

    def base(self, psi: Tensor, before: Tensor, t: Tensor) -> Tensor:
        """Return what both colours have in common, float [batch, hidden, h, w]."""
        hidden = self.from_features(psi) + t * self.rate_slope.view(1, -1, 1, 1)
        return cast(Tensor, hidden if self.from_before is None else hidden + self.from_before(before))

    def near(self, anchors: Tensor) -> Tensor:
        """Return what the anchors add for their neighbours of the other colour."""
        return functional.conv2d(anchors, self.anchor_weight(), padding=2)

    def anchor_weight(self) -> Tensor:
        """Return the weight of that convolution, float32 [hidden, own, 5, 5]."""
        weight = self.from_anchors.new_zeros(*self.from_anchors.shape[:2], 25)
        taps = torch.from_numpy(np.flatnonzero(_NEIGHBOURS)).to(weight.device)  # ONNX has no boolean masks
        return weight.index_copy(2, taps, self.from_anchors).view(*weight.shape[:2], 5, 5)

    def expect(self, scales: Tensor) -> None:
        """Begin with these scales, [own], and means of 0, which the rest only modulates."""
        self.last.weight.mul_(0.1)
        cast(Tensor, self.last.bias)[: self.own], cast(Tensor, self.last.bias)[self.own :] = scales, 0.0

    def head(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma, float32 [batch, own, h, w]."""
        out = self.last(functional.leaky_relu(self.middle(functional.leaky_relu(hidden, _SLOPE)), _SLOPE))
        sigma, mu = out.float().chunk(2, 1)
        return mu, sigma


class Patch(Architecture):
    """Patches, depthwise blocks, channel groups with checkerboards; one network for all rates.

    See this module. Latents and hyper-latents come scaled for the rate that the network is at.
    """

    name = "patch"
    config_type = PatchConfig
    latent_stride = 16
    image_multiple = 64
    parts: ClassVar[Mapping[str, Part]] = MappingProxyType(
        {
            "g_s": Part(("g_s.", "g_s_linear."), moves_rate=False),
            "h_s": Part(("h_s.",), moves_rate=True),
            "prior": Part(("priors.",), moves_rate=True),
        }
    )
    slow_tensors = ("g_s_linear.",)
    lmbda_range = (LOWEST_LMBDA, HIGHEST_LMBDA)

    config: PatchConfig
    entropy_bottleneck: ScaledBottleneck

    def __init__(self, **sizes: object) -> None:
        config = PatchConfig.model_validate(sizes)
        super().__init__(config)
        self.M = M = sum(config.groups)
        before = [sum(config.groups[:i]) for i in range(len(config.groups))]
        groups = list(zip(before, config.groups, strict=True))
        self.steps = tuple(Step(a, a + own, colour) for a, own in groups for colour in (0, 1))
        self.g_a, self.g_s = Analysis(config, M), Synthesis(config, M)
        self.h_a = HyperAnalysis(config, M)
        features = config.features
        self.h_s = nn.Sequential(
            deconv(config.N, features), nn.LeakyReLU(), deconv(features, features), nn.LeakyReLU()
        )
        self.priors = nn.ModuleList(GroupPrior(config, a, own) for a, own in groups)
        self.entropy_bottleneck = ScaledBottleneck(config.N)
        self.log_gain = nn.Parameter(torch.zeros(3, M))
        """Constant, slope and curvature in t of the logarithm of 1 / step of each latent channel."""
        self.hyper_log_gain = nn.Parameter(torch.zeros(2, config.N))
        """Slope and curvature of that of each hyper-latent channel."""
        self.g_a_linear = nn.Conv2d(3, M, PATCH, stride=PATCH)
        self.g_s_linear = nn.ConvTranspose2d(M, 3, PATCH, stride=PATCH)
        start_from_dct(self.g_a_linear, self.g_s_linear, self.g_a.last, self.g_s.last, nonlinear=0.3)
        with torch.no_grad():
            self.log_gain[0] = 0.25 * math.log(HIGHEST_LMBDA * LOWEST_LMBDA / _MIDDLE_LMBDA**2)
            self.log_gain[1] = 0.2 * math.log(HIGHEST_LMBDA / LOWEST_LMBDA)
        self._bind(np.zeros(1))

    def at(self, lmbda: float | Tensor) -> Patch:
        """Return this network, its tensors shared, bound to a rate, or to one for each image of a batch.

        Raises PointError outside `lmbda_range`.
        """
        values = np.atleast_1d(np.asarray(lmbda, np.float32)).astype(np.float64)
        low, high = (np.float64(np.float32(end)) for end in self.lmbda_range)
        if not ((values >= low) & (values <= high)).all():
            raise PointError(
                f"lmbda {values.min():g} to {values.max():g}: this network serves {low:g} to {high:g}"
            )
        bound = copy.copy(self)
        bound._modules = dict(self._modules)
        bound._modules["entropy_bottleneck"] = copy.copy(self.entropy_bottleneck)
        logs = exact_log2(np.array([LOWEST_LMBDA, HIGHEST_LMBDA]))
        bound.lmbda = float(values[0]) if len(values) == 1 else None
        bound._bind((2 * exact_log2(values) - logs.sum()) / (logs[1] - logs[0]))
        return bound

    def _bind(self, t: F64) -> None:
        """Keep t, [batch], and hand the hyper-latents' density its gains when it is asked for."""
        self._exact_t = t
        self.entropy_bottleneck.gain = self._hyper_gain

    def _t(self) -> Tensor:
        return torch.from_numpy(self._exact_t.astype(np.float32)).to(self.log_gain.device).view(-1, 1, 1, 1)

    def _gain(self) -> Tensor:
        t, (constant, slope, curve) = self._t(), self.log_gain.view(3, 1, -1, 1, 1)
        return torch.exp(constant + t * slope + t * t * curve)

    def _hyper_gain(self) -> Tensor:
        t, (slope, curve) = self._t(), self.hyper_log_gain.view(2, 1, -1, 1, 1)
        return torch.exp(t * slope + t * t * curve)

    def extends(self, trained: Architecture) -> bool:
        """Whether this network has further channel groups or blocks, and all else that `trained` has."""
        if not isinstance(trained, Patch) or self.config == trained.config:
            return False
        had, has = trained.config, self.config
        same = has.model_copy(update={"groups": had.groups, "blocks": had.blocks}) == had
        deeper = has.blocks[0] >= had.blocks[0] and has.blocks[1] >= had.blocks[1]
        return same and deeper and has.groups[: len(had.groups)] == had.groups

    @torch.no_grad()
    def grow_from(self, trained: Architecture, decoded: Iterable[Decoded]) -> None:
        """Take a trained network over; the further groups begin with what it leaves (see `patch_growth`).

        Further blocks begin as the identity.
        """
        fresh = self.log_gain.detach().clone()
        take_over(self, trained)
        had = cast(Patch, trained).config
        for transform in (self.g_a, self.g_s):
            for block in (*transform.fine[had.blocks[0] :], *transform.coarse[had.blocks[1] :]):
                block.gain.zero_()
        if count := self.M - sum(had.groups):
            self._begin_groups(len(had.groups), fresh[:, -count:], decoded)

    def _begin_groups(self, had: int, log_gain: Tensor, decoded: Iterable[Decoded]) -> None:
        """Set the groups beyond the first `had`, [3, count] their `log_gain`, by what the others leave."""
        at, count = cast(Iterable[tuple[Patch, Tensor, Tensor]], decoded), log_gain.shape[1]
        new = regression(((bound.g_a.features(x, bound._t()), x, x_hat) for bound, x, x_hat in at), count)
        self.log_gain[:, -count:] = log_gain
        self.g_a.last.weight[-count:] = new.from_features.T[:, :, None, None].float()
        self.g_a_linear.weight[-count:] = new.from_patch.T.reshape(-1, 3, PATCH, PATCH).float()
        cast(Tensor, self.g_a_linear.bias)[-count:] = new.bias.float()
        self.g_s_linear.weight[-count:] = new.directions.T.reshape(-1, 3, PATCH, PATCH).float()
        own = self.config.groups[had:]
        for prior, scales in zip(self.priors[had:], torch.split(new.scales, list(own)), strict=True):
            cast(GroupPrior, prior).expect(scales.float())

    def exact_gain(self) -> F64:
        """Return float64 [M], 1 / step of each latent channel, the same bits on every machine."""
        (t,) = self._exact_t
        constant, slope, curve = self.log_gain.detach().double().numpy()
        return exact_exp(constant + t * slope + (t * t) * curve)

    def hyper_gain(self) -> F64:
        """Return float64 [N], 1 / step of each hyper-latent channel, the same bits on every machine."""
        (t,) = self._exact_t
        slope, curve = self.hyper_log_gain.detach().double().numpy()
        return exact_exp(t * slope + (t * t) * curve)

    def analysis(self, x: Tensor) -> Tensor:
        """Return the scaled latents, float32 [batch, M, height / 16, width / 16]."""
        y = self.g_a(x, self._t()).float()
        with torch.autocast(x.device.type, enabled=False):
            y = y + patches_to_latents(x.float(), self.g_a_linear)
            return cast(Tensor, y * self._gain())

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """Return the decoded images, float32 [batch, 3, height, width], not clamped to [0, 1]."""
        with torch.autocast(y_hat.device.type, enabled=False):
            y = y_hat.float() / self._gain()
        x_hat = self.g_s(y, self._t()).float()
        with torch.autocast(y_hat.device.type, enabled=False):
            return cast(Tensor, x_hat + latents_to_patches(y, self.g_s_linear))

    def hyper_analysis(self, y: Tensor) -> Tensor:
        """Return the scaled hyper-latents, float32 [batch, N, height / 64, width / 64]."""
        z = self.h_a(y / self._gain(), self._t()).float()
        return cast(Tensor, z * self._hyper_gain())

    def prior(self, z_hat: Tensor | None, y: Tensor) -> Prior:
        """Return the prior of the scaled latents, two steps a group."""
        psi = self.h_s(cast(Tensor, z_hat) / self._hyper_gain())
        return _GroupParams(self, psi)

    def exact_prior(self) -> ExactPrior:
        """Return the same in exact arithmetic, for the one rate that the network is at."""
        return _ExactGroups(self)


class _GroupParams:
    def __init__(self, network: Patch, psi: Tensor) -> None:
        self._network, self._psi = network, psi
        self._base: Tensor | None = None

    def params(self, step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma (see `Prior`)."""
        network, of_step = self._network, self._network.steps[step]
        prior, gain = cast(GroupPrior, network.priors[step // 2]), network._gain()
        plain = y_hat / gain
        if step % 2 == 0:
            self._base = prior.base(self._psi, plain[:, : of_step.first], network._t())
        hidden = cast(Tensor, self._base)
        if step % 2 == 1:
            hidden = hidden + prior.near(plain[:, of_step.first : of_step.last])
        own = gain[:, of_step.first : of_step.last]
        mu, sigma = (part * own for part in prior.head(hidden))
        alone = Step(0, of_step.last - of_step.first, of_step.colour)
        return alone.gather(mu), alone.gather(sigma)


class _ExactGroups:
    def __init__(self, network: Patch) -> None:
        (t,) = network._exact_t
        self._steps, self._gain = network.steps, network.exact_gain()
        self._hyper_gain = network.hyper_gain()
        self._h_s = Chain(network.h_s)
        self._groups = [_ExactGroup(cast(GroupPrior, prior), t) for prior in network.priors]

    def __call__(self, z_hat: F64 | None, rows: int, columns: int) -> ExactParams:
        """Return the parameters of one image (see `ExactPrior`)."""
        plain_z = cast(F64, z_hat) / self._hyper_gain[:, None, None]
        psi = in_steps(np.concatenate(list(self._h_s.strips(plain_z))))

        def params(step: int, y_hat: F32) -> tuple[F32, U8]:
            of_step = self._steps[step]
            gain = self._gain[: of_step.last]
            known = in_steps(y_hat[: of_step.last] / gain[:, None, None])
            at = of_step.positions(rows, columns)
            sums = self._groups[step // 2](psi, known, at, near=step % 2 == 1)
            sigma, mu = np.split(sums * UNIT, 2)
            own = gain[of_step.first :, None]
            return (mu * own).astype(np.float32), scale_indices(sigma * own)

        return params


class _ExactGroup:
    """One `GroupPrior` on grids, evaluated at the positions of a step."""

    def __init__(self, prior: GroupPrior, t: np.float64) -> None:
        bias = prior.from_features.bias.detach().double() + float(t) * prior.rate_slope.detach().double()  # type: ignore[union-attr]
        self._features = Taps(prior.from_features.weight, bias)
        self._before = None if prior.from_before is None else Taps(prior.from_before.weight)
        self._anchors = Taps(prior.anchor_weight(), mask=_NEIGHBOURS)
        self._middle = Taps(prior.middle.weight, prior.middle.bias)
        self._last = Taps(prior.last.weight, prior.last.bias)
        self._own = prior.own

    def __call__(self, psi: F64, known: F64, at: Intp, *, near: bool) -> F64:
        """Return sums, float64 [2 * own, length], sigma first; `known` are activations up to this group."""
        before, own = known[: -self._own], known[-self._own :]
        sums = self._features(psi, at)
        if self._before is not None:
            sums = sums + self._before(framed(before, 1), at)
        if near:
            sums = sums + self._anchors(framed(own, 2), at)
        everywhere = np.arange(len(at))
        middle = self._middle(_activated(sums)[None], everywhere)
        last: F64 = self._last(_activated(middle)[None], everywhere).T
        return last


def _activated(sums: F64) -> F64:
    return cast(F64, activate(torch.from_numpy(sums), _SLOPE).numpy())
