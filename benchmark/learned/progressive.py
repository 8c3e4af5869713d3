"""The codec `progressive`: one stream of layers, cut behind any of them, for a whole rate-distortion curve.

A trained network's latents are quantized embedded (see `learned.coding.embedded`): no training, no other
network than that of a single rate. The stream (docs/bitstream.md) is a head with the hyper-latents, then
layers of falling value, each bound by its checksum to all that stands before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, check_number, note
from benchmark.errors import BitstreamError, CodecUnavailableError
from benchmark.learned.codec import LearnedCodec

if TYPE_CHECKING:
    from benchmark.learned.coding.embedded import Embedding
    from benchmark.learned.model import CodingModel

MAGIC = b"bLP"
VERSION = 1
FINEST, PLANES = 0.5, 7
"""The last step, half of what networks are trained with, and how often the first one, 64, is halved."""
LAYERS = 2 * PLANES
_ID_BYTES = 4
_FIXED = struct.Struct(f"<3sB{_ID_BYTES}s")
_CHECKSUM = struct.Struct("<I")


class ProgressiveCodec(Codec):
    """The network of a variant's highest rate; the point is the number of layers.

    Its latents must be coded in one step: where their means hang on other latents, a cut would change them.
    """

    def __init__(self, name: str, variant: str) -> None:
        self.name = name
        self._variant = variant
        self._learned = LearnedCodec(name, variant, "scalar")

    def version(self) -> str:
        """Return the format's version, the steps and the model's identity."""
        model_id = self._model().model_id.hex()
        return f"format {VERSION}, {PLANES} planes to {FINEST:g}, {self._variant} {model_id}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a number of layers."""
        check_number(self.name, "number of layers", point, 1, LAYERS)

    def prepare(self, point: float) -> None:
        """Load the weights and make the tables."""
        import numpy as np

        self.decode(self.encode(np.zeros((64, 64, 3), np.uint8), point))

    def encode(self, image: Image, point: float) -> bytes:
        """Return the first `point` layers of the stream; notes `entropy_bits`."""
        self.check_point(point)
        from benchmark.learned.coding.layers import layers

        model = self._model()
        (height, width), embedding = image.shape[:2], _embedding()
        y, z = model.transforms.analysis(model.pad(image))
        hyper_stream, z_hat, bits = model.hyper_encode(z)
        latents = y[0].numpy()
        mu, scales = model.prior(z_hat, *latents.shape[1:])(0, latents)
        indices = embedding.quantize(model.steps[0].gather(latents) - mu)
        head = _Head(model.model_id, width, height, hyper_stream)
        stream, seed = head.pack(), head.checksum
        for layer in layers(embedding, indices.ravel(), scales.ravel(), int(point)):
            seed = layer.checksum(seed)
            stream += _with_length(layer.encode(seed))
            bits += layer.entropy_bits()
        note(entropy_bits=bits)
        return stream

    def decode(self, bitstream: bytes) -> Image:
        """Return the image of the layers that are there. Raises BitstreamError for any other bytes."""
        import numpy as np

        from benchmark.learned.coding.layers import read_layers

        head, at = _unpack(bitstream)
        streams = _layers(bitstream, at)
        model, embedding = self._model(), _embedding()
        if head.model_id != model.model_id:
            raise BitstreamError(
                f"the stream was written by model {head.model_id.hex()}, and {self.name} has "
                f"{model.model_id.hex()}"
            )
        z_hat = model.hyper_decode(head.hyper_stream, head.width, head.height)
        rows, columns = model.latent_size(head.width, head.height)
        y_hat = np.zeros((model.steps[0].last, rows, columns), np.float32)
        mu, scales = model.prior(z_hat, rows, columns)(0, y_hat)
        indices = read_layers(embedding, streams, scales.ravel(), head.checksum).reshape(scales.shape)
        residual = embedding.dequantize(indices, scales, embedding.planes_after(len(streams)))
        model.steps[0].scatter(residual + mu, y_hat)
        image = model.transforms.synthesis(y_hat)
        return np.ascontiguousarray(image[: head.height, : head.width])

    def _model(self) -> CodingModel:
        """Return the model. Raises CodecUnavailableError if a cut would change its latents' means."""
        model = self._learned.highest()
        if len(model.steps) > 1:
            raise CodecUnavailableError(
                f"{self.name}: variant {self._variant!r} codes its latents in {len(model.steps)} steps, each "
                f"known to the next, which a cut would break; take a variant of one step, such as baseline"
            )
        return model


