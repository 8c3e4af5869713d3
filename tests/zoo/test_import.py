"""`bench import` and everything else that starts from weights reads checkpoints in all their shapes."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import saved, small

from benchmark.errors import TrainingError, WeightsError
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


def test_weights_that_cannot_be_imported_are_named_with_the_codec_that_runs_them(tmp_path: Path) -> None:
    path = saved(small("mbt2018"), tmp_path / "joint.pth")
    with pytest.raises(
        WeightsError, match=r"joint\.pth: .*look like those of CompressAI's 'mbt2018'.*--option arch=mbt2018"
    ):
        open_source(str(path), lmbda=0.01)
    torch.save(small("mbt2018"), path)
    with pytest.raises(TrainingError, match=r"--from .*joint\.pth: holds no state dict .* a whole pickled"):
        open_source(str(path), lmbda=0.01)
