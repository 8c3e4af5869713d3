"""`bench import` and everything else that starts from weights reads checkpoints in all their shapes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import picture, saved, small, tensor
from torch import Tensor, nn

from benchmark.errors import BitstreamError, TrainingError, WeightsError
from benchmark.learned.architectures import ARCHITECTURES
from benchmark.learned.architectures.float_prior import FloatPrior
from benchmark.learned.architectures.space_channel import Checkerboard
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.weights import load_model, read_weights, shipped_folder
from benchmark.training.export import export
from benchmark.training.objective import encode, quantize
from benchmark.training.rules import ROUND
from benchmark.training.slope import differs, estimated_lmbda
from benchmark.training.sources import open_source

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@pytest.mark.parametrize("updated", [False, True])
def test_a_checkpoint_of_a_trainer_is_imported(updated: bool, tmp_path: Path) -> None:
    model = small("mbt2018-mean")
    plain = open_source(str(saved(model, tmp_path / "plain.pth")), lmbda=0.01)
    if updated:
        model.update(force=True)  # type: ignore[operator]
    content = {
        "model": {f"module._orig_mod.{name}": tensor for name, tensor in model.state_dict().items()},
        "args": argparse.Namespace(lmbda=0.01),
        "best_loss": np.float64(1.5),
    }
    torch.save(content, tmp_path / "trainer.ckpt")
    assert open_source(str(tmp_path / "trainer.ckpt"), lmbda=0.01).sha256 == plain.sha256


IMPORTED = [
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "cheng2020-anchor-checkerboard",
    "elic2022-official",
    "elic2022-chandelier",
]


def livelier(arch: str) -> Any:  # noqa: ANN401 (compressai is untyped)
    """Return a small model whose latents, hyper-latents and scales are of a usual size, and differ."""
    model: Any = small(arch)
    with torch.no_grad():
        while float(model.g_a(tensor(picture(128, 64))).abs().max()) > 40:  # without GDN they explode
            for weight in (p for p in model.g_a.parameters() if p.ndim == 4):
                weight.mul_(0.9)
        for name, weight in model.named_parameters():
            if "h_a." in name or "h_s." in name:
                weight.mul_(2.0)
    return model


def latents_of_forward(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Return the y_hat that CompressAI's forward gives its synthesis, and its x_hat."""
    seen: list[Tensor] = []
    hook = model.g_s.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    with torch.no_grad():
        x_hat = model(x)["x_hat"]
    hook.remove()
    return seen[0], x_hat


