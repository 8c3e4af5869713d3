from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve small images with structure: enough for a split and for a loss that falls."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[0:96, 0:128]
    for number in range(12):
        angle, period = rng.uniform(0, np.pi), rng.uniform(8, 40)
        wave = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / period)
        colour = rng.uniform(20, 90, 3)
        image = np.clip(128 + wave[:, :, None] * colour + rng.normal(0, 3, (96, 128, 3)), 0, 255)
        PIL.Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text((Path(__file__).parent / "tiny.toml").read_text())
    return path
