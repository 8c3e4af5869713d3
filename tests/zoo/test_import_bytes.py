"""Bytes of imported networks beside those of CompressAI's own coder, on weights that training made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from small_models import picture, small, tensor
from torch import nn

from benchmark.learned.coding.indices import index_coder
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.tables import SCALE_TABLE
from benchmark.learned.weights import load_model, shipped_folder
from benchmark.training.slope import dead_leaves
from benchmark.training.sources import load_foreign
from benchmark.zoo.architectures import architectures

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
IDENTITY = "c0ffee" * 10 + "beef"


def pixels_of(x: torch.Tensor) -> Any:  # noqa: ANN401
    return (x[0].permute(1, 2, 0) * 255).round().byte().numpy()


def bytes_of_peer(model: Any, x: torch.Tensor) -> int:  # noqa: ANN401
    """Return the bytes of the strings that CompressAI's `compress` makes."""

    def flat(strings: Any) -> int:  # noqa: ANN401
        return len(strings) if isinstance(strings, bytes) else sum(map(flat, strings))

    model.eval().update(force=True)
    with torch.no_grad():
        return flat(model.compress(x)["strings"])


def bytes_of_ours(coding: CodingModel, x: torch.Tensor, quantizer: str = "scalar") -> int:
    container = coding.encode(pixels_of(x), quantizer, get_quantizer(quantizer).default_settings()).container
    return len(container.hyper_stream) + len(container.latent_stream)


class _Analysis(nn.Module):
    """The analysis of one of our networks, in the place of CompressAI's."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.analysis(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("lmbda", [0.0035, 0.025])
def test_a_trained_mean_scale_network_takes_no_more_than_with_compressais_coder(lmbda: float) -> None:
    network: Any = load_model("baseline", lmbda, shipped_folder())[0]
    peer = architectures()["mbt2018-mean"](network.N, network.M)
    own = {n: t for n, t in network.state_dict().items() if n.startswith(("h_a.", "h_s.", "entropy_bottle"))}
    peer.load_state_dict({**peer.state_dict(), **own})
    peer.g_a = _Analysis(network)
    x = dead_leaves()
    theirs, ours = bytes_of_peer(peer, x), bytes_of_ours(CodingModel(network, IDENTITY), x)
    assert 0.98 < ours / theirs < 1.002


@pytest.mark.parametrize("arch", ["bmshj2018-hyperprior", "cheng2020-anchor-checkerboard"])
def test_bytes_of_briefly_trained_networks_are_near_compressais(arch: str) -> None:
    model: Any = small(arch).train()
    adam = torch.optim.Adam((p for n, p in model.named_parameters() if "quantiles" not in n), 2e-3)
    medians = torch.optim.Adam((p for n, p in model.named_parameters() if "quantiles" in n), 0.1)
    batch = torch.cat([tensor(picture(64, 64)), dead_leaves()[:, :, 64:128, 64:128]])
    for _ in range(40):
        out = model(batch)
        bits = -sum(p.log2().sum() for p in out["likelihoods"].values())
        cost = bits / batch[:, 0].numel() + 0.05 * 255**2 * (out["x_hat"] - batch).square().mean()
        for optimizer, loss in ((adam, cost), (medians, model.aux_loss())):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    x = dead_leaves()[:, :, :128, :128]
    theirs = bytes_of_peer(model, x)
    ours = bytes_of_ours(CodingModel(load_foreign(model.state_dict()), IDENTITY), x)
    assert theirs > 200
    assert ours < 1.03 * theirs + 8


def test_escapes_of_trained_networks_cost_what_listing_them_would() -> None:
    network = load_model("baseline", 0.025, shipped_folder())[0]
    coding, scalar = CodingModel(network, IDENTITY), get_quantizer("scalar")
    settings = scalar.default_settings()
    y, z = coding.transforms.analysis(pixels_of(dead_leaves()))
    assert coding.hyper_latents is not None and z is not None
    symbols = coding.hyper_latents.symbols(z)
    z_hat = coding.hyper_latents.dequantize(symbols).reshape(z.shape[1:])
    (indices,), (scales,) = coding._quantize(y[0].numpy(), z_hat, scalar, settings)
    sigma, magnitude = SCALE_TABLE[scales], np.abs(indices)
    mass = norm.cdf((0.5 - magnitude) / sigma) - norm.cdf((-0.5 - magnitude) / sigma)
    listed = -np.log2(np.maximum(mass, 2.0**-16))  # a coder of 16 bits gives nothing less
    escaped = magnitude > scalar.pmf_tables(settings).radius[scales]
    coder = index_coder(scalar, settings)

    def bits(chosen: Any) -> float:  # noqa: ANN401
        return coder.entropy_bits(indices[chosen][None], scales[chosen][None])

    assert 0 < escaped.mean() < 0.005
    assert bits(escaped) < 1.05 * listed[escaped].sum()
    assert bits(np.ones_like(escaped)) < 1.001 * listed.sum()
