"""A codec of any model with CompressAI's interface: our bitstream around what `compress` wrote."""

from __future__ import annotations

from abc import abstractmethod
from time import perf_counter
from typing import TYPE_CHECKING

from benchmark import devices
from benchmark.codecs.base import Codec, Image, note
from benchmark.environment import cores
from benchmark.errors import (
    BitstreamError,
    CodecUnavailableError,
    UsageError,
)
from benchmark.operations import Operations

if TYPE_CHECKING:
    from benchmark.zoo.model import Model

RATES = 8
"""CompressAI's variable-rate models have eight rates, the points 0 to 7."""
_ID_BYTES = 4


class ModelCodec(Codec):
    """A codec of models that have `compress` and `decompress`. It has its own bitstream (see `bitstream`)."""

    @property
    @abstractmethod
    def several_points(self) -> bool:
        """Whether models of several points have one id, so that streams must say their point."""

    def __init__(self, name: str, device: str = "cpu", threads: int = 1) -> None:
        if not (isinstance(threads, int) and threads > 0):
            raise UsageError(f"{name}: threads = {threads!r}; give a whole number from 1 up")
        self.name = name
        self._device = device
        self._threads = threads

    @abstractmethod
    def model_id(self, point: float) -> bytes:
        """Return the sha256 of the weights at `point`."""

    @abstractmethod
    def load(self, point: float) -> Model:
        """Return the model at `point`, the same object on every call."""

    @abstractmethod
    def point_of(self, model_id: bytes, stored: float | None) -> float:
        """Return the point of a stream's model. Raises BitstreamError if this codec has none of that id."""

    def prepare(self, point: float) -> None:
        """Load the model and let it code a small image."""
        self.check_point(point)
        self.check_machine()
        _ = self.load(point).strings

    def operations(self, point: float) -> Operations | None:
        """Return the multiply-accumulates of the model's `compress` and `decompress` at `point`."""
        self.check_point(point)
        return self.load(point).operations()

    def check_machine(self) -> None:
        """Raise CodecUnavailableError where the device or so many cores are not there."""
        if self._threads > cores():
            raise CodecUnavailableError(
                f"{self.name}: threads = {self._threads}, but {cores()} cores are usable here, and threads "
                f"beyond these cost times more than they save; give a smaller number"
            )
        if reason := devices.fault(self._device):
            raise CodecUnavailableError(
                f'{self.name}: device {self._device!r} cannot be used: {reason}; give device = "cpu"'
            )

    def encode(self, image: Image, point: float) -> bytes:
        """Return the model's strings behind our header.

        The encoder decodes its latents once, for their checksum: the row's `latents_check_seconds` in `extra`
        says how long of the encoding that took.
        """
        from benchmark.zoo import bitstream

        self.check_point(point)
        model = self.load(point)
        strings = model.encode(image)
        height, width = image.shape[:2]
        start = perf_counter()
        crc = model.latents_crc(strings, width, height)
        note(latents_check_seconds=perf_counter() - start)
        stored = point if self.several_points else None
        model_id = self.model_id(point)[:_ID_BYTES]
        return bitstream.pack(bitstream.Stream(model_id, stored, width, height, crc, strings))

    def decode(self, bitstream_: bytes) -> Image:
        """Return the image; BitstreamError for damage, another model, or latents that decode differently."""
        from benchmark.zoo import bitstream

        model = self.load(self.point_of(*bitstream.read_model(bitstream_)))
        stream = bitstream.unpack(bitstream_, model.strings)
        try:
            crc, image = model.decode(stream.strings, stream.width, stream.height)
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise BitstreamError(f"{self.name}: the model cannot decode the stream: {error}") from error
        if crc != stream.latents_crc:
            raise BitstreamError(
                f"{self.name}: the latents decode to other values here than where the stream was written: "
                f"another machine, device or release of torch, on which the model's arithmetic differs"
            )
        return image
