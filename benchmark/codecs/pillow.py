"""JPEG, WebP, JPEG 2000 and AVIF, in process, through Pillow's bindings to their usual libraries."""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np
import PIL.features
import PIL.Image
from PIL import AvifImagePlugin

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, CodecEntry, check_number
from benchmark.errors import BitstreamError, CodecError, CodecUnavailableError, ImageError, UsageError
from benchmark.images import check_image, open_checked, pixel_limit

_QUALITIES = tuple(range(5, 100, 5))
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
_TUNES = ("psnr", "ssim", "iq")
_Choice = TypeVar("_Choice", str, int)


class PillowCodec(Codec):
    """What the four have in common: Pillow saves to memory and reads from it.

    The version names the library, Pillow, and every setting that shapes the stream, so that results made
    with other settings are never taken for these.
    """

    format: ClassVar[str]
    feature: ClassVar[str]
    """The name by which PIL.features knows whether the format is there."""
    library: ClassVar[str]
    """The name by which PIL.features knows the library's version."""
    end_marker: ClassVar[bytes] = b""
    """The bytes that end a whole stream, for a decoder that would accept a cut one."""
    settings: str

    def version(self) -> str:
        """Return library, Pillow and settings. Raises CodecUnavailableError if Pillow lacks the format."""
        if not PIL.features.check(self.feature):
            raise CodecUnavailableError(
                f"{self.name}: this Pillow {PIL.__version__} was built without {self.format}; "
                "install the wheel from PyPI: python3 -m pip install --force-reinstall 'pillow>=11.3'"
            )
        library = PIL.features.version(self.library) or "of unknown version"
        return f"{self.library} {library}, Pillow {PIL.__version__}, {self.settings}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a quality of this format."""
        check_number(self.name, "quality", point, 0, 100)

    @abstractmethod
    def save_options(self, point: float) -> dict[str, Any]:
        """Return the keyword arguments with which Pillow saves at this point."""

    def encode(self, image: Image, point: float) -> bytes:
        """Return the file that Pillow writes. Raises CodecError if the library refuses the image."""
        self.check_point(point)
        check_image(image)
        stream = io.BytesIO()
        try:
            PIL.Image.fromarray(image).save(stream, format=self.format, **self.save_options(point))
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            height, width = image.shape[:2]
            self.version()
            raise CodecError(f"{self.name}: cannot encode {width}x{height} at {point:g}: {error}") from error
        return stream.getvalue()

    def decode(self, bitstream: bytes) -> Image:
        """Return the image of the file. Raises BitstreamError if it is cut, foreign or too large."""
        self.version()
        if not bitstream.endswith(self.end_marker):
            raise BitstreamError(f"{self.name}: the stream is cut: its end marker is missing")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # what Pillow only warns of is damage
                with open_checked(bitstream, [self.format], pixel_limit()) as file:
                    if file.mode != "RGB":
                        raise BitstreamError(f"{self.name}: the stream holds {file.mode}, not RGB")
                    return np.array(file, dtype=np.uint8)
        except (BitstreamError, ImageError) as error:
            raise BitstreamError(str(error)) from error
        except Exception as error:  # a stranger's bytes make Pillow raise anything: OSError, SyntaxError, ...
            raise BitstreamError(f"{self.name}: no valid stream ({type(error).__name__}: {error})") from error


class JpegCodec(PillowCodec):
    """Baseline JPEG by libjpeg-turbo: the standard tables scaled by quality, Huffman tables not optimized.

    With 4:2:0, Pillow's default, this is what CompressAI's bench runs. Its published figures come from an
    older Pillow with IJG's libjpeg 9, whose decoder enlarges chroma in the DCT domain: same streams to 0.3 %,
    0.00 to 0.13 dB lower PSNR.
    """

    format, feature, library, end_marker = "JPEG", "jpg", "libjpeg_turbo", b"\xff\xd9"

    def __init__(self, name: str, subsampling: str = "4:2:0", optimize: bool = False) -> None:
        self.name = name
        self.subsampling = _one_of("subsampling", subsampling, _SUBSAMPLINGS)
        self.optimize = optimize
        self.settings = subsampling + (", optimized Huffman tables" if optimize else "")

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a quality of libjpeg, 1 to 100."""
        check_number(self.name, "quality", point, 1, 100)

    def save_options(self, point: float) -> dict[str, Any]:
        """Return quality, chroma subsampling and whether Huffman tables are made to measure."""
        return {"quality": int(point), "subsampling": self.subsampling, "optimize": self.optimize}


JPEG = CodecEntry(f"{__name__}:JpegCodec", "JPEG by Pillow (libjpeg-turbo)", "quality", _QUALITIES)


class WebpCodec(PillowCodec):
    """Lossy WebP by libwebp, always 4:2:0; `method` 0 (fast) to 6 (thorough), 4 the library's default."""

    format, feature, library = "WEBP", "webp", "webp"

    def __init__(self, name: str, method: int = 4) -> None:
        self.name = name
        self.method = _one_of("method", method, range(7))
        self.settings = f"method {method}"

    def save_options(self, point: float) -> dict[str, Any]:
        """Return quality and method."""
        return {"quality": int(point), "method": self.method}


