"""Tiles with exact overlaps: the picture that they give is that of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import IDENTITY, photograph_like, shipped_network, tiny_model

from benchmark.arrays import Image
from benchmark.errors import BitstreamError, CodecUnavailableError
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.tiled import TiledModel, TiledStream, Window, tiles

SETTINGS = QuantizerSettings(1.0)


def decoded(model: TiledModel, stream: TiledStream) -> Image:
    found = np.empty((stream.height, stream.width, 3), np.uint8)

    def write(at: Window, pixels: Image) -> None:
        found[at[0] : at[1], at[2] : at[3]] = pixels

    model.decode(stream, write)
    return found


@pytest.mark.parametrize(("tile", "quantizer"), [(64, "scalar"), (128, "rdoq"), (192, "scalar")])
def test_tiles_equal_the_whole_picture_bit_for_bit(tile: int, quantizer: str) -> None:
    image = photograph_like(256, 320, seed=3)
    model = tiny_model()
    whole = model.encode(image, quantizer, SETTINGS)
    tiled = TiledModel(model, quantizer, SETTINGS)
    stream = tiled.encode(lambda at: image[at[0] : at[1], at[2] : at[3]].copy(), 320, 256, tile)
    assert np.array_equal(decoded(tiled, stream), model.decode(whole.container))
    count = len(list(tiles(320, 256, tile)))
    assert count == -(-320 // tile) * -(-256 // tile) == len(stream.latent_streams)
    assert stream.payload_bytes * 8 < whole.entropy_bits + count * 2 * 64


def test_damage_in_one_tile_is_refused() -> None:
    image = photograph_like(128, 128)
    tiled = TiledModel(tiny_model(), "scalar", SETTINGS)
    good = tiled.encode(lambda at: image[at[0] : at[1], at[2] : at[3]].copy(), 128, 128, 64)
    swapped = [good.latent_streams[i] for i in (1, 0, 2, 3)]
    damaged = TiledStream(128, 128, 64, good.hyper_streams, swapped)
    with pytest.raises(BitstreamError):
        decoded(tiled, damaged)


def test_a_network_of_several_steps_is_refused() -> None:
    with pytest.raises(CodecUnavailableError, match="of one step"):
        TiledModel(CodingModel(shipped_network("patch"), IDENTITY), "scalar", SETTINGS)
