"""Prints how much of a training step's time our layers save against their peers'.

`python tests/perf/training_step.py`: GDN on channels-last memory against CompressAI's in the small network
(N = 64, M = 128), and depthwise convolutions against torch's in `patch` as shipped; 4 crops of 192x192,
bfloat16, one thread, the two in turn, three rounds; CPU seconds, so that a busy machine disturbs little.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmark.learned.architectures.base import Architecture
from benchmark.learned.architectures.depthwise import Depthwise
from benchmark.learned.architectures.layers import GDN
from benchmark.learned.architectures.loading import build, described
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.learned.architectures.patch import Patch
from benchmark.learned.weights import load_model, shipped_folder
from benchmark.training.objective import forward
from benchmark.training.rules import PROXIES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from compressai.layers import GDN as PEER_GDN

STEPS, ROUNDS = 5, 3


def with_peer_gdn(network: MeanScaleHyperprior) -> MeanScaleHyperprior:
    for transform in (network.g_a, network.g_s):
        for position, layer in enumerate(transform):
            if isinstance(layer, GDN):
                peer = PEER_GDN(network.N, inverse=layer.inverse)
                peer.load_state_dict(layer.state_dict())
                transform[position] = peer
    return network


def with_peer_depthwise(network: Patch) -> Patch:
    for module in network.modules():
        if isinstance(module, Depthwise):
            module.__class__ = nn.Conv2d
    return network


def seconds_per_step(network: Architecture, x: Tensor, steps: int) -> float:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    started = time.process_time()
    for _ in range(steps):
        result = forward(network, x, PROXIES["mixed"], low_precision=True)
        result.cost(0.013).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return (time.process_time() - started) / steps


def compare(what: str, peer: str, networks: Mapping[str, Architecture], x: Tensor) -> None:
    for network in networks.values():
        network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        seconds_per_step(network, x, 2)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            times[name].append(seconds_per_step(network, x, STEPS))
    ours, theirs = (statistics.median(times[name]) for name in ("ours", "peer"))
    print(f"a step: {ours:.3f} s with our {what}, {theirs:.3f} s with {peer}'s; ratio {theirs / ours:.2f}")


def main() -> None:
    torch.set_num_threads(1)
    x = torch.rand(4, 192, 192, 3).permute(0, 3, 1, 2)
    small = {name: MeanScaleHyperprior(64, 128, linear_branch=True) for name in ("ours", "peer")}
    with_peer_gdn(small["peer"])
    compare("GDN", "CompressAI", small, x)
    description = described(load_model("patch", 0.013, shipped_folder())[0])
    strong = {name: build(description).at(0.013) for name in ("ours", "peer")}
    with_peer_depthwise(strong["peer"])
    compare("depthwise convolutions", "torch", strong, x)


if __name__ == "__main__":
    main()
