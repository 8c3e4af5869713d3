"""A network grown from a trained one computes what that did, and its new latents say what was left over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.errors import WeightsError
from benchmark.learned.architectures.loading import build, described, trained_state
from benchmark.learned.weights import load_model, shipped_folder
from benchmark.training.data import RandomCrops
from benchmark.training.objective import forward
from benchmark.training.rules import ROUND
from benchmark.training.sources import Source
from benchmark.training.train import begin, decoded

SMALL = {"fine": 8, "coarse": 16, "blocks": (1, 1), "N": 8, "features": 8, "hidden": 8}


def photographs(seed: int = 0) -> list[np.ndarray]:
    """Pictures with fine texture, which a network of few latents leaves over."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    waves = [np.sin(x / rng.uniform(2, 20) + y / rng.uniform(2, 20))[..., None] for _ in range(6)]
    return [np.clip(120 + 50 * wave * rng.uniform(0.3, 1, 3), 0, 255).astype(np.uint8) for wave in waves]


def start(network: torch.nn.Module, lmbda: float) -> Source:
    return Source("small", described(network), trained_state(network), lmbda, {})  # type: ignore[arg-type]


def test_growing_keeps_what_was_trained_and_lowers_the_distortion() -> None:
    torch.manual_seed(0)
    trained = build({"architecture": "patch", **SMALL, "groups": (4, 8)})
    wider = build({"architecture": "patch", **SMALL, "groups": (4, 8, 16, 8)})
    crops = RandomCrops(photographs(), 64, 4, seed=1)
    assert wider.extends(trained)
    assert not trained.extends(wider)
    assert not trained.extends(trained)
    wider.grow_from(trained.eval(), decoded(trained, crops, batches=150))
    x = torch.from_numpy(np.stack([p[:128, :128] for p in photographs()])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        old, new = trained.at(0.0483), wider.eval().at(0.0483)
        y_old, y_new = old.analysis(x), new.analysis(x)
        torch.testing.assert_close(y_new[:, :12], y_old)
        silent = torch.cat([y_old, torch.zeros_like(y_new[:, 12:])], 1)
        torch.testing.assert_close(new.synthesis(silent), old.synthesis(y_old))
        before, after = (forward(net, x, ROUND, low_precision=False) for net in (old, new))
    assert after.mse.mean() < 0.8 * before.mse.mean()


def test_growing_the_shipped_network_pays_at_once() -> None:
    trained, _ = load_model("patch", 0.0483, shipped_folder())
    description = described(trained)
    wider = build({**description, "groups": (*description["groups"], 32)})
    rng = np.random.default_rng(0)
    noisy = [np.clip(p + rng.normal(0, 8, p.shape), 0, 255).astype(np.uint8) for p in photographs(2)]
    begin(wider, start(trained, 0.013), RandomCrops(noisy, 128, 4, seed=1))
    x = torch.from_numpy(noisy[0][:128, :128])[None].permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        costs = [
            forward(net.eval().at(0.0483), x, ROUND, low_precision=False).mse.item()
            for net in (trained, wider)
        ]
    assert costs[1] < costs[0]


def test_deeper_transforms_begin_as_the_identity_and_can_learn() -> None:
    torch.manual_seed(0)
    trained = build({"architecture": "patch", **SMALL, "groups": (4, 8)}).eval()
    deeper = build({"architecture": "patch", **SMALL, "blocks": (2, 3), "groups": (4, 8)}).eval()
    assert deeper.extends(trained)
    begin(deeper, start(trained, 0.013), RandomCrops(photographs(), 64, 4, seed=1))
    x = torch.from_numpy(photographs()[0][:128, :128])[None].permute(0, 3, 1, 2) / 255
    old, new = (forward(net.at(0.013), x, ROUND, low_precision=False) for net in (trained, deeper))
    torch.testing.assert_close(new.bpp, old.bpp, rtol=0, atol=0)
    torch.testing.assert_close(new.mse, old.mse, rtol=0, atol=0)
    bound = deeper.at(0.013)
    bound.synthesis(bound.analysis(x)).square().sum().backward()
    added = [t.coarse[at] for t in (deeper.g_a, deeper.g_s) for at in (1, 2)]
    assert all(block.gain.grad.abs().sum() > 0 for block in (*added, deeper.g_a.fine[1], deeper.g_s.fine[1]))


def test_another_network_is_refused() -> None:
    trained = build({"architecture": "patch", **SMALL, "groups": (4, 8)})
    other = build({"architecture": "patch", **SMALL, "fine": 12, "groups": (4, 8, 8)})
    assert not other.extends(trained)
    with pytest.raises(WeightsError, match="--from small is not the network of the recipe"):
        begin(other, start(trained, 0.013), RandomCrops(photographs(), 64, 4, seed=1))
    scale = build({"architecture": "mean-scale", "N": 8, "M": 8})
    with pytest.raises(WeightsError, match="mean-scale cannot be grown"):
        scale.grow_from(trained, [])
