"""The learned codecs of the registry: an arm (which weights) and a quantizer, at the lambdas with weights."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.codecs.base import Codec, Image, note
from benchmark.errors import BitstreamError, CodecUnavailableError, PointError, WeightsError
from benchmark.learned import bitstream
from benchmark.learned.weights import available, load_model, read_manifest, weights_folder

if TYPE_CHECKING:
    from benchmark.learned.model import CodingModel
    from benchmark.learned.quantizers import QuantizerSettings

_WARM_UP_SIDE = 64


class LearnedCodec(Codec):
    """One arm's networks with one quantizer.

    `weights` is the folder to load from; by default BENCH_WEIGHTS_DIR, else what the package ships. Models
    are loaded once a process.
    """

    def __init__(self, name: str, arm: str, quantizer: str, weights: str | Path | None = None) -> None:
        self.name = name
        self._arm = arm
        self._quantizer = quantizer
        self._weights = Path(weights) if weights is not None else None

    @property
    def _folder(self) -> Path:
        return self._weights or weights_folder()

    def version(self) -> str:
        """Return the format's version and the identities of the arm's models: new weights, new results."""
        identities = self._identities()
        models = " ".join(f"{lmbda:g}:{model_id.hex()}" for model_id, lmbda in identities.items())
        return f"format {bitstream.VERSION}, {self._quantizer}, models {models}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a lambda with weights, CodecUnavailableError if none has any."""
        points = self._points()
        if point not in points:
            known = ", ".join(f"{lmbda:g}" for lmbda in points)
            raise PointError(f"{self.name} has no weights for lmbda {point:g}; it has: {known}")

    def prepare(self, point: float) -> None:
        """Load the weights of `point`, and compile and warm up by coding a small image."""
        import numpy as np

        self.check_point(point)
        self.decode(self.encode(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8), point))

    def encode(self, image: Image, point: float) -> bytes:
        """Return the bitstream; notes `entropy_bits`, the information content of its two streams."""
        self.check_point(point)
        model, settings = self._load(point)
        encoded = model.encode(image, self._quantizer, settings[self._quantizer])
        note(entropy_bits=encoded.entropy_bits)
        return bitstream.pack(encoded.container)

    def decode(self, bitstream_: bytes) -> Image:
        """Return the image; BitstreamError for damage, or for a stream of another codec or model."""
        container = bitstream.unpack(bitstream_)
        header = container.header
        if header.quantizer != self._quantizer:
            raise BitstreamError(
                f"the stream was written with {header.quantizer}; {self.name} reads {self._quantizer}"
            )
        identities = self._identities()
        if header.model_id not in identities:
            known = ", ".join(f"{model_id.hex()} (lmbda {lmbda:g})" for model_id, lmbda in identities.items())
            raise BitstreamError(
                f"the stream was written by model {header.model_id.hex()}; arm {self._arm} has {known}"
            )
        model, _ = self._load(identities[header.model_id])
        return model.decode(container)

    def _load(self, lmbda: float) -> tuple[CodingModel, dict[str, QuantizerSettings]]:
        (model_id,) = (model_id for model_id, known in self._identities().items() if known == lmbda)
        return _load(self._arm, lmbda, self._folder, model_id)

    def _points(self) -> tuple[float, ...]:
        points = available(self._arm, self._folder)
        if not points:
            raise CodecUnavailableError(
                f"{self.name}: no weights for arm {self._arm!r} in {self._folder}; train them (bench train) "
                f"or name a folder that has them in BENCH_WEIGHTS_DIR"
            )
        return points

    def _identities(self) -> dict[bytes, float]:
        """Return the lambda of each model id that streams of this codec may carry."""
        self._points()
        return _identities(self._arm, self._folder, (self._folder / "manifest.json").stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _identities(arm: str, folder: Path, manifest_changed: int) -> dict[bytes, float]:
    """Return {model id: lambda} from the files' metadata alone; `manifest_changed` only renews the cache."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for entry in sorted(read_manifest(folder), key=lambda entry: float(entry["lmbda"])):
        if entry["arm"] != arm:
            continue
        path = folder / entry["file"]
        try:
            with safe_open(path, framework="numpy") as file:
                identity = json.loads(file.metadata()["bench"])["sha256"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{path} is missing or damaged: {error}") from error
        found[bytes.fromhex(identity)[: bitstream.MODEL_ID_BYTES]] = float(entry["lmbda"])
    return found


@lru_cache(maxsize=8)
def _load(
    arm: str, lmbda: float, folder: Path, model_id: bytes
) -> tuple[CodingModel, dict[str, QuantizerSettings]]:
    """Return the model, ready for coding, and its settings by quantizer: calibrated ones, else defaults.

    `model_id` is part of the key, so that weights replaced on disk are loaded anew.
    """
    from benchmark.learned.model import CodingModel
    from benchmark.learned.quantizers import NAMES, get_quantizer

    network, info = load_model(arm, lmbda, folder)
    defaults = {name: get_quantizer(name).default_settings() for name in NAMES}
    return CodingModel(network, info.sha256), {**defaults, **info.settings}
