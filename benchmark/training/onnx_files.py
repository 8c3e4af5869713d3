"""A learned codec's networks as ONNX files, each held against torch by onnxruntime before it counts."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import CodecUnavailableError, WeightsError
from benchmark.files import write_atomically
from benchmark.learned.architectures.base import Architecture, Step
from benchmark.learned.exact.strips import workers
from benchmark.learned.weights import ModelInfo

OPSET = 18
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
DESCRIPTION = "model.json"
_ENTROPY = "entropy_parameters_"
_SIDES = (128, 192)
"""Pixels of the image that is traced; the files take others, and are tried on one of twice the size."""
_TOLERANCE = 1e-4
"""Of the largest output: sums of floats differ by their order."""

Run = Callable[..., Any]


@dataclass(frozen=True)
class Network:
    """One ONNX file: what it computes, of tensors like these, and the names of what comes out."""

    name: str
    run: Run
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, int]
    """Pixels per value along one axis."""


class _Module(nn.Module):
    """What the exporter takes: a module whose forward is a function of the network's."""

    def __init__(self, network: nn.Module, run: Run) -> None:
        super().__init__()
        self.network, self._run = network, run

    def forward(self, *inputs: Tensor) -> Any:  # noqa: ANN401 (one tensor or several)
        return self._run(*inputs)


def write_onnx(
    network: Architecture, info: ModelInfo, folder: Path, progress: Callable[[str, float], None]
) -> None:
    """Write the files and `model.json`, which tells names, shapes, opset and lmbda, to `folder`.

    `progress` is called after each file with its name and the largest difference between torch and
    onnxruntime. Raises CodecUnavailableError, with the command that installs them, where packages are
    missing, WeightsError where a network has no ONNX form or computes something else there.
    """
    check_packages()
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval().requires_grad_(False)
    described = []
    with workers(), torch.no_grad():
        for part in networks_of(network):
            module = _Module(network, part.run).eval()
            path = folder / f"{part.name}.onnx"
            _export(module, part, path)
            difference = _difference(module, part, path)
            progress(path.name, difference)
            described.append(_described(part, difference, network))
    about = {
        "architecture": network.name,
        "variant": info.variant,
        "lmbda": network.lmbda or info.lmbda,
        "sha256": info.sha256,
        "opset": OPSET,
        "image_multiple": network.image_multiple,
        "networks": described,
        "steps": [
            {
                "network": f"entropy_parameters_{number}",
                "channels": [step.first, step.last],
                "colour": step.colour,
            }
            for number, step in enumerate(network.steps)
        ],
    }
    write_atomically(folder / DESCRIPTION, (json.dumps(about, indent=1) + "\n").encode())


def check_packages() -> None:
    """Raise CodecUnavailableError unless what exporting and checking need is installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise CodecUnavailableError(
            f"ONNX export needs {' and '.join(missing)}: pip install 'bench-codec[onnx]', "
            f"or pip install {' '.join(PACKAGES)}"
        )


def networks_of(network: Architecture) -> Sequence[Network]:
    """Return what a decoder and an encoder in another language run, in the order of coding."""
    with torch.no_grad():
        x = torch.rand(1, 3, *_SIDES)
        y = network.analysis(x)
        z = network.hyper_analysis(y)
    stride, multiple = network.latent_stride, network.image_multiple
    known = {} if z is None else {"z_hat": z.round()}
    hyper = Network("hyper_analysis", network.hyper_analysis, {"y": y}, {"z": multiple})
    entropy = [
        Network(
            f"{_ENTROPY}{number}",
            _parameters(network, number, hyper=z is not None),
            {**known, "y_hat": y.round()},
            {"mu": stride, "sigma": stride},
        )
        for number in range(len(network.steps))
    ]
    return [
        Network("analysis", network.analysis, {"x": x}, {"y": stride}),
        *(() if z is None else (hyper,)),
        *entropy,
        Network("synthesis", network.synthesis, {"y_hat": y.round()}, {"x_hat": 1}),
    ]


def _parameters(network: Architecture, number: int, *, hyper: bool) -> Run:
    """Return z_hat and y_hat to the mu and sigma of a step at all positions, those of its colour among them.

    Which positions have a colour depends on the image's size, which a file is to be free of.
    """
    everywhere = copy.copy(network)
    everywhere.steps = tuple(Step(step.first, step.last) for step in network.steps)
    first = min(n for n, step in enumerate(network.steps) if step.first == network.steps[number].first)

    def run(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        z_hat, y_hat = inputs if hyper else (None, inputs[0])
        prior = everywhere.prior(z_hat, y_hat)
        for before in range(first, number):
            prior.params(before, y_hat)  # what it computes for all colours of its channels is kept
        mu, sigma = prior.params(number, y_hat)
        field = (1, -1, y_hat.shape[2], y_hat.shape[3])
        return mu.reshape(field), sigma.reshape(field)

    return run


def _export(module: nn.Module, part: Network, path: Path) -> None:
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    try:
        with warnings.catch_warnings():  # torch's exporter warns of its own deprecations
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(part.inputs.values()),
                path,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                dynamic_shapes=(tuple(free for _ in part.inputs),),
                external_data=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        path.unlink(missing_ok=True)
        raise WeightsError(f"{part.name}: torch cannot write it as ONNX: {str(error)[:500]}") from error


def _difference(module: nn.Module, part: Network, path: Path) -> float:
    """Return the largest difference between torch and onnxruntime, for an image of twice the traced size.

    Raises WeightsError where it is too large.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    larger = {name: value.repeat(1, 1, 2, 2) for name, value in part.inputs.items()}
    expected = module(*larger.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    taken = [given.name for given in session.get_inputs()]
    found = session.run(None, {name: larger[name].numpy() for name in taken})
    pairs = [(cast(Tensor, e).numpy(), f) for e, f in zip(expected, found, strict=True)]
    difference = max(float(np.abs(e - f).max()) for e, f in pairs)
    largest = max(1.0, *(float(np.abs(e).max()) for e, _ in pairs))
    if not difference <= _TOLERANCE * largest:
        path.unlink()
        raise WeightsError(
            f"{part.name}: onnxruntime differs from torch by {difference:g}, of values up to {largest:g}"
        )
    return difference


def _described(part: Network, difference: float, network: Architecture) -> Mapping[str, object]:
    """Return what `model.json` says of a file; shapes in terms of the image's padded height and width."""
    strides = {
        "x": 1,
        "y": network.latent_stride,
        "y_hat": network.latent_stride,
        "z_hat": network.image_multiple,
    }
    with torch.no_grad():
        outputs = part.run(*part.inputs.values())
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {
        "file": f"{part.name}.onnx",
        "inputs": {name: _shape(value, strides[name]) for name, value in part.inputs.items()},
        "outputs": {
            name: _shape(value, stride)
            for (name, stride), value in zip(part.outputs.items(), outputs, strict=True)
        },
        "largest_difference": difference,
    }


def _shape(value: Tensor, stride: int) -> list[int | str]:
    sides = ["height", "width"] if stride == 1 else [f"height / {stride}", f"width / {stride}"]
    return [1, value.shape[1], *sides]
