"""A model with CompressAI's `compress` and `decompress`, for one 8-bit image at a time."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.arrays import Image
from benchmark.environment import torch_threads
from benchmark.errors import CodecError
from benchmark.operations import SIDE, Operations, count
from benchmark.zoo.phases import phases

_GRANULE = 64
"""What sides are padded to a multiple of where a model has no `downsampling_factor`."""


_OUTSIDE = "outside modules"
"""Operations that no module is called for, as CompressAI's autoregressive models compute their context."""


class _LatentsDecodedError(Exception):
    """Ends a decoding before the synthesis."""


class Model:
    """A model, ready for coding, at one rate.

    `model` has `compress(x)`, which gives `strings` (lists of bytes, nested as it likes) and `shape`, and
    `decompress(strings, shape)`, which gives `x_hat`; x is float32 [1, 3, height, width] in 0 .. 1. `rate`
    holds what else both are given. Its synthesis is `g_s`, whose input are the latents.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str = "cpu",
        threads: int = 1,
        rate: Mapping[str, object] | None = None,
    ) -> None:
        self._model: Any = model.eval().to(device)
        self._device = device
        self._threads = threads
        self._rate = dict(rate or {})
        self._granule = int(getattr(model, "downsampling_factor", _GRANULE))

    @cached_property
    def _template(self) -> tuple[Any, Any]:
        """What `compress` makes of an image of one granule by two: its strings, and its shape."""
        with self._coding():
            out = self._model.compress(self._blank(self._granule, 2 * self._granule), **self._rate)
        return out["strings"], out["shape"]

    @property
    def strings(self) -> int:
        """How many strings an image has."""
        return len(_flat(self._template[0]))

    def encode(self, image: Image) -> list[bytes]:
        """Return the strings of an image. Raises CodecError if their number or shapes are not the size's."""
        _template, _ = self._template
        with self._coding():
            out = self._model.compress(self._padded(image), **self._rate)
        strings = _flat(out["strings"])
        height, width = image.shape[:2]
        if len(strings) != self.strings or _plain(out["shape"]) != _plain(self._shape(width, height)):
            raise CodecError(
                f"the shapes {out['shape']} of {len(strings)} strings do not follow from the size "
                f"{width}x{height}; a model that needs other sides than multiples of {self._granule} says so "
                f"in its attribute downsampling_factor"
            )
        return strings

    def latents_crc(self, strings: Sequence[bytes], width: int, height: int) -> int:
        """Return the checksum of the latents that the strings decode to here; the synthesis does not run."""
        return self._decode(strings, width, height, stop=True)[0]

    def decode(self, strings: Sequence[bytes], width: int, height: int) -> tuple[int, Image]:
        """Return the checksum of the latents, and the image."""
        crc, decoded = self._decode(strings, width, height, stop=False)
        return crc, decoded

    def _decode(self, strings: Sequence[bytes], width: int, height: int, *, stop: bool) -> tuple[int, Image]:
        seen: list[int] = []

        def see(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.append(_crc(arguments[0]))
            if stop:
                raise _LatentsDecodedError

        nested = _like(self._template[0], iter(strings))
        synthesis = getattr(self._model, "g_s", None)
        hook = synthesis.register_forward_pre_hook(see) if isinstance(synthesis, nn.Module) else None
        try:
            with self._coding():
                x_hat = self._model.decompress(nested, self._shape(width, height), **self._rate)["x_hat"]
        except _LatentsDecodedError:
            return seen[0], np.zeros((0, 0, 3), np.uint8)
        finally:
            if hook:
                hook.remove()
        image = _pixels(x_hat[:, :, :height, :width])
        # A model without a synthesis of that name vouches for its latents by what they become.
        return (seen[0] if seen else zlib.crc32(image.tobytes())), image

    def operations(self) -> Operations:
        """Return the multiply-accumulates of compressing a smooth image, and of decompressing it."""
        x = torch.linspace(0, 1, 3 * SIDE * SIDE, device=self._device).view(1, 3, SIDE, SIDE)
        out: dict[str, Any] = {}

        def compress() -> None:
            out.update(self._model.compress(x, **self._rate))

        def decompress() -> None:
            self._model.decompress(out["strings"], out["shape"], **self._rate)

        passes = type(self._model).forward is not nn.Module.forward and not self._rate
        forward = (lambda: self._model(x)) if passes else None
        with self._coding():
            return count(self._model, {_OUTSIDE: compress}, {_OUTSIDE: decompress}, forward)

    def _shape(self, width: int, height: int) -> Any:  # noqa: ANN401 (as the model nests it)
        """Return the shapes of an image's latents: those of the template, as much larger as its sides."""
        rows, columns = -(-height // self._granule), -(-width // self._granule)
        return _scaled(self._template[1], rows, columns)

    def _padded(self, image: Image) -> Tensor:
        height, width = image.shape[:2]
        samples = torch.from_numpy(np.array(image)).to(self._device)  # a copy: images may be read-only
        x = samples.permute(2, 0, 1)[None].float() / 255
        below, right = -height % self._granule, -width % self._granule
        return functional.pad(x, (0, right, 0, below), mode="replicate")

    def _blank(self, height: int, width: int) -> Tensor:
        return torch.zeros(1, 3, height, width, device=self._device)

    @contextmanager
    def _coding(self) -> Iterator[None]:
        """Compute without gradients and in one order: by so many threads, with exact kernels."""
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch_threads(self._threads), torch.no_grad(), exact, phases(self._model):
            yield


def ready(model: nn.Module, device: str, threads: int, point: float) -> Model:
    """Return a model for coding at `point`: its tables made anew, since a state dict's may be of old weights.

    Raises CodecError for an object without `compress` and `decompress`, or a rate that it does not have.
    """
    for method in ("compress", "decompress"):
        if not callable(getattr(model, method, None)):
            raise CodecError(f"a {type(model).__name__} has no {method}(), as models of CompressAI have it")
    rate = variable_rate(model, point)
    if callable(update := getattr(model, "update", None)):
        scale = {"scale": rate["gain"]} if "gain" in rate else {}
        update(force=True, **scale)
    rate.pop("gain", None)
    return Model(model, device, threads, rate)


def variable_rate(model: nn.Module, point: float) -> dict[str, object]:
    """Return what a variable-rate model is given for a point; nothing for another model.

    Whole points are the model's own rates, `s`; those between have the gain between, geometrically, as
    `inputscale`. `gain` is the gain of either, on which the coding tables of a hyper-latent may depend.
    """
    if "inputscale" not in inspect.signature(model.compress).parameters:  # type: ignore[arg-type]
        return {}
    gains = model.Gain.detach().abs()  # type: ignore[operator]
    if not 0 <= point <= len(gains) - 1:
        raise CodecError(f"the model has the rates 0 to {len(gains) - 1}, not {point:g}")
    low, part = int(point), point - int(point)
    if part == 0:
        return {"s": low, "gain": gains[low]}
    gain = gains[low] ** (1 - part) * gains[low + 1] ** part
    return {"inputscale": gain, "gain": gain}


def _flat(nested: Any) -> list[bytes]:  # noqa: ANN401
    if isinstance(nested, bytes):
        return [nested]
    return [string for part in nested for string in _flat(part)]


def _like(template: Any, strings: Iterator[bytes]) -> Any:  # noqa: ANN401
    if isinstance(template, bytes):
        return next(strings)
    return [_like(part, strings) for part in template]


def _scaled(shape: Any, rows: int, columns: int) -> Any:  # noqa: ANN401
    """Return shapes, dicts and lists of them included, whose last two sizes are for so many granules."""
    if isinstance(shape, Mapping):
        return {name: _scaled(part, rows, columns) for name, part in shape.items()}
    if any(not isinstance(size, int) for size in shape):
        return [_scaled(part, rows, columns) for part in shape]
    *others, height, width = shape
    return (*others, height * rows, width * columns // 2)


def _plain(shape: Any) -> Any:  # noqa: ANN401
    """Return shapes as lists, whatever they are held in."""
    if isinstance(shape, Mapping):
        return {name: _plain(part) for name, part in shape.items()}
    return [size if isinstance(size, int) else _plain(size) for size in shape]


def _crc(latents: Tensor) -> int:
    return zlib.crc32(latents.float().contiguous().cpu().numpy().tobytes())


def _pixels(x_hat: Tensor) -> Image:
    """Return [1, 3, height, width] in 0 .. 1 as an 8-bit image."""
    samples = (x_hat[0].float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(samples.permute(1, 2, 0).cpu().numpy())
