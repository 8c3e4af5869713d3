"""`bench export onnx`: what is written computes what the network does, and says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cli import build_app
from benchmark.errors import CodecUnavailableError, UsageError, WeightsError
from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.loading import build, described, trained_state
from benchmark.learned.weights import write_weights
from benchmark.training import onnx_files

SIZES = [
    {"architecture": "mean-scale", "N": 6, "M": 8, "linear_branch": True},
    {"architecture": "bmshj2018-hyperprior", "N": 6, "M": 8},
    {"architecture": "elic2022-chandelier", "N": 6, "M": 12, "groups": (2, 4, 6)},
]


def network_of(sizes: dict[str, object]) -> Architecture:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build(sizes).eval().requires_grad_(False)


@pytest.mark.parametrize("sizes", SIZES)
def test_parameters_of_a_step_are_given_at_all_positions(sizes: dict[str, object]) -> None:
    network = network_of(sizes)
    parts = onnx_files.networks_of(network)
    entropy = [part for part in parts if part.name.startswith("entropy_parameters_")]
    assert [part.name for part in parts if part not in entropy] == ["analysis", "hyper_analysis", "synthesis"]
    y_hat = torch.randn(1, network.steps[-1].last, 12, 8).round()
    z_hat = torch.randn(1, 6, 3, 2).round()
    prior = network.prior(z_hat, y_hat)
    for number, (part, step) in enumerate(zip(entropy, network.steps, strict=True)):
        mu, sigma = prior.params(number, y_hat)
        everywhere = part.run(z_hat, y_hat)
        for expected, found in zip((mu, sigma), everywhere, strict=True):
            field = torch.zeros_like(y_hat)
            field[:, step.first : step.last] = found
            torch.testing.assert_close(step.gather(field), expected)


@pytest.mark.slow
def test_files_are_checked_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = network_of(SIZES[1])
    for lmbda in (0.01, 0.02):
        write_weights(
            tmp_path / "W", trained_state(network), network=described(network), variant="mine", lmbda=lmbda,
            settings={}, provenance={}, exact=True,
        )  # fmt: skip
    command = ["export", "onnx", "baseline:mine", str(tmp_path / "out"), "--weights", str(tmp_path / "W")]
    with pytest.raises(UsageError, match=r"baseline:mine has several models; give --lmbda: 0\.01, 0\.02"):
        build_app()(command, standalone_mode=False)
    build_app()([*command, "--lmbda", "0.02"], standalone_mode=False)
    said = capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    files = [part["file"] for part in about["networks"]]
    assert files == ["analysis.onnx", "hyper_analysis.onnx", "entropy_parameters_0.onnx", "synthesis.onnx"]
    assert all(f"{tmp_path / 'out' / file}: differs by " in said for file in files)
    assert (about["lmbda"], about["opset"], about["architecture"]) == (0.02, 18, "bmshj2018-hyperprior")
    assert about["steps"] == [{"network": "entropy_parameters_0", "channels": [0, 8], "colour": None}]
    assert about["networks"][2]["inputs"] == {
        "z_hat": [1, 6, "height / 64", "width / 64"],
        "y_hat": [1, 8, "height / 16", "width / 16"],
    }
    assert all(part["largest_difference"] < 1e-4 for part in about["networks"])
    session = onnxruntime.InferenceSession(tmp_path / "out" / "analysis.onnx")
    x = torch.rand(1, 3, 64, 320)
    (y,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        assert float(np.abs(network.analysis(x).numpy() - y).max()) < 1e-4


def test_a_difference_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = network_of(SIZES[1])
    part = onnx_files.networks_of(network)[0]

    class Other:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_inputs(self) -> list[object]:
            return []

        def run(self, *_: object) -> list[np.ndarray]:  # type: ignore[type-arg]
            return [network.analysis(part.inputs["x"].repeat(1, 1, 2, 2)).numpy() + 0.01]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Other)
    (tmp_path / "analysis.onnx").touch()
    with pytest.raises(WeightsError, match=r"analysis: onnxruntime differs from torch by 0\.01"):
        onnx_files._difference(onnx_files._Module(network, part.run), part, tmp_path / "analysis.onnx")
    assert not (tmp_path / "analysis.onnx").exists()


def test_without_onnxruntime_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(CodecUnavailableError, match=r"needs onnxruntime: pip install 'bench-codec\[onnx\]'"):
        build_app()(["export", "onnx", "baseline", str(tmp_path)], standalone_mode=False)


def test_a_codec_without_networks_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UsageError, match="jpeg is no learned codec"):
        build_app()(["export", "onnx", "jpeg", str(tmp_path)], standalone_mode=False)
