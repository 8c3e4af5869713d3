"""One trained network as a codec: an image to a container's streams, and back from them alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark import devices
from benchmark.arrays import F32, F64, I32, U8, Image
from benchmark.errors import BitstreamError, NotExactError
from benchmark.learned.architectures.base import Architecture, ExactPrior, Step
from benchmark.learned.architectures.float_prior import FloatPrior
from benchmark.learned.architectures.transforms import Transforms, WholeImage
from benchmark.learned.coding.bitstream import (
    MODEL_ID_BYTES,
    CodedImage,
    Header,
    latent_seed,
    stored_float,
)
from benchmark.learned.coding.factorized import HyperLatents
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.refine import Refinement, refine
from benchmark.operations import SIDE, Operations, count
from benchmark.stopwatch import ENTROPY_CODER, NETWORK, QUANTIZER, phase


@dataclass(frozen=True)
class Encoded:
    """What encoding gives."""

    container: CodedImage
    entropy_bits: float
    """Information content of both streams under the model, in bits."""


class CodingModel:
    """A network made ready for coding; all that does not depend on the image is computed once, on first use.

    identity: sha256 of the weights, hexadecimal; streams carry its first 4 bytes. Analysis and synthesis run
    on `device`; the prior, whose numbers must be the same on every machine, and the coder on the processor.
    """

    def __init__(self, network: Architecture, identity: str, device: str = devices.CPU) -> None:
        self._device = device
        self.model_id = bytes.fromhex(identity)[:MODEL_ID_BYTES]
        self._network = network.eval().requires_grad_(False)

    @cached_property
    def transforms(self) -> Transforms:
        """Analysis and synthesis."""
        if self._device == devices.CPU:
            return self._network.transforms()
        there = devices.place(self._device)
        return WholeImage(copy.deepcopy(self._network).to(there), there)

    @cached_property
    def prior(self) -> ExactPrior:
        """Means and scales of the latents: in exact arithmetic, or the network's own where that has none."""
        try:
            return self._network.exact_prior()
        except NotExactError:
            return FloatPrior(self._network)

    @property
    def portable(self) -> bool:
        """Whether every machine reads the streams; if not, those of another may be refused."""
        return not isinstance(self.prior, FloatPrior)

    @cached_property
    def hyper_latents(self) -> HyperLatents | None:
        """The coder of z; None without hyper-latents."""
        bottleneck = self._network.entropy_bottleneck
        return None if bottleneck is None else HyperLatents(bottleneck, self._network.hyper_gain())

    def encode(
        self,
        image: Image,
        quantizer_name: str,
        settings: QuantizerSettings,
        refinement: Refinement | None = None,
    ) -> Encoded:
        """Return the streams of `image`, uint8 [height, width, 3], any size from 1x1.

        The step in use is `stored_float(settings.delta)`. Raises CodecError for latents that are not finite.
        """
        settings = QuantizerSettings(stored_float(settings.delta), settings.trellis_lambda)
        with phase(NETWORK):
            y, z = self.transforms.analysis(self.pad(image))
        hyper_stream, z_hat, bits = self.hyper_encode(z)
        header = Header(
            self.model_id, image.shape[1], image.shape[0], quantizer_name, settings.delta, self._network.lmbda
        )
        seed = latent_seed(header, hyper_stream)
        quantizer = get_quantizer(quantizer_name)
        latents = y[0].numpy()
        if refinement is not None:
            latents = refine(self._network, image, y, z_hat, refinement)
        indices, scales = self._quantize(latents, z_hat, quantizer, settings)
        coder = index_coder(quantizer, QuantizerSettings(settings.delta))
        bits += sum(map(coder.entropy_bits, indices, scales))
        with phase(ENTROPY_CODER):
            latent_stream = coder.encode(indices, scales, seed)
        return Encoded(CodedImage(header, hyper_stream, latent_stream), bits)

    def hyper_encode(self, z: Tensor | None) -> tuple[bytes, F64 | None, float]:
        """Return the stream of hyper-latents [1, N, ...], what it decodes to, and its information in bits."""
        if self.hyper_latents is None or z is None:
            return b"", None, 0.0
        symbols = self.hyper_latents.symbols(z)
        z_hat = self.hyper_latents.dequantize(symbols).reshape(z.shape[1:])
        with phase(ENTROPY_CODER):
            stream = self.hyper_latents.encode(symbols)
        return stream, z_hat, self.hyper_latents.entropy_bits(symbols)

    def _quantize(
        self, y: F32, z_hat: F64 | None, quantizer: Quantizer, settings: QuantizerSettings
    ) -> tuple[list[I32], list[U8]]:
        """Return indices and scale indices of each step, [channels, length]."""
        with phase(NETWORK):
            params = self.prior(z_hat, y.shape[1], y.shape[2])
        y_hat = np.zeros(y.shape, np.float32)
        indices, scales = [], []
        for number, step in enumerate(self._network.steps):
            with phase(NETWORK):
                mu, scale_index = params(number, y_hat)
            with phase(QUANTIZER):
                indices.append(quantizer.quantize(step.gather(y) - mu, scale_index, settings))
            scales.append(scale_index)
            if number + 1 < len(self._network.steps):
                step.scatter(quantizer.dequantize(indices[-1], scale_index, settings) + mu, y_hat)
        return indices, scales

    def decode(self, container: CodedImage) -> Image:
        """Return the image. Raises BitstreamError for streams that do not decode to their last bit.

        Nothing larger than the hyper-latents is made before the hyper-latent stream has proved sound, and no
        image before the latent stream has.
        """
        latents = self.decode_latents(container)
        with phase(NETWORK):
            image = self.transforms.synthesis(latents)
        return np.ascontiguousarray(image[: container.header.height, : container.header.width])

    def decode_latents(self, container: CodedImage) -> F32:
        """Return the quantized latents, float32 [M, rows, columns], that the streams hold."""
        header = container.header
        rows, columns = self.latent_size(header.width, header.height)
        quantizer = get_quantizer(header.quantizer)
        settings = QuantizerSettings(header.delta)
        coder = index_coder(quantizer, settings)
        z_hat = self.hyper_decode(container.hyper_stream, header.width, header.height)
        with phase(NETWORK):
            params = self.prior(z_hat, rows, columns)
        y_hat = np.zeros((self._network.steps[-1].last, rows, columns), np.float32)
        reader = coder.read(container.latent_stream)
        for number, step in enumerate(self._network.steps):
            with phase(NETWORK):
                mu, scale_index = params(number, y_hat)
            with phase(ENTROPY_CODER):
                symbols = reader.step(scale_index)
            values = quantizer.dequantize(symbols, scale_index, settings)
            values += mu
            step.scatter(values, y_hat)
        reader.finish(latent_seed(header, container.hyper_stream))
        return y_hat

    def hyper_decode(self, stream: bytes, width: int, height: int) -> F64 | None:
        """Return z_hat, float64 [N, rows, columns], of an image of this size. Raises BitstreamError."""
        if self.hyper_latents is None:
            if stream:
                raise BitstreamError("the stream has hyper-latents, and its model none")
            return None
        multiple = self._network.image_multiple
        rows, columns = (self.padded(side) // multiple for side in (height, width))
        least = self.hyper_latents.least_bits(rows * columns)
        if 8 * len(stream) + 64 < 0.999 * least:
            raise BitstreamError(
                f"{len(stream)} bytes of hyper-latents are too few for the claimed {width}x{height} pixels"
            )
        with phase(ENTROPY_CODER):
            symbols = self.hyper_latents.decode(stream, rows * columns)
        return self.hyper_latents.dequantize(symbols).reshape(-1, rows, columns)

    def operations(self) -> Operations:
        """Return the multiply-accumulates of both directions, of the network as torch runs it in training.

        What codes evaluates the prior at the positions of each step alone; this counts it everywhere.
        """
        network = self._network
        x = torch.linspace(0, 1, 3 * SIDE * SIDE).view(1, 3, SIDE, SIDE)
        with torch.no_grad():
            y = network.analysis(x)
            z = network.hyper_analysis(y)

        def prior() -> None:
            parameters = network.prior(z, y)
            for step in range(len(network.steps)):
                parameters.params(step, y)

        encode: dict[str, Callable[[], object]] = {
            "analysis": lambda: network.analysis(x),
            "hyper-analysis": lambda: network.hyper_analysis(y),
            "prior": prior,
        }
        decode: dict[str, Callable[[], object]] = {"prior": prior, "synthesis": lambda: network.synthesis(y)}
        forward = [*encode.values(), decode["synthesis"]]
        return count(network, encode, decode, lambda: [section() for section in forward])

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is coded together (see `Architecture`)."""
        return self._network.steps

    def latent_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the rows and columns of latents of an image of this size."""
        stride = self._network.latent_stride
        return self.padded(height) // stride, self.padded(width) // stride

    def padded(self, side: int) -> int:
        """Return the next multiple of what the network takes."""
        multiple = self._network.image_multiple
        return -(-side // multiple) * multiple

    def pad(self, image: Image) -> Image:
        """Return `image` with its last row and column repeated until the network takes both sides."""
        height, width, _ = image.shape
        margins = ((0, self.padded(height) - height), (0, self.padded(width) - width), (0, 0))
        return np.ascontiguousarray(np.pad(image, margins, mode="edge"))