@pytest.mark.parametrize("arch", IMPORTED)
def test_an_imported_network_gives_what_compressais_forward_gives(arch: str, tmp_path: Path) -> None:
    model = livelier(arch)
    network = open_source(str(saved(model, tmp_path / "plain.pth")), lmbda=0.01).network()
    x = tensor(picture(128, 64))
    expected_y, expected_x = latents_of_forward(model, x)
    with torch.no_grad():
        y_hat, _ = quantize(
            network, encode(network, x, ROUND, low_precision=False), ROUND, low_precision=False
        )
        x_hat = network.synthesis(y_hat)
    assert float(expected_y.abs().max()) > 2
    torch.testing.assert_close(y_hat, expected_y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x_hat, expected_x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", IMPORTED)
def test_streams_of_an_imported_network_hold_compressais_latents(arch: str, tmp_path: Path) -> None:
    model = livelier(arch)
    source = open_source(str(saved(model, tmp_path / "plain.pth")), lmbda=0.01)
    path = export(source, tmp_path / "W", "mine")
    network, info = load_model("mine", 0.01, tmp_path / "W")
    assert info.sha256 == source.sha256, path
    coding = CodingModel(network, info.sha256)
    image = picture(100, 70)
    expected, _ = latents_of_forward(model, tensor(coding.pad(image)))
    for quantizer in ("scalar", "rdoq", "tcq8"):
        settings = get_quantizer(quantizer).default_settings()
        stream = pack(coding.encode(image, quantizer, settings).container)
        again = CodingModel(network, info.sha256)
        assert again.decode(unpack(stream)).shape == image.shape
        difference = np.abs(again.decode_latents(unpack(stream)) - expected[0].numpy())
        # means are sums of numbers rounded to 2^-12; a residual that near to a half may round otherwise
        near = np.quantile(difference, 0.99) if quantizer == "scalar" else difference.max()
        assert near < {"scalar": 5e-3, "rdoq": 1.51, "tcq8": 3.01}[quantizer]
    assert coding.portable


def test_weights_are_kept_as_they_are_where_float16_would_change_them(tmp_path: Path) -> None:
    model = livelier("bmshj2018-hyperprior")
    whole = open_source(str(saved(model, tmp_path / "whole.pth")), lmbda=0.01)
    half = open_source(str(saved(model.half(), tmp_path / "half.pth")), lmbda=0.02)
    files = [export(source, tmp_path / "W", "mine") for source in (whole, half)]
    for source, file in zip((whole, half), files, strict=True):
        state, info = read_weights(file, tmp_path / "W")
        assert info.sha256 == source.sha256
        assert all(torch.equal(state[name], value) for name, value in source.state.items())
    assert files[0].stat().st_size > 1.7 * files[1].stat().st_size


class GeluModel(ARCHITECTURES.find("cheng2020-anchor-checkerboard").model):  # type: ignore[misc, name-defined]
    """CompressAI's checkerboard with an activation that exact arithmetic does not have."""

    def __init__(self, N: int) -> None:
        super().__init__(N)
        self.latent_codec.y.entropy_parameters[1] = nn.GELU()


class Gelu(Checkerboard):
    name = "gelu"
    model = GeluModel


def test_a_network_without_exact_arithmetic_is_marked_and_a_mismatch_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    model = CodingModel(Gelu(N=8), "c0ffee" * 10 + "beef")
    assert not model.portable
    image = picture(100, 70)
    stream = pack(model.encode(image, "tcq8", get_quantizer("tcq8").default_settings()).container)
    assert model.decode(unpack(stream)).shape == image.shape
    own = FloatPrior.__call__

    def elsewhere(self: FloatPrior, *of_image: Any) -> Any:  # noqa: ANN401
        params = own(self, *of_image)

        def moved(step: int, y_hat: Any) -> Any:  # noqa: ANN401
            mu, scales = params(step, y_hat)
            scales[0, -1] ^= 1
            return mu, scales

        return moved

    monkeypatch.setattr(FloatPrior, "__call__", elsewhere)
    with pytest.raises(BitstreamError):
        model.decode(unpack(stream))


@pytest.mark.parametrize("lmbda", [0.0035, 0.025])
def test_the_lmbda_of_trained_weights_is_seen(lmbda: float) -> None:
    network, _ = load_model("baseline", lmbda, shipped_folder())
    seems = estimated_lmbda(network)
    assert seems is not None
    assert 1 / 1.2 < seems / lmbda < 1.2
    assert not differs(seems, lmbda)
    assert differs(seems, lmbda * 1.9)
    assert differs(seems, lmbda / 1.9)


@pytest.mark.parametrize("arch", ["mbt2018", "cheng2020-anchor", "cheng2020-attn"])
def test_autoregressive_networks_are_refused_with_the_reason(arch: str, tmp_path: Path) -> None:
    path = saved(small(arch), tmp_path / "joint.pth")
    with pytest.raises(
        WeightsError, match=rf"look like those of .*{arch}.*autoregressive: .*--option arch={arch}"
    ):
        open_source(str(path), lmbda=0.01)
    with pytest.raises(WeightsError, match=rf"compressai:{arch}:3: .*autoregressive"):
        open_source(f"compressai:{arch}:3")


def test_weights_that_cannot_be_imported_are_named_with_the_codec_that_runs_them(tmp_path: Path) -> None:
    path = saved(small("mbt2018"), tmp_path / "joint.pth")
    with pytest.raises(
        WeightsError, match=r"joint\.pth: .*look like those of CompressAI's 'mbt2018'.*--option arch=mbt2018"
    ):
        open_source(str(path), lmbda=0.01)
    torch.save(small("mbt2018"), path)
    with pytest.raises(TrainingError, match=r"--from .*joint\.pth: holds no state dict .* a whole pickled"):
        open_source(str(path), lmbda=0.01)
