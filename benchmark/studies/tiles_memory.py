"""Peak resident memory of coding one picture: python -m benchmark.studies.tiles_memory MODE MEGAPIXELS.

The picture is a photograph of scikit-image's, repeated; in tiles, it is read as it is needed and what is
decoded is written to a file, so that neither is held.
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np

from benchmark.arrays import Image
from benchmark.learned.quantizers.scalar import SCALAR
from benchmark.learned.tiled import UNIT, Read, TiledModel, Window
from benchmark.runs.complexity import peak_mib
from benchmark.studies.tiles import WHOLE, coded_whole, network

TILE = 512


def main() -> None:
    """Code the picture and print the peak in MiB."""
    import torch

    torch.set_num_threads(1)
    mode, megapixels = sys.argv[1], float(sys.argv[2])
    side = round((megapixels * 1e6) ** 0.5 / UNIT) * UNIT
    small = _photograph()

    def read(at: Window) -> Image:
        rows, columns = (
            np.arange(a, b) % n for a, b, n in ((*at[:2], len(small)), (*at[2:], small.shape[1]))
        )
        return np.ascontiguousarray(small[rows[:, None], columns])

    if mode == WHOLE:
        coded_whole(network(), read((0, side, 0, side)), TILE)
    else:
        _tiled(read, side)
    if (peak := peak_mib()) is None:
        sys.exit("this system does not say the peak of a process's memory")
    print(peak)


def _photograph() -> Image:
    from skimage import data

    found: Image = data.coffee()  # type: ignore[no-untyped-call]
    return found


def _tiled(read: Read, side: int) -> None:
    tiled = TiledModel(network(), SCALAR.name, SCALAR.default_settings())
    stream = tiled.encode(read, side, side, TILE)
    with tempfile.TemporaryFile() as file:
        file.truncate(3 * side * side)

        def write(at: Window, pixels: Image) -> None:
            for number, row in enumerate(pixels, at[0]):
                os.pwrite(file.fileno(), row.tobytes(), 3 * (number * side + at[2]))

        tiled.decode(stream, write)


if __name__ == "__main__":
    main()
