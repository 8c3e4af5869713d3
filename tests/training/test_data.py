from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from benchmark.arrays import Image
from benchmark.errors import TrainingError
from benchmark.training.data import (
    RandomCrops,
    load_clean,
    load_for_training,
    load_held_out,
    split_photographs,
)


def test_the_split_hangs_on_contents_not_on_names(photographs: Path, tmp_path: Path) -> None:
    split = split_photographs(photographs)
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(photographs.iterdir(), reverse=True)):
        shutil.copy(path, renamed / f"x{number}.png")
    again = split_photographs(renamed)
    assert {p.sha256 for p in again.held_out} == {p.sha256 for p in split.held_out}
    assert again.digest() == split.digest()
    assert (len(split.train), len(split.held_out)) == (10, 2)
    assert not {p.sha256 for p in split.train} & {p.sha256 for p in split.held_out}


def test_copies_of_a_photograph_are_one(photographs: Path, tmp_path: Path) -> None:
    split = split_photographs(photographs)
    shutil.copytree(photographs, tmp_path / "b")
    for name in ("b", "c"):
        (tmp_path / name).mkdir(exist_ok=True)
        for number, photograph in enumerate((*split.held_out, split.train[0])):
            shutil.copy(photograph.path, tmp_path / name / f"copy{number}.png")
    again = split_photographs(tmp_path)
    assert again.digest() == split.digest()
    assert len(again.train) + len(again.held_out) == 12


def test_each_folder_gives_a_tenth_and_at_most_twenty(tmp_path: Path) -> None:
    for name, count in (("few", 39), ("many", 230)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").write_bytes(f"{name} {number}".encode())
    split = split_photographs(tmp_path)
    held = [p.path.parent.name for p in split.held_out]
    assert (held.count("few"), held.count("many")) == (4, 20)


def test_a_changed_image_changes_the_digest(photographs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(photographs, copy)
    PIL.Image.new("RGB", (128, 96), "teal").save(copy / "3.png")
    assert split_photographs(copy).digest() != split_photographs(photographs).digest()


def test_jpeg_is_shrunk_and_png_is_not(photographs: Path, tmp_path: Path) -> None:
    PIL.Image.open(photographs / "0.png").resize((400, 300)).save(tmp_path / "a.jpg")
    PIL.Image.open(photographs / "0.png").resize((400, 300)).save(tmp_path / "b.png")
    shutil.copy(photographs / "0.png", tmp_path / "c.png")
    split = split_photographs(tmp_path)
    by_name = {p.path.name: p for p in (*split.train, *split.held_out)}
    height, width, _ = load_clean(by_name["a.jpg"], 64).shape
    assert 0.61 * 300 < height < 0.81 * 300
    assert width / height == pytest.approx(4 / 3, rel=0.01)
    assert load_clean(by_name["b.png"], 64).shape == (300, 400, 3)
    assert min(load_clean(by_name["a.jpg"], 256).shape[:2]) == 256


def test_crops_are_a_function_of_seed_and_step_and_come_from_the_images(photographs: Path) -> None:
    images = load_for_training(split_photographs(photographs).train, 64)
    crops = RandomCrops(images, 64, 3, seed=5)
    first = crops.batch(17)
    assert first.shape == (3, 3, 64, 64)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(first, RandomCrops(images, 64, 3, seed=5).batch(17))
    assert not torch.equal(first, crops.batch(18))
    assert not torch.equal(first, RandomCrops(images, 64, 3, seed=6).batch(17))
    patch = (first[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert any(_contains(image, patch) or _contains(image, patch[:, ::-1]) for image in images)


def _contains(image: Image, patch: Image) -> bool:
    for top in range(image.shape[0] - 63):
        for left in range(image.shape[1] - 63):
            if np.array_equal(image[top : top + 64, left : left + 64], patch):
                return True
    return False


def test_held_out_crops_are_multiples_of_64(photographs: Path) -> None:
    crops = load_held_out(split_photographs(photographs).held_out, "cpu", 64)
    assert [tuple(x.shape) for x in crops] == [(1, 3, 64, 128)] * 2
    assert 0 <= float(crops[0].min()) < float(crops[0].max()) <= 1


def test_unusable_data_is_named(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        split_photographs(tmp_path / "absent")
    with pytest.raises(TrainingError, match="0 photographs"):
        split_photographs(tmp_path)
    with pytest.raises(TrainingError, match="as large as the crop, 256x256"):
        load_for_training(split_photographs(photographs).train, 256)


def test_crops_are_turned_as_often_as_asked() -> None:
    image = np.arange(64 * 64, dtype=np.int64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint8)
    image[:, :, 0] = np.arange(64)[:, None]  # rows tell themselves

    def turned(share: float) -> float:
        crops = RandomCrops([image], 32, 8, 1, turned=share)
        batches = [crops.batch(step) for step in range(50)]
        return float(np.mean([bool(x[0, :, 0].eq(x[0, 0, 0]).all()) for batch in batches for x in batch]))

    assert turned(0.0) == 0
    assert 0.2 < turned(0.3) < 0.4
    assert turned(1.0) == 1
