"""A codec from a file of the user's: any class or function that gives something that codes."""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

import numpy as np

from benchmark.codecs.base import Codec, Image
from benchmark.errors import BitstreamError, CodecError, PointError, UsageError
from benchmark.operations import Operations
from benchmark.zoo.bitstream import point_bytes, read_point
from benchmark.zoo.model_codec import ModelCodec

_PLAIN_AT_POINT = 0xC0
"""Before the point, before the bytes of what was made for one point and has `encode`."""


class OwnCodec(ModelCodec):
    """What `factory(**options)` gives, or `factory(point=..., **options)` if it takes the point.

    That has either `encode(image, point)`, which gives bytes, and `decode(bytes)`, which gives the image,
    both uint8 [height, width, 3]; or CompressAI's `compress(x)` and `decompress(strings, shape)` on tensors,
    whose bytes are then `ModelCodec`'s. What is made for a point has `encode(image)` instead. `version()` and
    `check_point(point)` are its own where it has them. `sha256` is that of its source, which is its version
    with the weights that it holds.
    """

    several_points = True

    def __init__(
        self, name: str, factory: Callable[..., Any], options: Mapping[str, Any], sha256: str
    ) -> None:
        super().__init__(name, str(options.get("device", "cpu")), int(options.get("threads", 1)))
        signature = inspect.signature(factory)
        taken = signature.parameters
        self._by_point = "point" in taken
        self._sha256 = sha256
        self.points = tuple(float(point) for point in getattr(factory, "points", ()))
        ours = {"device", "threads"} - set(taken)
        given = {key: options[key] for key in options if key not in ours}
        signature.bind(**given, **({"point": 0} if self._by_point else {}))  # says which option is wrong
        self._factory = partial(factory, **given)
        self._make = lru_cache(maxsize=8)(self._make_anew)
        self._ready = lru_cache(maxsize=8)(self._load)
        self._id = lru_cache(maxsize=64)(self._hash)

    def version(self) -> str:
        """Return the start of the source's sha256, and the codec's own words if it has any."""
        own = getattr(self._made(None), "version", None) if not self._by_point else None
        words = [str(own())] if callable(own) else []
        return ", ".join([*words, f"source {self._sha256[:8]}"])

    def version_at(self, point: float) -> str:
        """Return the version with the weights of `point`."""
        if not hasattr(self._made(point), "state_dict"):
            return self.version()
        return f"{self.version()}, models {point:g}:{self.model_id(point).hex()[:8]}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is one of the class's `points`, or passes its own `check_point`."""
        if self.points and point not in self.points:
            known = ", ".join(f"{known:g}" for known in self.points)
            raise PointError(f"{self.name} has no point {point:g}; it has: {known}")
        if not math.isfinite(point):
            raise PointError(f"{self.name}: {point:g} is no point")
        own = getattr(self._made(point), "check_point", None)
        if callable(own):
            own(point)

    def prepare(self, point: float) -> None:
        """Make what codes at `point`."""
        if self._is_model(point):
            super().prepare(point)
        elif callable(own := getattr(self._made(point), "prepare", None)):
            own(point)

    def operations(self, point: float) -> Operations | None:
        """Return the multiply-accumulates of a model with `compress`; of other code they are not known."""
        return super().operations(point) if self._is_model(point) else None

    def encode(self, image: Image, point: float) -> bytes:
        """Return what the codec's `encode` gives, or its model's strings behind our header."""
        self.check_point(point)
        if self._is_model(point):
            return super().encode(image, point)
        coder = self._made(point)
        pixels = np.array(image)  # its own, to write to: a view of read-only samples makes torch warn
        with _without_gradients():
            stream = coder.encode(pixels) if self._by_point else coder.encode(pixels, point)
        if not isinstance(stream, bytes):
            raise CodecError(f"{self.name}: encode gave a {type(stream).__name__}; it must give bytes")
        return bytes([_PLAIN_AT_POINT]) + point_bytes(point) + stream if self._by_point else stream

    def decode(self, bitstream_: bytes) -> Image:
        """Return the image."""
        point, body = None, bitstream_
        if self._by_point and bitstream_[:1] == bytes([_PLAIN_AT_POINT]):
            point, at = read_point(bitstream_[1:])
            self.check_point(point)
            body = bitstream_[1 + at :]
        elif self._by_point or self._is_model(None):
            return super().decode(bitstream_)
        with _without_gradients():
            image: Image = self._made(point).decode(body)
        return image

    def model_id(self, point: float) -> bytes:
        """Return the sha256 of the model's weights at `point`, of its source where it holds none."""
        return self._id(point)

    def _hash(self, point: float) -> bytes:
        from benchmark.learned.weights import content_sha256

        made = self._made(point)
        state = made.state_dict() if hasattr(made, "state_dict") else {}
        return hashlib.sha256(f"{self._sha256} {content_sha256(state)}".encode()).digest()

    def load(self, point: float) -> Any:  # noqa: ANN401 (a zoo.model.Model, which imports torch)
        """Return the model at `point`, the same object on every call."""
        return self._ready(point)

    def point_of(self, model_id: bytes, stored: float | None) -> float:
        """Return the stored point. Raises BitstreamError if its model is another here."""
        if stored is None:
            raise BitstreamError(f"{self.name}: the stream does not say its point")
        self.check_point(stored)
        if not self.model_id(stored).startswith(model_id):
            raise BitstreamError(f"{self.name}: the stream was written by model {model_id.hex()}")
        return stored

    def _load(self, point: float) -> Any:  # noqa: ANN401
        from benchmark.zoo.model import ready

        self.model_id(point)  # before the coding tables, which are in its state, are made anew
        return ready(self._made(point), self._device, self._threads, point)

    def _made(self, point: float | None) -> Any:  # noqa: ANN401 (whatever the user's code gives)
        return self._make(point if self._by_point else None)

    def _make_anew(self, point: float | None) -> Any:  # noqa: ANN401
        made = self._factory(point=point) if self._by_point else self._factory()
        if not any(callable(getattr(made, way, None)) for way in ("encode", "compress")):
            raise UsageError(
                f"{self.name} gives a {type(made).__name__}, which has neither encode and decode nor "
                f"compress and decompress"
            )
        if callable(evaluating := getattr(made, "eval", None)):
            evaluating()  # a network of torch: as it is used, not as it is trained
        return made

    def _is_model(self, point: float | None) -> bool:
        return callable(getattr(self._made(point), "compress", None))


def _without_gradients() -> AbstractContextManager[object]:
    """Return torch's context for using networks, nothing where no torch is loaded."""
    torch = sys.modules.get("torch")
    return torch.no_grad() if torch else nullcontext()


def own_codec(name: str, factory: Callable[..., Any], options: Mapping[str, Any], sha256: str) -> Codec:
    """Return the codec of a class or function of a file: itself if it takes a `name`, as codecs here do."""
    if "name" in inspect.signature(factory).parameters:
        codec: Codec = factory(name=name, **options)
        return codec
    return OwnCodec(name, factory, options, sha256)
