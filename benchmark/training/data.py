"""Training photographs in memory: which are the hold-out set, how lossy ones are cleaned, random crops."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from benchmark.arrays import U8, Image
from benchmark.errors import TrainingError
from benchmark.images import load_image

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"}
_LOSSY = {".jpg", ".jpeg"}
_HELD_OUT_SHARE, _HELD_OUT_MOST = 10, 20
HELD_OUT_SIDE = 256
"""Pixels: the side of the squares that validation and calibration use."""


@dataclass(frozen=True)
class Photograph:
    """One file of the training data."""

    path: Path
    sha256: str

    @property
    def draw(self) -> float:
        """A number in [0, 1) that depends on the file's content alone."""
        return int(self.sha256[:8], 16) / 2.0**32


@dataclass(frozen=True)
class Split:
    """The data of one training: photographs to learn from, and the hold-out set."""

    train: tuple[Photograph, ...]
    held_out: tuple[Photograph, ...]

    def digest(self) -> str:
        """Return a sha256 over the contents of both parts, independent of file names."""
        parts = [
            "train",
            *sorted(p.sha256 for p in self.train),
            "held out",
            *sorted(p.sha256 for p in self.held_out),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def split_photographs(folder: Path) -> Split:
    """Find the photographs under `folder` and choose a hold-out set in each sub-folder, by content.

    In each folder the files with the smallest sha256 are the hold-out set: a tenth, at most 20. (Of the
    project's own data: 4 of 39 wikimedia and 20 of 500 bsds500 photographs.) Of copies of a file only the
    first counts. They serve validation, calibration and the choice between variants; no training sees them.
    Raises TrainingError if `folder` holds too few images.
    """
    if not folder.is_dir():
        raise TrainingError(
            f"--data {folder}: no such folder; give one with photographs, lossless if possible"
        )
    by_folder: dict[Path, list[Photograph]] = defaultdict(list)
    seen: set[str] = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            photograph = Photograph(path, hashlib.sha256(path.read_bytes()).hexdigest())
            if photograph.sha256 not in seen:
                by_folder[path.parent].append(photograph)
            seen.add(photograph.sha256)
    train: list[Photograph] = []
    held_out: list[Photograph] = []
    for photographs in by_folder.values():
        photographs.sort(key=lambda p: p.sha256)
        count = min(_HELD_OUT_MOST, -(-len(photographs) // _HELD_OUT_SHARE))
        held_out += photographs[:count]
        train += photographs[count:]
    if not train:
        raise TrainingError(
            f"--data {folder}: {len(held_out)} photographs; at least two in one folder are needed"
        )
    return Split(tuple(train), tuple(held_out))


def load_clean(photograph: Photograph, least_side: int) -> Image:
    """Load a photograph; one that was JPEG is shrunk by 0.62 to 0.8, so that its block artefacts vanish."""
    pixels = load_image(photograph.path).pixels
    if photograph.path.suffix.lower() in _LOSSY:
        pixels = _shrink(pixels, 0.62 + 0.18 * photograph.draw, least_side)
    return pixels


def load_for_training(photographs: Sequence[Photograph], crop: int) -> list[Image]:
    """Load the photographs, and of each lossless one a second, smaller copy: more scales to learn from.

    Everything is decoded and scaled once, before the first step. Images smaller than the crop are left out.
    """
    images: list[Image] = []
    for photograph in photographs:
        pixels = load_clean(photograph, crop)
        images.append(pixels)
        if photograph.path.suffix.lower() not in _LOSSY:
            images.append(_shrink(pixels, 0.5 + 0.3 * photograph.draw, crop))
    images = [pixels for pixels in images if min(pixels.shape[:2]) >= crop]
    if not images:
        raise TrainingError(
            f"no photograph is as large as the crop, {crop}x{crop}; lower `crop` in the recipe"
        )
    return images


def load_held_out(photographs: Sequence[Photograph], device: str, multiple: int) -> list[Tensor]:
    """Return the middle of each photograph, float32 [1, 3, h, w] in [0, 1].

    Sides are multiples of `multiple`, at most 256. Raises TrainingError if every photograph is smaller.
    """
    crops = []
    for photograph in photographs:
        pixels = load_clean(photograph, HELD_OUT_SIDE)
        height, width = (min(HELD_OUT_SIDE, side) // multiple * multiple for side in pixels.shape[:2])
        if not height * width:
            continue
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        crop = torch.from_numpy(pixels[top : top + height, left : left + width].copy())
        crops.append(
            crop.permute(2, 0, 1)[None].float().div(255).to(device, memory_format=torch.channels_last)
        )
    if not crops:
        raise TrainingError(f"every hold-out photograph is smaller than {multiple} pixels")
    return crops


def _shrink(pixels: Image, factor: float, least_side: int) -> Image:
    height, width = pixels.shape[:2]
    factor = min(1.0, max(factor, least_side / min(height, width)))
    size = (round(width * factor), round(height * factor))
    return np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.LANCZOS))


class RandomCrops:
    """Batches of crops, a function of (seed, step).

    An image is drawn by the number of places that a crop can take in it to the power `share` (1: every place
    is equally likely). Half of the crops are mirrored, and the share `turned` is turned by 90 degrees.
    """

    def __init__(
        self,
        images: Sequence[Image],
        crop: int,
        batch: int,
        seed: int,
        *,
        share: float = 1.0,
        turned: float = 0.0,
    ) -> None:
        self._images, self._crop, self._batch, self._seed = images, crop, batch, seed
        self._turned = turned
        places = np.array([(i.shape[0] - crop + 1) * (i.shape[1] - crop + 1) for i in images], np.float64)
        weights = places**share
        self._cumulative = np.cumsum(weights / weights.sum())

    def batch(self, step: int) -> Tensor:
        """Return the batch of `step`: float32 [batch, 3, crop, crop] in [0, 1], channels last in memory."""
        rng = np.random.default_rng([self._seed, step])
        crops: U8 = np.stack([self._draw(rng) for _ in range(self._batch)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255)

    def _draw(self, rng: np.random.Generator) -> Image:
        choice = min(int(np.searchsorted(self._cumulative, rng.random())), len(self._images) - 1)
        image = self._images[choice]
        top = int(rng.integers(image.shape[0] - self._crop + 1))
        left = int(rng.integers(image.shape[1] - self._crop + 1))
        crop = image[top : top + self._crop, left : left + self._crop]
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        return np.rot90(crop) if self._turned and rng.random() < self._turned else crop
