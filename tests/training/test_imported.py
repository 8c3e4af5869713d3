"""Networks of CompressAI, imported: finetuned through the loop over their steps, their lmbda checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import saved, small

from benchmark.cli import build_app
from benchmark.errors import TrainingError
from benchmark.learned.weights import load_model, read_manifest, shipped_folder
from benchmark.training.checkpoint import read_checkpoint
from benchmark.training.export import export
from benchmark.training.finetune import finetune
from benchmark.training.recipe import FinetuneRecipe, load_recipe
from benchmark.training.sources import open_source

RECIPE = str(Path(__file__).parent / "tiny_finetune.toml")


@pytest.mark.parametrize(
    ("arch", "parts", "moving"),
    [
        ("bmshj2018-hyperprior", "g_s+h_s", ("g_s.", "h_s.")),
        ("cheng2020-anchor-checkerboard", "h_s", ("latent_codec.hyper.h_s.",)),
        ("elic2022-chandelier", "g_s+prior", ("g_s.", "latent_codec.y.")),
    ],
)
def test_an_imported_network_is_finetuned_with_tcq(
    arch: str, parts: str, moving: tuple[str, ...], photographs: Path, tmp_path: Path
) -> None:
    file = export(open_source(str(saved(small(arch), tmp_path / "m.pth")), 0.01), tmp_path / "W", "mine")
    start = open_source(str(file))
    loaded = load_recipe(FinetuneRecipe, RECIPE, parts=parts, quantizer="tcq8", steps=2)
    last = finetune(loaded, start, photographs, tmp_path / "out")
    state, _, _, _ = read_checkpoint(last)
    moved = {name for name, before in start.state.items() if not torch.equal(state[name], before)}
    assert moved
    assert all(name.startswith(moving) for name in moved)
    export(open_source(str(last)), tmp_path / "W", "mine-tcq")
    assert {entry["variant"] for entry in read_manifest(tmp_path / "W")} == {"mine", "mine-tcq"}
    assert load_model("mine-tcq", 0.01, tmp_path / "W")[0].name == arch


def test_a_wrong_lmbda_is_noticed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network, _ = load_model("baseline", 0.0035, shipped_folder())
    torch.save({"state_dict": network.state_dict()}, tmp_path / "q2.pth.tar")
    with pytest.raises(TrainingError, match=r"give --from-lmbda \(the weights behave as if .* about 0\.003"):
        open_source(str(tmp_path / "q2.pth.tar"))
    for lmbda, noticed in (("0.0067", True), ("0.0035", False)):
        command = ["import", str(tmp_path / "q2.pth.tar"), "--from-lmbda", lmbda, "--variant", "mine"]
        build_app()([*command, "--weights", str(tmp_path / "W")], standalone_mode=False)
        said = " ".join(capfd.readouterr().err.split())
        assert ("behaves as if trained for lmbda 0.003" in said) is noticed
