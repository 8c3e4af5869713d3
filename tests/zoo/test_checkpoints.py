"""Checkpoints as people leave them: every shape gives the same tensors, and none runs code."""

from __future__ import annotations

import argparse
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_models import picture, saved, small
from torch import Tensor

from benchmark.codecs import make_codec
from benchmark.errors import WeightsError
from benchmark.zoo.architectures import architectures, looks_like
from benchmark.zoo.checkpoint import read_state

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

State = Mapping[str, Tensor]


class Config(dict[str, Any]):
    """Of a training script: a class that is not there where the checkpoint is read."""


class Bomb:
    """Runs a command where a plain unpickler reads it."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {os.environ['BENCH_TEST_BOMB']}",)


def old_names(state: State) -> dict[str, Tensor]:
    stems = {"matrices.": "_matrix", "biases.": "_bias", "factors.": "_factor"}
    renamed = dict(state)
    for new, old in stems.items():
        renamed = {name.replace(new, old): tensor for name, tensor in renamed.items()}
    return renamed


def prefixed(state: State, *prefixes: str) -> dict[str, Tensor]:
    return {"".join(prefixes) + name: tensor for name, tensor in state.items()}


WRAPPED: dict[str, Callable[[State], object]] = {
    "raw": OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 7, "loss": torch.tensor(0.3)},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
    "net": lambda state: {"net": state},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "a state dict in a model": lambda state: {"model": {"state_dict": state}},
    "DataParallel": lambda state: {"state_dict": prefixed(state, "module.")},
    "torch.compile": lambda state: prefixed(state, "_orig_mod."),
    "both": lambda state: prefixed(state, "module.", "_orig_mod."),
    "Lightning": lambda state: {
        "state_dict": prefixed(state, "model.") | {"criterion.weight": torch.ones(2)},
        "pytorch-lightning_version": "2.4.0",
        "hyper_parameters": Config(lmbda=0.01),
    },
    "Lightning, compiled": lambda state: {"state_dict": prefixed(state, "model.", "_orig_mod.")},
    "a trainer's net": lambda state: prefixed(state, "net."),
    "names of CompressAI 1.0": old_names,
    "NumPy scalars": lambda state: {"state_dict": state, "best": np.float64(0.25), "rng": np.arange(3)},
    "a Namespace": lambda state: {
        "state_dict": state,
        "args": argparse.Namespace(lmbda=0.01, path=Path("x")),
    },
    "an optimizer beside it": lambda state: {
        "state_dict": state,
        "optimizer": torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]).state_dict(),
    },
    "parameters": lambda state: {
        name: torch.nn.Parameter(t) if t.is_floating_point() else t for name, t in state.items()
    },
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pth.tar", ".ckpt"])
@pytest.mark.parametrize("case", WRAPPED)
def test_every_shape_gives_the_same_tensors(case: str, suffix: str, tmp_path: Path) -> None:
    state = small("mbt2018-mean").state_dict()
    path = tmp_path / f"checkpoint{suffix}"
    torch.save(WRAPPED[case](state), path, _use_new_zipfile_serialization=suffix != ".pt")
    found = read_state(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("arch", sorted(architectures()))
@pytest.mark.parametrize("updated", [False, True])
def test_before_and_after_update_from_every_kind_of_file(arch: str, updated: bool, tmp_path: Path) -> None:
    model = small(arch)
    if updated:
        model.update(force=True)  # type: ignore[operator]
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    saved(model, tmp_path / "a.pth")
    save_file({name: t for name, t in state.items() if t.numel()}, tmp_path / "b.safetensors")
    streams = {
        make_codec("compressai", {"arch": arch, "checkpoints": {"0": str(tmp_path / name)}}).encode(
            picture(), 0
        )[13:]
        for name in ("a.pth", "b.safetensors")
    }
    assert len(streams) == 1
    assert looks_like(read_state(tmp_path / "a.pth")) == arch


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    state = {
        name: t.half() if t.is_floating_point() else t
        for name, t in small("mbt2018-mean").state_dict().items()
    }
    torch.save({"state_dict": state}, tmp_path / "half.pth")
    found = read_state(tmp_path / "half.pth")
    assert found["g_a.0.weight"].dtype == torch.float32
    assert torch.equal(found["g_a.0.weight"], state["g_a.0.weight"].float())
    codec = make_codec(
        "compressai", {"arch": "mbt2018-mean", "checkpoints": {"1": str(tmp_path / "half.pth")}}
    )
    assert codec.decode(codec.encode(picture(), 1)).shape == (64, 64, 3)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_never_run(
    zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "it ran"
    monkeypatch.setenv("BENCH_TEST_BOMB", str(mark).replace(" ", "\\ "))
    state = small("mbt2018-mean").state_dict()
    path = tmp_path / "bomb.pth"
    torch.save(
        {"state_dict": state, "args": Bomb(), "more": [Bomb()]}, path, _use_new_zipfile_serialization=zipped
    )
    assert read_state(path).keys() == state.keys()
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # so that the test would notice


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a whole model": (
        lambda path: torch.save(small("mbt2018-mean"), path),
        r"a whole pickled object.*save its state_dict\(\)",
    ),
    "another dict": (
        lambda path: torch.save({"epoch": 3, "weights": [1, 2]}, path),
        "but a dict of epoch, weights",
    ),
    "a list": (lambda path: torch.save([1, 2], path), "but an object of type list"),
    "no file of torch": (lambda path: path.write_bytes(b"PK\3\4 nonsense"), "no file that torch reads"),
    "a pickle": (
        lambda path: path.write_bytes(pickle.dumps({"a": 1})),
        "no file that torch reads|holds no state dict",
    ),
    "a cut file": (
        lambda path: path.write_bytes(saved(small("mbt2018-mean"), path).read_bytes()[:-500]),
        "no file that torch reads",
    ),
    "a program": (lambda path: torch.jit.script(torch.nn.ReLU()).save(path), "is a TorchScript program"),
}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named_with_what_it_holds(case: str, tmp_path: Path) -> None:
    write, said = WRONG[case]
    path = tmp_path / "wrong.pth"
    write(path)
    with pytest.raises(WeightsError, match=rf"wrong\.pth: .*({said})"):
        read_state(path)
    with pytest.raises(WeightsError, match="no such file"):
        read_state(tmp_path / "gone.pth")


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    path = saved(small("bmshj2018-hyperprior"), tmp_path / "q.pth")
    codec = make_codec("compressai", {"arch": "mbt2018-mean", "checkpoints": {"1": str(path)}})
    with pytest.raises(
        WeightsError,
        match=r"q\.pth: these are not the weights of 'mbt2018-mean'; they look .* 'bmshj2018-hyperprior'",
    ):
        codec.prepare(1)
    torch.save({"x.weight": torch.zeros(3)}, path)
    codec = make_codec("compressai", {"arch": "mbt2018-mean", "checkpoints": {"1": str(path)}})
    with pytest.raises(WeightsError, match=r"these are not the weights of 'mbt2018-mean'"):
        codec.prepare(1)
    state = small("mbt2018-mean").state_dict()
    state["g_a.0.weight"][0] = torch.nan
    torch.save(state, path)
    codec = make_codec("compressai", {"arch": "mbt2018-mean", "checkpoints": {"1": str(path)}})
    with pytest.raises(WeightsError, match=r"g_a\.0\.weight holds values that are not finite"):
        codec.prepare(1)
