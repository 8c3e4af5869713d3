"""One trained network as a codec: an image to a container's streams, and back from them alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.arrays import F32, I32, U8, Image
from benchmark.errors import BitstreamError
from benchmark.learned.architectures.mean_scale import DOWNSAMPLING, MeanScaleHyperprior
from benchmark.learned.architectures.transforms import LATENT_STRIDE, Transforms
from benchmark.learned.coding.bitstream import MODEL_ID_BYTES, Container, Header, latent_seed, stored_delta
from benchmark.learned.coding.indices import index_coder
from benchmark.learned.exact.hyper import HyperLatents, HyperSynthesis
from benchmark.learned.quantizers.base import QuantizerSettings, get_quantizer


@dataclass(frozen=True)
class Encoded:
    """What encoding gives."""

    container: Container
    entropy_bits: float
    """Information content of both streams under the model, in bits."""


class CodingModel:
    """A network made ready for coding; all that does not hang on the image is computed once, on first use.

    identity: sha256 of the weights, hexadecimal; streams carry its first 4 bytes.
    """

    def __init__(self, network: MeanScaleHyperprior, identity: str) -> None:
        self.model_id = bytes.fromhex(identity)[:MODEL_ID_BYTES]
        self._network = network.eval()

    @cached_property
    def transforms(self) -> Transforms:
        """g_a, h_a and g_s."""
        return Transforms(self._network)

    @cached_property
    def hyper_synthesis(self) -> HyperSynthesis:
        """h_s in exact arithmetic."""
        return HyperSynthesis(self._network)

    @cached_property
    def hyper_latents(self) -> HyperLatents:
        """The coder of z."""
        return HyperLatents(self._network)

    def encode(self, image: Image, quantizer_name: str, settings: QuantizerSettings) -> Encoded:
        """Return the streams of `image`, uint8 [height, width, 3], any size from 1x1.

        The step in use is `stored_delta(settings.delta)`. Raises CodecError for latents that are not finite.
        """
        settings = QuantizerSettings(stored_delta(settings.delta), settings.trellis_lambda)
        y, z = self.transforms.analysis(pad(image))
        symbols = self.hyper_latents.symbols(z)
        mu, scale_index = self._hyper_decode(symbols, z.shape[2], z.shape[3])
        residual = y[0].flatten(1).numpy() - mu
        indices = get_quantizer(quantizer_name).quantize(residual, scale_index, settings)
        coder = index_coder(quantizer_name, QuantizerSettings(settings.delta))
        header = Header(self.model_id, image.shape[1], image.shape[0], quantizer_name, settings.delta)
        hyper_stream = self.hyper_latents.encode(symbols)
        latent_stream = coder.encode(indices, scale_index, latent_seed(header, hyper_stream))
        bits = self.hyper_latents.entropy_bits(symbols) + coder.entropy_bits(indices, scale_index)
        return Encoded(Container(header, hyper_stream, latent_stream), bits)

    def decode(self, container: Container) -> Image:
        """Return the image. Raises BitstreamError for streams that do not decode to their last bit.

        Nothing larger than the hyper-latents is made before the hyper-latent stream has proved sound, and no
        image before the latent stream has.
        """
        height, width = (padded(side) for side in (container.header.height, container.header.width))
        indices, mu, scale_index = self.decode_latents(container)
        settings = QuantizerSettings(container.header.delta)
        y_hat = get_quantizer(container.header.quantizer).dequantize(indices, scale_index, settings)
        y_hat += mu
        image = self.transforms.synthesis(y_hat.reshape(-1, height // LATENT_STRIDE, width // LATENT_STRIDE))
        return np.ascontiguousarray(image[: container.header.height, : container.header.width])

    def decode_latents(self, container: Container) -> tuple[I32, F32, U8]:
        """Return the indices, mu and the scale indices, all [M, L], that the streams hold."""
        header = container.header
        rows, columns = padded(header.height) // DOWNSAMPLING, padded(header.width) // DOWNSAMPLING
        least = self.hyper_latents.least_bits(rows * columns)
        if 8 * len(container.hyper_stream) + 64 < 0.999 * least:
            raise BitstreamError(
                f"{len(container.hyper_stream)} bytes of hyper-latents are too few for the claimed "
                f"{header.width}x{header.height} pixels"
            )
        symbols = self.hyper_latents.decode(container.hyper_stream, rows * columns)
        mu, scale_index = self._hyper_decode(symbols, rows, columns)
        coder = index_coder(header.quantizer, QuantizerSettings(header.delta))
        seed = latent_seed(header, container.hyper_stream)
        return coder.decode(container.latent_stream, scale_index, seed), mu, scale_index

    def _hyper_decode(self, symbols: I32, rows: int, columns: int) -> tuple[F32, U8]:
        z_hat = self.hyper_latents.dequantize(symbols).reshape(-1, rows, columns)
        mu, scale_index = self.hyper_synthesis(z_hat)
        return mu.reshape(len(mu), -1), scale_index.reshape(len(mu), -1)


def padded(side: int) -> int:
    """Return the next multiple of 64."""
    return -(-side // DOWNSAMPLING) * DOWNSAMPLING


def pad(image: Image) -> Image:
    """Return `image` with its last row and column repeated until both sides are multiples of 64."""
    height, width, _ = image.shape
    margins = ((0, padded(height) - height), (0, padded(width) - width), (0, 0))
    return np.ascontiguousarray(np.pad(image, margins, mode="edge"))
