"""Coding in tiles (Wu et al. 2022): memory against size, errors at seams with and without overlaps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from benchmark.arrays import F64, Image
from benchmark.data.dataset import ImageRef
from benchmark.errors import CodecError, UsageError
from benchmark.report.figures.base import Panel
from benchmark.report.looks import looks
from benchmark.studies.base import Job, Row, Study, Subject

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from benchmark.learned.model import CodingModel

VARIANT = "baseline"
"""Whose network of the highest rate is looked at."""
_LEAST = 4
_FAR = 24
"""Pixels from a seam up to which errors are told apart; from here to the tiles' middle is elsewhere."""
WHOLE, OVERLAPS, BLOCKS = "whole picture", "tiles with overlaps", "independent blocks"
_TIMEOUT_SECONDS = 3600


@dataclass(frozen=True)
class Tiles(Study):
    """Tiles with overlaps against the whole picture, and against blocks that know nothing of each other.

    Images are cut to multiples of `tile`; `most` is the largest picture in megapixels of which the memory
    is measured, the smallest has 4. Rows: mode, and either megapixels and peak (MiB of resident memory of a
    process that encodes and decodes), or image, distance (pixels to the nearest seam, -1 for all), mse,
    bytes, differing (samples that differ from the whole picture's).
    """

    name = "tiles"
    title = "Tiles"
    summary = "memory of coding in tiles, and errors at seams with and without overlaps (Wu et al. 2022)"
    version = "1"
    uses_codecs = False

    tile: Annotated[int, Field(ge=64, le=4096, multiple_of=64)] = 128
    most: Annotated[int, Field(ge=_LEAST, le=128)] = 16

    def jobs(self, subject: Subject) -> Iterable[Job]:
        """Return a job for each image, then for each size. Raises UsageError for images below two tiles."""
        version = network().model_id.hex()
        for image in subject.images:
            yield Job(
                {"codec_version": version, **subject.about(image)}, partial(self._seams, subject, image), 3
            )
        size = _LEAST
        while size <= self.most:
            for mode in (WHOLE, OVERLAPS):
                what: Row = {"codec_version": version, "mode": mode, "megapixels": float(size)}
                yield Job(what, partial(_memory, mode, size), size)
            size *= 2

    def _seams(self, subject: Subject, image: ImageRef, step: Callable[[], None]) -> list[Row]:
        pixels = subject.load(image)
        height, width = (side // self.tile * self.tile for side in pixels.shape[:2])
        if min(height, width) < self.tile or max(height, width) < 2 * self.tile:
            raise UsageError(f"{image.name}: has no two tiles of {self.tile} pixels; give --option tile=64")
        pixels = np.array(pixels[:height, :width])  # torch takes no memory that is read-only
        rows: list[Row] = []
        whole = None
        for mode, code in ((WHOLE, coded_whole), (OVERLAPS, _overlaps), (BLOCKS, _blocks)):
            size, decoded = code(network(), pixels, self.tile)
            whole = decoded if whole is None else whole
            differing = int((decoded != whole).sum())
            for distance, error in by_distance(pixels, decoded, self.tile).items():
                row = {"mode": mode, "distance": distance, "mse": error, "bytes": size}
                rows.append({**row, "pixels": height * width, "differing": differing})
            step()
        return rows

    def panels(self, rows: pd.DataFrame) -> Sequence[Panel]:
        """Return memory against size and PSNR against the distance to a seam."""
        return [
            Panel("Peak memory", partial(_draw_memory, rows=rows)),
            Panel(f"Around seams, tiles of {self.tile} pixels", partial(_draw_seams, rows=rows)),
        ]

    def said(self, rows: pd.DataFrame) -> Sequence[str]:
        """Return sizes, memory, equality, and PSNR and rate at seams and elsewhere."""
        seams = rows[rows["image"].notna()]
        every = seams[seams["distance"] == -1]
        images = every["image"].nunique()
        said = [f"{VARIANT}, highest rate; errors over {images} image{'s' * (images > 1)}."]
        for mode in (OVERLAPS, BLOCKS):
            near = _psnr(seams, mode, lambda distance: (distance >= 0) & (distance < 2))
            far = _psnr(seams, mode, lambda distance: distance == _FAR)
            said.append(
                f"{mode.capitalize()}: {_compared(every, mode)}; {near:.2f} dB within 2 pixels of a seam, "
                f"{far:.2f} dB {_FAR} and more from it."
            )
        memory = rows[rows["megapixels"].notna()]
        for name in memory["mode"].unique():
            ends = memory[memory["mode"] == name].sort_values("megapixels").iloc[[0, -1]]
            (small, large), (first, last) = ends["megapixels"].tolist(), ends["peak"].tolist()
            said.append(f"Memory, {name}: {first:.0f} MiB at {small:g} megapixels, {last:.0f} at {large:g}.")
        return said


def _compared(every: pd.DataFrame, mode: str) -> str:
    """Say how a mode differs from the whole picture, in samples and bytes; `every` are rows of all pixels."""
    mine, whole = (every[every["mode"] == name] for name in (mode, WHOLE))
    share = 100 * float(mine["differing"].sum()) / (3 * float(mine["pixels"].sum()))
    more = 100 * (float(mine["bytes"].sum()) / float(whole["bytes"].sum()) - 1)
    return f"{share:.3g} % of samples differ from the whole picture's, {more:+.1f} % bytes"


def by_distance(pixels: Image, decoded: Image, tile: int) -> dict[int, float]:
    """Return the mean squared error by distance to the nearest seam, 0 beside it to `_FAR`; -1 of all."""
    squares = np.square(pixels.astype(np.int32) - decoded).mean(axis=2)
    rows, columns = (_distance(side, tile) for side in squares.shape)
    distance = np.minimum(np.minimum(rows[:, None], columns), _FAR)
    found = {-1: float(squares.mean())}
    return found | {d: float(squares[distance == d].mean()) for d in np.unique(distance).tolist()}


def _distance(side: int, tile: int) -> F64:
    """Return how far each row or column is from the nearest seam inside the picture."""
    seams = np.arange(tile, side, tile)
    if not len(seams):
        return np.full(side, np.inf)
    middles = np.arange(side) + 0.5
    nearest: F64 = np.floor(np.abs(middles[:, None] - seams).min(axis=1))
    return nearest


def network() -> CodingModel:
    """Return the network that is looked at."""
    from benchmark.learned.codec import LearnedCodec

    return LearnedCodec(VARIANT, VARIANT, "scalar").highest()


def coded_whole(model: CodingModel, pixels: Image, tile: int) -> tuple[int, Image]:
    """Return the bytes and the decoded picture of one stream for all, whatever the tiles."""
    del tile
    from benchmark.learned.quantizers.scalar import SCALAR

    coded = model.encode(pixels, SCALAR.name, SCALAR.default_settings()).container
    return len(coded.hyper_stream) + len(coded.latent_stream), model.decode(coded)


def _overlaps(model: CodingModel, pixels: Image, tile: int) -> tuple[int, Image]:
    from benchmark.learned.quantizers.scalar import SCALAR
    from benchmark.learned.tiled import TiledModel, Window

    decoded = np.empty_like(pixels)

    def write(at: Window, part: Image) -> None:
        decoded[at[0] : at[1], at[2] : at[3]] = part

    tiled = TiledModel(model, SCALAR.name, SCALAR.default_settings())
    height, width = pixels.shape[:2]
    stream = tiled.encode(
        lambda at: np.ascontiguousarray(pixels[at[0] : at[1], at[2] : at[3]]), width, height, tile
    )
    tiled.decode(stream, write)
    return stream.payload_bytes, decoded


def _blocks(model: CodingModel, pixels: Image, tile: int) -> tuple[int, Image]:
    from benchmark.learned.tiled import tiles

    decoded, total = np.empty_like(pixels), 0
    for top, bottom, left, right in tiles(pixels.shape[1], pixels.shape[0], tile):
        block = np.ascontiguousarray(pixels[top:bottom, left:right])
        size, decoded[top:bottom, left:right] = coded_whole(model, block, tile)
        total += size
    return total, decoded


def _memory(mode: str, megapixels: int, step: Callable[[], None]) -> list[Row]:
    """Return the peak of a process of its own: what this one holds already does not count."""
    argv = [sys.executable, "-m", "benchmark.studies.tiles_memory", mode, str(megapixels)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CodecError(f"{mode} at {megapixels} megapixels: {last}")
    for _ in range(megapixels):
        step()
    return [{"peak": float(done.stdout)}]


def _psnr(rows: pd.DataFrame, mode: str, chosen: Callable[[pd.Series[float]], pd.Series[bool]]) -> float:
    """Return the PSNR in dB of the mean squared error over the chosen distances and all images."""
    mine = rows[rows["mode"] == mode]
    return float(10 * np.log10(255.0**2 / mine[chosen(mine["distance"])]["mse"].mean()))


def _draw_memory(ax: Axes, rows: pd.DataFrame) -> None:
    memory = rows[rows["megapixels"].notna()]
    styles = looks([WHOLE, OVERLAPS, BLOCKS])
    for mode in memory["mode"].unique():
        mine = memory[memory["mode"] == mode].sort_values("megapixels")
        ax.plot(mine["megapixels"], mine["peak"], label=mode, **styles[mode].line())
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(0, 1.15 * float(memory["peak"].max()))
    ax.set(xlabel="Size (megapixels)", ylabel="Resident memory (MiB)")


def _draw_seams(ax: Axes, rows: pd.DataFrame) -> None:
    styles = looks([WHOLE, OVERLAPS, BLOCKS])
    seams = rows[rows["image"].notna() & (rows["distance"] >= 0)]
    for mode in seams["mode"].unique():
        mine = seams[seams["mode"] == mode].groupby("distance")["mse"].mean()
        quality = 10 * np.log10(255.0**2 / mine)
        every = {"markevery": 6 if mode == WHOLE else (3, 6)}
        ax.plot(mine.index + 1, quality, label=mode, **(styles[mode].line() | every))
    ax.set(xlabel="Pixels from the seam (25: and more)", ylabel="PSNR RGB (dB)")