WEBP = CodecEntry(f"{__name__}:WebpCodec", "WebP by Pillow (libwebp)", "quality", _QUALITIES)


class Jpeg2000Codec(PillowCodec):
    """JPEG 2000 by OpenJPEG: 9/7 wavelet, irreversible colour transform, one layer at a compression ratio.

    Pillow leaves the colour transform (Rec. ITU-T T.800, annex G.3) out unless it is told `mct=1`, though
    OpenJPEG's own program applies it to every RGB image; without it three planes are coded apart, which
    costs 3.1 dB on Kodak at ratio 50.
    """

    format, feature, library, end_marker = "JPEG2000", "jpg_2000", "jpg_2000", b"\xff\xd9"

    def __init__(self, name: str) -> None:
        self.name = name
        self.settings = "9/7 wavelet, irreversible colour transform"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a compression ratio of at least 1."""
        check_number(self.name, "compression ratio", point, 1, 10_000, whole=False)

    def save_options(self, point: float) -> dict[str, Any]:
        """Return the transforms and the target rate of the one layer."""
        return {"irreversible": True, "mct": 1, "quality_mode": "rates", "quality_layers": [point]}


JPEG2000 = CodecEntry(
    f"{__name__}:Jpeg2000Codec",
    "JPEG 2000 by Pillow (OpenJPEG)",
    "compression ratio",
    (200, 150, 100, 75, 50, 35, 25, 15, 10, 8, 6),
)


class AvifCodec(PillowCodec):
    """AVIF by libavif, on one thread so that times compare and streams do not depend on the machine.

    4:4:4 because images are scored as RGB (as BPG and VTM are run in this field); `speed` 0 (thorough) to
    10, 6 being libavif's default. `tune` is what libaom optimizes and follows the metric that is reported:
    "psnr", or "iq" (image quality as people see it), which today's libavif takes for still images unless
    told, or "ssim", which older ones took.
    """

    format, feature, library = "AVIF", "avif", "avif"

    def __init__(self, name: str, subsampling: str = "4:4:4", speed: int = 6, tune: str = "psnr") -> None:
        self.name = name
        self.subsampling = _one_of("subsampling", subsampling, _SUBSAMPLINGS)
        self.speed = _one_of("speed", speed, range(11))
        self.tune = _one_of("tune", tune, _TUNES)
        aom = AvifImagePlugin.get_codec_version("aom") if AvifImagePlugin.SUPPORTED else None
        self.settings = f"aom {aom}, {subsampling}, speed {speed}, tune {tune}"

    def save_options(self, point: float) -> dict[str, Any]:
        """Return quality, subsampling, speed, what is optimized, and one thread."""
        return {
            "quality": int(point),
            "subsampling": self.subsampling,
            "speed": self.speed,
            "codec": "aom",
            "advanced": {"tune": self.tune},
            "max_threads": 1,
        }

    def decode(self, bitstream: bytes) -> Image:
        """Return the image of the file, decoded on one thread."""
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # Pillow takes it from here alone
        return super().decode(bitstream)


AVIF = CodecEntry(f"{__name__}:AvifCodec", "AVIF by Pillow (libavif), tuned for PSNR", "quality", _QUALITIES)

AVIF_IQ = CodecEntry(
    f"{__name__}:AvifCodec",
    "AVIF by Pillow (libavif), tuned for the eye: for perceptual metrics",
    "quality",
    _QUALITIES,
    options={"tune": "iq"},
)


def _one_of(what: str, value: _Choice, choices: Iterable[_Choice]) -> _Choice:
    """Return `value` if it is among `choices`, else raise UsageError."""
    known = list(choices)
    if value not in known:
        raise UsageError(f"{what} {value!r} does not exist; known: {', '.join(map(str, known))}")
    return value