def cut(stream: bytes, layers: int) -> bytes:
    """Return the first `layers` layers of a stream, with its head. Raises BitstreamError if it has fewer."""
    _, at = _unpack(stream)
    for number in range(layers):
        if at >= len(stream):
            raise BitstreamError(f"the stream has {number} layers, not {layers}")
        _, at = _layer(stream, at, number + 1)
    return stream[:at]


@dataclass(frozen=True)
class _Head:
    """What stands before the layers."""

    model_id: bytes
    width: int
    height: int
    hyper_stream: bytes

    @property
    def _body(self) -> bytes:
        from benchmark.learned.coding.bitstream import varint

        sizes = varint(self.width) + varint(self.height)
        return _FIXED.pack(MAGIC, VERSION, self.model_id) + sizes + _with_length(self.hyper_stream)

    @property
    def checksum(self) -> int:
        """The CRC-32 of all before it."""
        return zlib.crc32(self._body)

    def pack(self) -> bytes:
        """Return the bytes, the checksum last."""
        return self._body + _CHECKSUM.pack(self.checksum)


def _unpack(data: bytes) -> tuple[_Head, int]:
    """Return the head and where the first layer begins. Raises BitstreamError."""
    from benchmark.learned.coding.bitstream import check_size, read_varint

    if len(data) < _FIXED.size or not data.startswith(MAGIC):
        raise BitstreamError(f"{len(data)} bytes that are no progressive stream (no {MAGIC!r} at the start)")
    _, version, model_id = _FIXED.unpack_from(data)
    if version != VERSION:
        raise BitstreamError(f"the stream has version {version} of the format, this decoder reads {VERSION}")
    width, at = read_varint(data, _FIXED.size, "width")
    height, at = read_varint(data, at, "height")
    check_size(width, height)
    length, at = read_varint(data, at, "length of the hyper-latent stream")
    end = at + length + _CHECKSUM.size
    if end > len(data):
        raise BitstreamError(f"the stream ends in its head, which has {end} bytes, after {len(data)}")
    head = _Head(model_id, width, height, data[at : at + length])
    if data[end - _CHECKSUM.size : end] != _CHECKSUM.pack(head.checksum):
        raise BitstreamError("the checksum of the head does not match: it was altered")
    return head, end


def _layers(data: bytes, at: int) -> Sequence[bytes]:
    """Return the streams of the layers from `at` on, at least one. Raises BitstreamError."""
    found: list[bytes] = []
    while at < len(data) or not found:
        if len(found) == LAYERS:
            raise BitstreamError(f"{len(data) - at} bytes stand behind the last of {LAYERS} layers")
        stream, at = _layer(data, at, len(found) + 1)
        found.append(stream)
    return found


def _layer(data: bytes, at: int, number: int) -> tuple[bytes, int]:
    from benchmark.learned.coding.bitstream import read_varint

    length, at = read_varint(data, at, f"length of layer {number}")
    if at + length > len(data):
        raise BitstreamError(
            f"the stream ends in layer {number}, of {length} bytes, after {len(data) - at}; it can be cut "
            f"behind a layer alone"
        )
    return data[at : at + length], at + length


def _with_length(data: bytes) -> bytes:
    from benchmark.learned.coding.bitstream import varint

    return varint(len(data)) + data


@cache
def _embedding() -> Embedding:
    from benchmark.learned.coding.embedded import Embedding

    return Embedding(FINEST, PLANES)
