"""Architectures: the contract that all of the registry keep, and one of another package used end to end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from harness import bench_in, install_package
from tiny_model import photograph_like

from benchmark.errors import BitstreamError, PointError, WeightsError
from benchmark.learned.architectures import ARCHITECTURES
from benchmark.learned.architectures.base import Architecture, Step
from benchmark.learned.architectures.loading import build, described, load_network, trained_state
from benchmark.learned.coding.bitstream import pack, unpack
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.training.objective import forward
from benchmark.training.rules import PROXIES, ROUND

HERE = Path(__file__).parent
ENTRY_POINT = "[bench.architectures]\ncheckerboard = checkerboard:Checkerboard\n"
SIZES: dict[str, dict[str, Any]] = {
    "mean-scale": {"N": 6, "M": 8, "linear_branch": True},
    "checkerboard": {"N": 6, "M": 8},
    "bmshj2018-hyperprior": {"N": 6, "M": 8},
    "cheng2020-anchor-checkerboard": {"N": 6},
    "elic2022-official": {"N": 6, "M": 12, "groups": (2, 4, 6)},
    "elic2022-chandelier": {"N": 6, "M": 12, "groups": (2, 4, 6)},
    "patch": {
        "fine": 4, "coarse": 8, "blocks": (1, 1), "N": 6, "features": 8, "hidden": 8, "groups": (2, 3, 4),
    },
}  # fmt: skip
"""The smallest of each architecture; one that is missing here fails the contract."""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    install_package(folder, "checkerboard", (HERE / "checkerboard.py").read_text(), ENTRY_POINT)
    monkeypatch.delitem(sys.modules, "checkerboard", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    ARCHITECTURES.forget()
    yield folder
    ARCHITECTURES.forget()
    sys.modules.pop("checkerboard", None)


def small(name: str, seed: int = 0) -> Architecture:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build({"architecture": name, **SIZES[name]}).eval()
        with torch.no_grad():
            for parameter in (p for n, p in network.named_parameters() if "h_a." in n):
                parameter.mul_(3.0)
    return network


NAMES = sorted(SIZES)


def test_every_architecture_of_the_registry_is_held_to_the_contract() -> None:
    assert sorted(ARCHITECTURES.names()) == NAMES
    assert not ARCHITECTURES.faults


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_steps_cover_every_latent_once(name: str) -> None:
    network = small(name)
    assert network.name == name
    side = network.image_multiple
    with torch.no_grad():
        y = network.analysis(torch.rand(2, 3, side, 3 * side))
        z = network.hyper_analysis(y)
        prior = network.prior(z, y)
        seen = torch.zeros_like(y)
        for number, step in enumerate(network.steps):
            mu, sigma = prior.params(number, y)
            assert mu.shape == sigma.shape == step.gather(y).shape
            seen = step.placed(step.gather(seen) + 1, seen)
        assert network.synthesis(y).shape == (2, 3, side, 3 * side)
    assert y.shape == (
        2,
        network.steps[-1].last,
        side // network.latent_stride,
        3 * side // network.latent_stride,
    )
    assert bool((seen == 1).all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (70, 130)])
@pytest.mark.parametrize("quantizer", ["scalar", "tcq8"])
def test_streams_decode_to_what_the_encoder_quantized(
    name: str, size: tuple[int, int], quantizer: str
) -> None:
    model = CodingModel(small(name), "c0ffee" * 10 + "beef")
    image = photograph_like(*size)
    settings = get_quantizer(quantizer).default_settings()
    encoded = model.encode(image, quantizer, settings)
    stream = pack(encoded.container)
    assert model.decode(unpack(stream)).shape == image.shape
    y, _ = model.transforms.analysis(model.pad(image))
    y_hat = model.decode_latents(unpack(stream))
    # a lattice of the trellis is 2 delta apart, and the search may take the farther of two neighbours
    assert float(np.abs(y[0].numpy() - y_hat).max()) <= 3.01 * settings.delta
    other = CodingModel(small(name, seed=1), "c0ffee" * 10 + "beef")
    with pytest.raises(BitstreamError):
        other.decode(unpack(stream))


@pytest.mark.parametrize("name", NAMES)
def test_the_exact_prior_is_the_network_and_the_same_on_any_threads(name: str) -> None:
    network = small(name)
    side = network.image_multiple
    rng = np.random.default_rng(0)
    rows, columns = 2 * side // network.latent_stride, 3 * side // network.latent_stride
    y_hat = rng.normal(0, 2, (network.steps[-1].last, rows, columns)).astype(np.float32)
    z_hat = rng.integers(-4, 5, (6, 2, 3)).astype(np.float64)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        params = network.exact_prior()(z_hat, rows, columns)
        found.append([params(number, y_hat) for number in range(len(network.steps))])
    torch.set_num_threads(before)
    with torch.no_grad():
        prior = network.double().prior(torch.from_numpy(z_hat)[None], torch.zeros(1, *y_hat.shape).double())
        for number, ((mu, scales), again) in enumerate(zip(*found, strict=True)):
            assert np.array_equal(mu, again[0])
            assert np.array_equal(scales, again[1])
            expected, _ = prior.params(number, torch.from_numpy(y_hat)[None].double())
            assert float(np.abs(expected[0].numpy() - mu).max()) < 2e-2


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_trains_every_part(name: str) -> None:
    for rule in PROXIES.values():
        network = small(name).train()
        x = torch.rand(1, 3, network.image_multiple, 2 * network.image_multiple)
        result = forward(network, x, rule, low_precision=False)
        result.cost(0.01).backward()  # type: ignore[no-untyped-call]
        without = {n for n, p in network.named_parameters() if p.grad is None}
        assert {n.rpartition(".")[2] for n in without} <= {"quantiles"}


@pytest.mark.parametrize("name", NAMES)
def test_a_description_makes_the_network_again(name: str) -> None:
    network = small(name)
    description = json.loads(json.dumps(described(network)))
    again = load_network(description, trained_state(network))
    x = torch.rand(1, 3, network.image_multiple, network.image_multiple)
    with torch.no_grad():
        assert float(forward(network, x, ROUND, low_precision=False).bpp) == float(
            forward(again, x, ROUND, low_precision=False).bpp
        )
    with pytest.raises(WeightsError, match=f"{name}: N:"):
        build({**description, "N": "many"})


def test_an_unknown_architecture_is_named_with_the_near_ones() -> None:
    with pytest.raises(WeightsError, match="unknown architecture 'checkerbord'; did you mean 'checkerboard'"):
        build({"architecture": "checkerbord", "N": 1, "M": 1})


@pytest.mark.parametrize("colour", [None, 0, 1])
def test_what_a_step_gathers_it_puts_back(colour: int | None) -> None:
    step = Step(1, 3, colour)
    y = np.arange(4 * 3 * 5, dtype=np.float32).reshape(4, 3, 5)
    out = np.zeros_like(y)
    step.scatter(step.gather(y), out)
    rows, columns = np.mgrid[0:3, 0:5]
    inside = np.ones((3, 5), bool) if colour is None else (rows + columns) % 2 == colour
    assert np.array_equal(out[1:3], np.where(inside, y[1:3], 0))
    assert not out[0].any() and not out[3].any()
    tensor = torch.from_numpy(y)[None]
    assert torch.equal(step.placed(step.gather(tensor), torch.zeros_like(tensor))[0], torch.from_numpy(out))


RECIPE = """
description = "tiny"
architecture = "checkerboard"
lmbda = 0.01
steps = 3
batch = 1
crop = 64
learning_rate = 1e-4
warmup_steps = 1
hold = 0.5
clip_norm = 5.0
seed = 7

