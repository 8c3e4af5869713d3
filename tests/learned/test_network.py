from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.errors import WeightsError
from benchmark.learned.architectures.layers import GDN, dct_basis
from benchmark.learned.architectures.loading import load_foreign, trained_state
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from compressai.layers import GDN as PEER_GDN
    from compressai.models import MeanScaleHyperprior as Peer
    from compressai.zoo.image import cfgs


@pytest.fixture
def peer() -> Any:  # noqa: ANN401 (compressai is untyped)
    torch.manual_seed(1)
    return Peer(8, 12).eval()


def test_compressais_state_dict_loads_and_every_part_computes_the_same(peer: Any) -> None:  # noqa: ANN401
    network = load_foreign(peer.state_dict())
    assert (network.N, network.M, network.linear_branch, network.training) == (8, 12, False, False)
    x = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        y = network.analysis(x)
        z = network.hyper_analysis(y)
        mu, sigma = network.hyper_synthesis(z.round())
        ours = (y, z, mu, sigma, network.synthesis(y.round()))
        y_peer = peer.g_a(x)
        z_peer = peer.h_a(y_peer)
        sigma_peer, mu_peer = peer.h_s(z.round()).chunk(2, 1)
        theirs = (y_peer, z_peer, mu_peer, sigma_peer, peer.g_s(y.round()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_coding_tables_in_a_state_dict_are_left_out(peer: Any) -> None:  # noqa: ANN401
    peer.update()
    assert peer.state_dict()["gaussian_conditional._quantized_cdf"].numel() > 0
    network = load_foreign(peer.state_dict())
    assert "gaussian_conditional._quantized_cdf" not in trained_state(network)
    assert torch.equal(network.h_s[4].weight, peer.h_s[4].weight)  # type: ignore[arg-type]


def test_published_sizes_have_the_published_number_of_weights() -> None:
    for quality in (1, 8):
        N, M = cfgs["mbt2018-mean"][quality]
        ours, theirs = MeanScaleHyperprior(N, M), Peer(N, M)
        assert {n: p.shape for n, p in ours.named_parameters()} == {
            n: p.shape for n, p in theirs.named_parameters()
        }


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_equals_compressais_in_value_and_gradient(inverse: bool) -> None:
    torch.manual_seed(2)
    ours, theirs = GDN(6, inverse=inverse).double(), PEER_GDN(6, inverse=inverse).double()
    for parameter in theirs.parameters():
        parameter.data.add_(torch.rand_like(parameter) * 0.1)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    gradients = []
    for layer in (ours, theirs):
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        (layer(leaf) * torch.linspace(-1, 1, x.numel()).view_as(x)).sum().backward()
        gradients.append([leaf.grad, layer.beta.grad, layer.gamma.grad])
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_dct_basis_is_orthonormal_and_starts_with_luma() -> None:
    basis = dct_basis(768).reshape(768, -1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(768), atol=1e-12)
    np.testing.assert_allclose(basis[0], np.full(768, 768**-0.5))
    assert np.array_equal(dct_basis(5), dct_basis(768)[:5])
    with pytest.raises(ValueError, match="M = 769"):
        dct_basis(769)


def test_the_dct_start_is_a_transform_codec() -> None:
    """Smooth content passes an untrained network nearly unharmed."""
    torch.manual_seed(3)
    network = MeanScaleHyperprior(64, 128, linear_branch=True).eval()
    x = torch.outer(torch.linspace(0, 3, 64).sin(), torch.linspace(1, 4, 128).cos()).mul(0.4).add(0.5)
    x = x.expand(1, 3, 64, 128).contiguous()
    with torch.no_grad():
        y = network.analysis(x)
        exact, rounded = network.synthesis(y), network.synthesis(y.round())
    assert float((exact - x).square().mean()) < 1e-3
    assert 1e-6 < float((rounded - exact).square().mean()) < 2 / (12 * 6.0**2)
    assert float(y.abs().mean()) < 1.5  # grey is 0: no large DC


def test_the_linear_branch_is_the_convolution_that_it_says() -> None:
    torch.manual_seed(4)
    network = MeanScaleHyperprior(4, 10, linear_branch=True)
    x, y = torch.rand(2, 3, 64, 128), torch.randn(2, 10, 4, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            network.analysis(x), network.g_a(x) + network.g_a_linear(x), rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(
            network.synthesis(y), network.g_s(y) + network.g_s_linear(y), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("linear_branch", [False, True])
def test_rescaling_the_latents_changes_no_picture(linear_branch: bool) -> None:
    torch.manual_seed(5)
    network = MeanScaleHyperprior(6, 8, linear_branch=linear_branch).eval()
    x = torch.rand(1, 3, 64, 64)

    def run() -> list[Tensor]:
        with torch.no_grad():
            y = network.analysis(x)
            z = network.hyper_analysis(y)
            return [y, z, *network.hyper_synthesis(z), network.synthesis(y)]

    y, z, mu, sigma, x_hat = run()
    network.rescale_latents(0.5)
    for before, after in zip((y / 2, z, mu / 2, sigma / 2, x_hat), run(), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_autocast_runs_the_networks_low_and_returns_float32() -> None:
    torch.manual_seed(6)
    network = MeanScaleHyperprior(8, 8, linear_branch=True).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        y = network.analysis(x)
        x_hat = network.synthesis(y)
    assert y.dtype == x_hat.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(y, network.analysis(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("h_s.2.bias"), "lack 1 tensors of the network, 'h_s.2.bias'"),
        (lambda s: s.pop("g_a.6.weight"), "not the weights of any architecture known here"),
        (lambda s: s.update({"g_a.9.weight": torch.zeros(1)}), "has not, 'g_a.9.weight'"),
        (
            lambda s: s.update({"h_a.0.weight": torch.zeros(8, 12, 5, 5)}),
            r"h_a.0.weight: shape \[8, 12, 5",
        ),
        (
            lambda s: s.update({"h_a.0.bias": torch.full((8,), torch.nan)}),
            "h_a.0.bias holds values",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(peer: Any, change: Any, message: str) -> None:  # noqa: ANN401
    state = dict(peer.state_dict())
    change(state)
    with pytest.raises(WeightsError, match=message):
        load_foreign(state)


def test_compressais_file_loads_without_unpickling_code(peer: Any, tmp_path: Path) -> None:  # noqa: ANN401
    torch.save(peer.state_dict(), tmp_path / "peer.pth.tar")
    state = torch.load(tmp_path / "peer.pth.tar", weights_only=True)
    assert torch.equal(load_foreign(state).g_a[0].weight, peer.g_a[0].weight)  # type: ignore[arg-type]
