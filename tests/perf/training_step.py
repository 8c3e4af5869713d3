"""Prints how much of a training step's time GDN on channels-last memory saves against CompressAI's GDN.

`python tests/perf/training_step.py`: the shipped size (N = 64, M = 128, 4 crops of 192x192, bfloat16), one
thread, the two in turn, three rounds; CPU seconds, so that a busy machine disturbs little.
"""

from __future__ import annotations

import statistics
import time
import warnings

import torch

from benchmark.learned.architectures.layers import GDN
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.training.objective import forward

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


def seconds_per_step(network: MeanScaleHyperprior, x: torch.Tensor, steps: int) -> float:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    started = time.process_time()
    for _ in range(steps):
        forward(network, x, "noise", low_precision=True).cost(0.013).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return (time.process_time() - started) / steps


def main() -> None:
    torch.set_num_threads(1)
    x = torch.rand(4, 192, 192, 3).permute(0, 3, 1, 2)
    networks = {}
    for name in ("ours", "compressai"):
        network = MeanScaleHyperprior(64, 128, linear_branch=True)
        network = with_peer_gdn(network) if name == "compressai" else network
        networks[name] = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        seconds_per_step(networks[name], x, 2)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            times[name].append(seconds_per_step(network, x, STEPS))
    ours, peer = (statistics.median(times[name]) for name in ("ours", "compressai"))
    print(f"a step: {ours:.3f} s with our GDN, {peer:.3f} s with CompressAI's; ratio {peer / ours:.2f}")


if __name__ == "__main__":
    main()