[network]
N = 6
M = 8
"""

SUITE = """
name = "mine"
dataset = "folder:photographs"
metrics = ["psnr_rgb"]

[[codec]]
name = "mine-tcq8"
codec = "patch-finetuned-tcq"
points = [0.01]
options = { weights = "W", variant = "tuned" }

[[codec]]
name = "jpeg"
points = [30, 60]
"""


def test_an_architecture_of_another_package_is_trained_finetuned_and_run_in_a_suite(
    site: Path, tmp_path: Path
) -> None:
    (tmp_path / "photographs").mkdir()
    for number in range(4):
        image = PIL.Image.fromarray(photograph_like(96, 128, seed=number))
        image.save(tmp_path / "photographs" / f"{number}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "mine.toml").write_text(SUITE)
    common = ["--data", "photographs", "--weights", "W", "--threads", "1"]
    bench_in(site, "train", "--recipe", "tiny.toml", "--out", "first", "--variant", "plain", *common)
    start = ["--from", "W/plain/0.01.safetensors", "--quantizer", "tcq8", "--parts", "g_s+prior"]
    (tmp_path / "fine.toml").write_text(
        'description = "t"\nquantizer = "tcq8"\nparts = "g_s"\nsteps = 2\nbatch = 1\ncrop = 64\n'
        "learning_rate = 1e-4\nwarmup_steps = 1\nhold = 0.0\nclip_norm = 5.0\nseed = 2\n"
    )
    bench_in(
        site, "finetune", "--recipe", "fine.toml", *start, "--out", "second", "--variant", "tuned", *common
    )
    bench_in(site, "run", "suite", "mine.toml")
    bench_in(site, "report", "mine", "--format", "csv", "--anchor", "jpeg")
    assert "mine-tcq8" in (tmp_path / "reports/mine/tables/curves.csv").read_text()
    bench_in(site, "calibrate", "plain", "--data", "photographs", "--weights", "W", "--quantizer", "rdoq")


def test_one_network_serves_many_rates_and_its_streams_say_which() -> None:
    network = small("patch")
    image = photograph_like(128, 128)
    sizes, errors = [], []
    for lmbda in (0.0018, 0.01, 0.0483):
        model = CodingModel(network.at(lmbda), "c0ffee" * 10 + "beef")
        stream = pack(model.encode(image, "scalar", QuantizerSettings(1.0)).container)
        header = unpack(stream).header
        assert header.lmbda == np.float32(lmbda)
        again = CodingModel(network.at(header.lmbda), "c0ffee" * 10 + "beef")
        decoded = again.decode(unpack(stream))
        assert np.array_equal(decoded, model.decode(unpack(stream)))
        sizes.append(len(stream))
        errors.append(float(((decoded.astype(float) - image) ** 2).mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    with pytest.raises(PointError, match=r"serves 0\.0018 to 0\.0483"):
        network.at(0.1)


def test_each_image_of_a_batch_has_its_own_rate() -> None:
    network = small("patch").eval()
    x = torch.rand(3, 3, 64, 64)
    lmbdas = torch.tensor([0.0018, 0.01, 0.0483])
    with torch.no_grad():
        together = forward(network.at(lmbdas), x, ROUND, low_precision=False)
        alone = [
            forward(network.at(float(r)), x[i : i + 1], ROUND, low_precision=False)
            for i, r in enumerate(lmbdas)
        ]
    torch.testing.assert_close(together.bpp, torch.cat([each.bpp for each in alone]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.mse, torch.cat([each.mse for each in alone]), rtol=1e-4, atol=1e-3)


def test_settings_of_the_quantizer_reach_every_step() -> None:
    model = CodingModel(small("checkerboard"), "c0ffee" * 10 + "beef")
    image = photograph_like(64, 64)
    sizes = [len(pack(model.encode(image, "scalar", QuantizerSettings(d)).container)) for d in (0.5, 4.0)]
    assert sizes[0] > 1.3 * sizes[1]
