"""Real codecs in process, faults to plant in them, and the smoke images: what proves that the gate works."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import skimage
from numpy.typing import NDArray

from benchmark.arrays import Image
from benchmark.codecs import CODECS, CodecEntry, null, pillow
from benchmark.codecs.base import Codec, note
from benchmark.errors import CodecError
from benchmark.images import rgb_to_ycbcr
from benchmark.learned.coding import bitstream
from benchmark.learned.coding import indices as latents
from benchmark.learned.model import CodingModel
from benchmark.learned.quantizers import get_quantizer
from benchmark.learned.quantizers.base import Quantizer, QuantizerSettings
from benchmark.learned.quantizers.scalar import Scalar
from benchmark.learned.quantizers.tcq import Tcq
from benchmark.learned.tables import PmfTables
from benchmark.results.records import Record
from benchmark.runs.evaluate import RunContext, evaluate
from benchmark.runs.tasks import Task

IMAGES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
CROP = (232, 248)
"""Height and width: MS-SSIM needs more than 160, and padding needs sides that no 64 divides."""

METRICS = ("psnr_rgb", "ms_ssim_rgb")
STEPS = (0.6, 0.85, 1.2, 1.7, 2.4)
POINTS: dict[str, tuple[float, ...]] = {
    "jpeg": (10, 30, 50, 70, 90),
    "null": (8, 10),
    "swept-scalar": STEPS,
    "swept-tcq8": STEPS,
}


class SweptCodec(Codec):
    """A learned codec whose points are quantizer steps times the default: an RD curve from one network."""

    def __init__(self, name: str, quantizer: str) -> None:
        self.name = name
        self._quantizer = quantizer

    def version(self) -> str:
        return f"{self._quantizer}, model {_model().model_id.hex()}"

    def check_point(self, point: float) -> None:
        assert point in STEPS

    def encode(self, image: Image, point: float) -> bytes:
        default = get_quantizer(self._quantizer).default_settings()
        settings = QuantizerSettings(default.delta * point, default.trellis_lambda * point**2)
        encoded = _model().encode(image, self._quantizer, settings)
        note(entropy_bits=encoded.entropy_bits)
        return bitstream.pack(encoded.container)

    def decode(self, bitstream_: bytes) -> Image:
        return _model().decode(bitstream.unpack(bitstream_))


def _swept(quantizer: str) -> CodecEntry:
    target = f"{__name__}:SweptCodec"
    return CodecEntry(target, "one network, five steps", "step", STEPS, {"quantizer": quantizer})


SCALAR, TCQ8 = _swept("scalar"), _swept("tcq8")


@lru_cache(maxsize=1)
def _model() -> CodingModel:
    """Load the first network that ships."""
    from benchmark.learned.weights import available, load_model, weights_folder

    folder = weights_folder()
    lmbdas = available("baseline", folder)
    if not lmbdas:
        pytest.skip("no trained weights ship")
    network, info = load_model("baseline", 0.013 if 0.013 in lmbdas else lmbdas[0], folder)
    return CodingModel(network, info.sha256)


def register_codecs() -> None:
    """Add the swept codecs to the registry of this process."""
    assert isinstance(CODECS.builtin, dict)
    CODECS.builtin |= {"swept-scalar": f"{__name__}:SCALAR", "swept-tcq8": f"{__name__}:TCQ8"}


def write_images(folder: Path, names: Sequence[str] = IMAGES) -> dict[str, Path]:
    """Write the centre crops of scikit-image's photographs; return them by name."""
    found = {}
    for name in names:
        with PIL.Image.open(Path(skimage.__file__).parent / "data" / name) as picture:
            width, height = picture.size
            left, top = (width - CROP[1]) // 2, (height - CROP[0]) // 2
            crop = picture.convert("RGB").crop((left, top, left + CROP[1], top + CROP[0]))
        path = folder / f"{Path(name).stem}.png"
        crop.save(path)
        found[path.name] = path
    return found


def measure(
    images: dict[str, Path], codecs: Sequence[str], points: Mapping[str, Sequence[float]] = POINTS
) -> pd.DataFrame:
    """Evaluate these codecs at their points on the images, as a run does; return the rows."""
    register_codecs()
    latents.index_coder.cache_clear()
    rows: list[Record] = []
    for codec in codecs:
        for name, path in images.items():
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            for point in points[codec]:
                task = Task(
                    "smoke",
                    "smoke",
                    len(images),
                    len(images),
                    codec,
                    codec,
                    "{}",
                    point,
                    name,
                    sha256,
                    path,
                    METRICS,
                )
                rows.append(evaluate(task, RunContext("faults")))
    return pd.DataFrame([row.row() for row in rows])


