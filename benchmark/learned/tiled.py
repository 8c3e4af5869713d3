"""Coding in tiles with bounded memory: overlaps make tiles equal to the whole picture, bit for bit.

A transform's output depends on its input no further than its receptive field reaches; a window that is wider
by as much gives what the whole picture gives. Each tile has streams of its own, so that neither side holds
more than some tiles, and the hyper-latents, a byte for thirty pixels. (Wu et al. 2022 code blocks that know
their neighbours, and repair the seams; here there are none.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from benchmark.arrays import F32, F64, I32, U8, Image
from benchmark.errors import CodecUnavailableError
from benchmark.learned.architectures.base import Latents
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import QuantizerSettings

Window = tuple[int, int, int, int]
"""Top, bottom, left and right, the second and fourth exclusive."""
Read = Callable[[Window], Image]
Write = Callable[[Window, Image], object]

UNIT = 64
"""Pixels a side for which a hyper-latent stands: tiles are multiples of it."""
_AROUND_Z, _AROUND_Y = 192, 64
"""Pixels around a tile that z and y need: g_a reaches 30 pixels, h_a another 112."""
_PRIOR_UNITS = 3
"""Hyper-latents around a tile that its means and scales need: h_s reaches 2."""
_AROUND_LATENTS = 4
"""Latents around a tile that its pixels need: g_s reaches 2."""
_PIXELS = 16
"""Of a latent, a side."""


@dataclass(frozen=True)
class TiledStream:
    """The streams of a picture's tiles, row by row; sides are multiples of UNIT."""

    width: int
    height: int
    tile: int
    hyper_streams: Sequence[bytes]
    latent_streams: Sequence[bytes]

    @property
    def payload_bytes(self) -> int:
        """The bytes of all streams."""
        return sum(map(len, [*self.hyper_streams, *self.latent_streams]))


class TiledModel:
    """A model whose latents are coded in one step, tile by tile, with a quantizer at a step.

    Raises CodecUnavailableError for a model of several steps: its means hang on latents of other tiles.
    """

    def __init__(self, model: CodingModel, quantizer: str, settings: QuantizerSettings) -> None:
        if len(model.steps) > 1 or model.hyper_latents is None:
            raise CodecUnavailableError(
                "tiles need a network of one step with hyper-latents, such as baseline"
            )
        self._model, self._hyper = model, model.hyper_latents
        self._quantizer, self._settings = get_quantizer(quantizer), settings
        self._coder = index_coder(self._quantizer, QuantizerSettings(settings.delta))

    def encode(self, read: Read, width: int, height: int, tile: int) -> TiledStream:
        """Return the streams of a picture of which `read` gives windows; sides and `tile` are times UNIT.

        Every window is analysed twice, for z first: the means of a tile depend on the z of its neighbours.
        """
        z_all = self._empty(width, height)
        hyper = [self._hyper_tile(read, at, z_all) for at in tiles(width, height, tile)]
        latent = [self._latent_tile(read, at, z_all) for at in tiles(width, height, tile)]
        return TiledStream(width, height, tile, hyper, latent)

    def decode(self, stream: TiledStream, write: Write) -> None:
        """Give each tile's pixels to `write`. Raises BitstreamError for streams that do not decode.

        Held at once: three rows of tiles' latents, three bytes for each of their pixels.
        """
        places = list(tiles(stream.width, stream.height, stream.tile))
        z_all = self._empty(stream.width, stream.height)
        for at, data in zip(places, stream.hyper_streams, strict=True):
            area = _inside(z_all, at, UNIT)
            area[:] = self._hyper.decode(data, area[0].size).reshape(area.shape)
        held: dict[Window, F32] = {}
        for at in places:
            around = _wider(at, _AROUND_LATENTS * _PIXELS, stream.width, stream.height)
            for place, data in zip(places, stream.latent_streams, strict=True):
                if place not in held and _touch(place, around):
                    held[place] = self._latents(place, data, z_all)
            held = {place: y_hat for place, y_hat in held.items() if place[1] >= around[0]}
            y_hat = _joined(held, around)
            pixels = self._model.transforms.synthesis(y_hat)
            write(at, _part(pixels, at, around))

    def _empty(self, width: int, height: int) -> I32:
        channels = self._hyper.channels
        return np.zeros((channels, height // UNIT, width // UNIT), np.int32)

    def _hyper_tile(self, read: Read, at: Window, z_all: I32) -> bytes:
        around = _wider(at, _AROUND_Z, z_all.shape[2] * UNIT, z_all.shape[1] * UNIT)
        _, z = self._model.transforms.analysis(read(around))
        assert z is not None
        window = self._hyper.symbols(z).reshape(z.shape[1:])
        top, left = (at[0] - around[0]) // UNIT, (at[2] - around[2]) // UNIT
        area = _inside(z_all, at, UNIT)
        area[:] = window[:, top : top + area.shape[1], left : left + area.shape[2]]
        return self._hyper.encode(np.ascontiguousarray(area.reshape(len(area), -1)))

    def _latent_tile(self, read: Read, at: Window, z_all: I32) -> bytes:
        around = _wider(at, _AROUND_Y, z_all.shape[2] * UNIT, z_all.shape[1] * UNIT)
        y, _ = self._model.transforms.analysis(read(around))
        mine = _latent_part(y[0].numpy(), at, around).reshape(y.shape[1], -1)
        mu, scales = self._params(at, z_all)
        indices = self._quantizer.quantize(mine - mu, scales, self._settings)
        return self._coder.encode([indices], [scales], _seed(at))

    def _latents(self, at: Window, data: bytes, z_all: I32) -> F32:
        mu, scales = self._params(at, z_all)
        reader = self._coder.read(data)
        values = self._quantizer.dequantize(reader.step(scales), scales, self._settings)
        reader.finish(_seed(at))
        values += mu
        return values.reshape(len(mu), (at[1] - at[0]) // _PIXELS, -1)

    def _params(self, at: Window, z_all: I32) -> tuple[F32, U8]:
        """Return mu and scale index of a tile, [channels, length]: exact, so the same from any window."""
        around = _wider(at, _PRIOR_UNITS * UNIT, z_all.shape[2] * UNIT, z_all.shape[1] * UNIT)
        symbols = _inside(z_all, around, UNIT)
        z_hat: F64 = self._hyper.dequantize(symbols.reshape(len(symbols), -1)).reshape(symbols.shape)
        rows, columns = (UNIT // _PIXELS * side for side in symbols.shape[1:])
        nothing = np.zeros((self._model.steps[0].last, rows, columns), np.float32)
        mu, scales = self._model.prior(z_hat, rows, columns)(0, nothing)
        shape = (len(mu), rows, columns)
        mine = _latent_part(mu.reshape(shape), at, around).reshape(len(mu), -1)
        indices = _latent_part(scales.reshape(shape), at, around).reshape(len(mu), -1)
        return np.ascontiguousarray(mine), np.ascontiguousarray(indices)


def tiles(width: int, height: int, tile: int) -> Iterator[Window]:
    """Yield the tiles of a picture, row by row; those at the right and at the bottom may be smaller."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield top, min(top + tile, height), left, min(left + tile, width)


def _seed(at: Window) -> int:
    """Return what binds a stream to its tile's place."""
    return crc32(repr(at).encode())


def _wider(at: Window, by: int, width: int, height: int) -> Window:
    return max(at[0] - by, 0), min(at[1] + by, height), max(at[2] - by, 0), min(at[3] + by, width)


def _touch(a: Window, b: Window) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _inside(z_all: I32, at: Window, unit: int) -> I32:
    return z_all[:, at[0] // unit : at[1] // unit, at[2] // unit : at[3] // unit]


def _latent_part(found: Latents, at: Window, around: Window) -> Latents:
    top, left = (at[0] - around[0]) // _PIXELS, (at[2] - around[2]) // _PIXELS
    rows, columns = (at[1] - at[0]) // _PIXELS, (at[3] - at[2]) // _PIXELS
    return found[:, top : top + rows, left : left + columns]


def _part(pixels: Image, at: Window, around: Window) -> Image:
    top, left = at[0] - around[0], at[2] - around[2]
    return pixels[top : top + at[1] - at[0], left : left + at[3] - at[2]]


def _joined(held: dict[Window, F32], around: Window) -> F32:
    """Return the latents of a window, of the tiles that are held."""
    channels = len(next(iter(held.values())))
    rows, columns = (around[1] - around[0]) // _PIXELS, (around[3] - around[2]) // _PIXELS
    joined = np.zeros((channels, rows, columns), np.float32)
    for at, y_hat in held.items():
        if _touch(at, around):
            shared = (
                max(at[0], around[0]),
                min(at[1], around[1]),
                max(at[2], around[2]),
                min(at[3], around[3]),
            )
            _latent_part(joined, shared, around)[:] = _latent_part(y_hat, shared, at)
    return joined