@dataclass(frozen=True)
class Fault:
    """A planted fault: where it is put, and the codec that it spoils."""

    name: str
    codec: str
    plant: Callable[[pytest.MonkeyPatch], None]


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Keep the fault in place while the context is open."""
    latents.index_coder.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        yield
    latents.index_coder.cache_clear()


def biased_rounding(patch: pytest.MonkeyPatch) -> None:
    def search(
        self: Scalar,
        residual: NDArray[np.float32],
        scale_index: object,
        settings: QuantizerSettings,
        *_: object,
    ) -> NDArray[np.int32]:
        return np.floor(residual / np.float32(settings.delta) + np.float32(0.4)).astype(np.int32)

    patch.setattr(Scalar, "_search", search)


def wrong_delta_in_the_decoder(patch: pytest.MonkeyPatch) -> None:
    right = Quantizer.dequantize

    def dequantize(
        self: Quantizer,
        indices: NDArray[np.int32],
        scale_index: NDArray[np.uint8],
        settings: QuantizerSettings,
    ) -> NDArray[np.float32]:
        return right(self, indices, scale_index, settings) * np.float32(1.02)

    patch.setattr(Scalar, "dequantize", dequantize)


def wrong_delta_on_both_sides(patch: pytest.MonkeyPatch) -> None:
    right = SweptCodec.encode
    patch.setattr(SweptCodec, "check_point", lambda *_: None)
    patch.setattr(SweptCodec, "encode", lambda self, image, point: right(self, image, point * 1.02))


def trellis_without_rate(patch: pytest.MonkeyPatch) -> None:
    right = Tcq.quantize

    def quantize(
        self: Tcq,
        residual: NDArray[np.float32],
        scale_index: NDArray[np.uint8],
        settings: QuantizerSettings,
        *rest: int,
    ) -> NDArray[np.int32]:
        return right(self, residual, scale_index, replace(settings, trellis_lambda=0.0), *rest)

    patch.setattr(Tcq, "quantize", quantize)


def lost_parity(patch: pytest.MonkeyPatch) -> None:
    right = Tcq.dequantize

    def dequantize(
        self: Tcq,
        indices: NDArray[np.int32],
        scale_index: NDArray[np.uint8],
        settings: QuantizerSettings,
    ) -> NDArray[np.float32]:
        stuck = replace(self.machine, next_state=np.zeros_like(self.machine.next_state))
        broken = Tcq(self.name, self.stream_id, self.fit, stuck, expanded=self.expanded)
        return right(broken, indices, scale_index, settings)

    patch.setattr(Tcq, "dequantize", dequantize)


def wrong_colour_matrix(patch: pytest.MonkeyPatch) -> None:
    def bt601(planes: NDArray[np.uint16], depth: int) -> Image:
        y, cb, cr = (plane.astype(np.float64) * 255 / ((1 << depth) - 1) for plane in planes)
        cb, cr = cb - 127.5, cr - 127.5
        rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
        return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)

    patch.setattr(null, "ycbcr_to_rgb", bt601)


def truncation(patch: pytest.MonkeyPatch) -> None:
    def floored(image: Image, depth: int) -> NDArray[np.uint16]:
        from benchmark.images import luma_chroma

        peak = (1 << depth) - 1
        planes = luma_chroma(image) * (peak / 255.0)
        planes[1:] += peak / 2.0
        return np.clip(np.floor(planes), 0, peak).astype(np.uint16)

    patch.setattr(null, "rgb_to_ycbcr", floored)


def eight_bit_planes_for_ten(patch: pytest.MonkeyPatch) -> None:
    def coarse(image: Image, depth: int) -> NDArray[np.uint16]:
        eight = rgb_to_ycbcr(image, 8)
        return eight if depth == 8 else np.round(eight * (((1 << depth) - 1) / 255)).astype(np.uint16)

    patch.setattr(null, "rgb_to_ycbcr", coarse)


def _spoil_jpeg(patch: pytest.MonkeyPatch, spoil: Callable[[Image], Image]) -> None:
    right = pillow.JpegCodec.decode
    patch.setattr(pillow.JpegCodec, "decode", lambda self, stream: spoil(right(self, stream)))


def cropped_border(patch: pytest.MonkeyPatch) -> None:
    def lose_the_last_rows(image: Image) -> Image:
        return np.concatenate([image[:-4], np.repeat(image[-5:-4], 4, axis=0)])

    _spoil_jpeg(patch, lose_the_last_rows)


def decoder_noise(patch: pytest.MonkeyPatch) -> None:
    def one_grey_level(image: Image) -> Image:
        rng = np.random.default_rng(int(image.sum()))
        hit = rng.random(image.shape[:2]) < 0.05
        sign = rng.choice(np.array([-1, 1]), image.shape[:2])
        return np.clip(image.astype(np.int16) + (hit * sign)[:, :, None], 0, 255).astype(np.uint8)

    _spoil_jpeg(patch, one_grey_level)


def header_that_doubles(patch: pytest.MonkeyPatch) -> None:
    pack, unpack = bitstream.pack, bitstream.unpack

    def header_bytes(container: bitstream.CodedImage) -> int:
        return len(pack(container)) - len(container.hyper_stream) - len(container.latent_stream)

    def twice(container: bitstream.CodedImage) -> bytes:
        return pack(container)[: header_bytes(container)] + pack(container)

    def once(data: bytes) -> bitstream.CodedImage:
        start = data.index(bitstream.MAGIC, 1)
        return unpack(data[start:])

    patch.setattr(bitstream, "pack", twice)
    patch.setattr(bitstream, "unpack", once)


def shifted_pmf(patch: pytest.MonkeyPatch) -> None:
    right = Scalar.pmf_tables

    def shifted(self: Scalar, settings: QuantizerSettings) -> PmfTables:
        tables = right(self, settings)
        return replace(
            tables,
            probabilities=np.roll(tables.probabilities, 1, axis=1),
            escape=np.roll(tables.escape, 1, axis=1),
            radius=np.roll(tables.radius, 1),
        )

    patch.setattr(Scalar, "pmf_tables", shifted)


def one_failing_image(patch: pytest.MonkeyPatch) -> None:
    right = pillow.JpegCodec.encode

    def encode(self: pillow.JpegCodec, image: Image, point: float) -> bytes:
        if point == 50 and image.shape[:2] == CROP and int(image.sum()) % 5 == _unlucky():
            raise CodecError("the encoder crashed on this image")
        return right(self, image, point)

    patch.setattr(pillow.JpegCodec, "encode", encode)


def _unlucky() -> int:
    """Return the remainder that one of the images has: it is the astronaut that fails."""
    with PIL.Image.open(Path(skimage.__file__).parent / "data" / IMAGES[0]) as picture:
        left, top = (picture.size[0] - CROP[1]) // 2, (picture.size[1] - CROP[0]) // 2
        crop = picture.convert("RGB").crop((left, top, left + CROP[1], top + CROP[0]))
    return int(np.asarray(crop).sum()) % 5


FAULTS = (
    Fault("biased rounding (0.4 for 0.5)", "swept-scalar", biased_rounding),
    Fault("Delta 2 % off in the decoder", "swept-scalar", wrong_delta_in_the_decoder),
    Fault("trellis that ignores rate", "swept-tcq8", trellis_without_rate),
    Fault("lost parity in the decoder", "swept-tcq8", lost_parity),
    Fault("wrong colour matrix (BT.601)", "null", wrong_colour_matrix),
    Fault("truncation for rounding", "null", truncation),
    Fault("8-bit planes for 10", "null", eight_bit_planes_for_ten),
    Fault("cropped border (4 rows)", "jpeg", cropped_border),
    Fault("header that doubles", "swept-scalar", header_that_doubles),
    Fault("pmf table shifted by one scale", "swept-scalar", shifted_pmf),
    Fault("one image failing", "jpeg", one_failing_image),
    Fault("decoder noise, 1 level on 5 %", "jpeg", decoder_noise),
)
"""The twelve of the requirement."""

HARDER = (Fault("Delta 2 % off on both sides", "swept-scalar", wrong_delta_on_both_sides),)
"""Beyond the twelve: a consistent change that only moves along the curve."""
