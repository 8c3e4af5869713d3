"""The learned codecs: a variant (which weights) and a quantizer, at the lambdas with weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import devices
from benchmark.arrays import Image
from benchmark.codecs.base import Codec, located, note
from benchmark.errors import BitstreamError, CodecUnavailableError, PointError, UsageError, WeightsError
from benchmark.learned.coding import bitstream
from benchmark.learned.weights import (
    MANIFEST,
    available,
    entries_of,
    load_model,
    read_metadata,
    weights_folder,
    within,
)
from benchmark.operations import Operations

if TYPE_CHECKING:
    from benchmark.learned.model import CodingModel
    from benchmark.learned.quantizers.by_rate import CalibratedSettings

_WARM_UP_SIDE = 64
MOST_REFINEMENT = 100_000
_OF_ONE_MACHINE = (
    "; or another machine wrote it: this model's entropy networks have layers without exact arithmetic"
)


class LearnedCodec(Codec):
    """One variant's networks with one quantizer.

    `weights` is the folder to load from; by default BENCH_WEIGHTS_DIR, else what the package ships. Models
    are loaded once a process. `refine` is the number of steps in which the encoder refines the latents of
    each image (see `learned.refine`): the decoder is the same, encoding takes as long as as many steps of
    training on the image. Analysis and synthesis run on `device`, all else on the processor: the latents that
    a stream decodes to are the same on every device, the last bit of a pixel may not be.
    """

    def __init__(
        self,
        name: str,
        variant: str,
        quantizer: str,
        weights: str | Path | None = None,
        refine: int = 0,
        *,
        device: str = devices.CPU,
    ) -> None:
        if not (isinstance(refine, int) and 0 <= refine <= MOST_REFINEMENT):
            raise UsageError(f"{name}: refine = {refine!r}; give a number of steps, 0 to {MOST_REFINEMENT}")
        self.name = name
        self._refine = refine
        self._device = device
        self._variant = variant
        self._quantizer = quantizer
        self._weights = located(str(weights)) if weights is not None else None

    @property
    def _folder(self) -> Path:
        return self._weights or weights_folder()

    def version(self) -> str:
        """Return the format's version, and of each model identity and calibrated settings of the quantizer.

        New weights or settings are a new version, so that no row of the old ones is taken for theirs; so is
        another device.
        """
        return self._version_of(self._entries())

    def version_at(self, point: float) -> str:
        """Return the version with the model of `point` alone."""
        self.check_point(point)
        return self._version_of([entry for entry in self._entries() if entry.serves(point)])

    def _version_of(self, entries: Sequence[_Entry]) -> str:
        models = " ".join(
            f"{entry.rates}:{entry.model_id.hex()}{entry.settings_of(self._quantizer)}" for entry in entries
        )
        refined = f", refined in {self._refine} steps" if self._refine else ""
        if reason := devices.fault(self._device):
            raise CodecUnavailableError(
                f'{self.name}: device {self._device!r} cannot be used: {reason}; give device = "cpu"'
            )
        made = refined + devices.on_device(self._device)
        return f"format {entries[0].format}, {self._quantizer}{made}, models {models}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a lambda with weights, CodecUnavailableError if none has any."""
        entries = self._entries()
        if not any(entry.serves(point) for entry in entries):
            known = ", ".join(entry.rates for entry in entries)
            raise PointError(f"{self.name} has no weights for lmbda {point:g}; it has: {known}")

    def prepare(self, point: float) -> None:
        """Load the weights of `point`, and compile and warm up by coding a small image."""
        import numpy as np

        self.check_point(point)
        image = np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        self.decode(self._encode(image, point, min(1, self._refine)))

    def operations(self, point: float) -> Operations:
        """Return the multiply-accumulates of the networks at `point`, without those of refining."""
        self.check_point(point)
        return self._load(point)[0].operations()

    def encode(self, image: Image, point: float) -> bytes:
        """Return the bitstream; notes `entropy_bits`, the information content of its two streams."""
        return self._encode(image, point, self._refine)

    def _encode(self, image: Image, point: float, refine: int) -> bytes:
        self.check_point(point)
        from benchmark.learned.quantizers import get_quantizer
        from benchmark.learned.refine import Refinement

        model, calibrated = self._load(point)
        known = calibrated.get(self._quantizer)
        settings = known.at(point) if known else get_quantizer(self._quantizer).default_settings()
        refinement = Refinement(refine, point) if refine else None
        encoded = model.encode(image, self._quantizer, settings, refinement)
        note(entropy_bits=encoded.entropy_bits)
        if not model.portable:
            note(portable=False)
        return bitstream.pack(encoded.container)

    def decode(self, bitstream_: bytes) -> Image:
        """Return the image; BitstreamError for damage, or for a stream of another codec or model."""
        container = bitstream.unpack(bitstream_)
        header = container.header
        if header.quantizer != self._quantizer:
            raise BitstreamError(
                f"the stream was written with {header.quantizer}; {self.name} reads {self._quantizer}"
            )
        entries = {entry.model_id: entry for entry in self._entries()}
        if header.model_id not in entries:
            known = ", ".join(f"{entry.model_id.hex()} (lmbda {entry.rates})" for entry in entries.values())
            raise BitstreamError(
                f"the stream was written by model {header.model_id.hex()}; "
                f"variant {self._variant} has {known}"
            )
        entry = entries[header.model_id]
        if (header.lmbda is None) != (entry.lmbda_range is None):
            raise BitstreamError("the stream says its lmbda where its model has one rate, or the reverse")
        lmbda = entry.lmbda if header.lmbda is None else header.lmbda
        if not entry.serves(lmbda):
            raise BitstreamError(f"the stream is of lmbda {lmbda:g}; its model serves {entry.rates}")
        model, _ = self._load(lmbda)
        try:
            return model.decode(container)
        except BitstreamError as error:
            raise error if model.portable else BitstreamError(f"{error}{_OF_ONE_MACHINE}") from error

    def highest(self) -> CodingModel:
        """Return the model of the highest rate."""
        entry = self._entries()[-1]
        lmbda = entry.lmbda if entry.lmbda_range is None else entry.lmbda_range[1]
        return self._load(lmbda)[0]

    def _load(self, lmbda: float) -> tuple[CodingModel, Mapping[str, CalibratedSettings]]:
        entry = next(entry for entry in self._entries() if entry.serves(lmbda))
        return _load(self._variant, lmbda, self._folder, entry, self._device)

    def _points(self) -> tuple[float, ...]:
        points = available(self._variant, self._folder)
        if not points:
            raise CodecUnavailableError(
                f"{self.name}: no weights for variant {self._variant!r} in {self._folder}; train them "
                f"(bench train) or name a folder that has them in BENCH_WEIGHTS_DIR"
            )
        return points

    def _entries(self) -> tuple[_Entry, ...]:
        """Return what identifies each model of the variant, lambda rising."""
        self._points()
        return _entries(self._variant, self._folder, (self._folder / MANIFEST).stat().st_mtime_ns)


@dataclass(frozen=True)
class _Entry:
    """One model of a variant: its id in streams, and its calibrated settings as JSON."""

    lmbda: float
    model_id: bytes
    settings: str
    lmbda_range: tuple[float, float] | None

    @property
    def rates(self) -> str:
        """The lambdas that it serves, in words."""
        return f"{self.lmbda:g}" if self.lmbda_range is None else "{:g} to {:g}".format(*self.lmbda_range)

    @property
    def format(self) -> int:
        """The version of its streams."""
        return bitstream.VERSION if self.lmbda_range is None else bitstream.VARIABLE_RATE_VERSION

    def serves(self, lmbda: float) -> bool:
        """Tell whether the model is for this lambda, or for the float32 value nearest to one that it is."""
        return self.lmbda == lmbda if self.lmbda_range is None else within(self.lmbda_range, lmbda)

    def settings_of(self, quantizer: str) -> str:
        """Return "(delta, trellis lambda)" of each calibrated rate, or nothing."""
        from benchmark.learned.quantizers.by_rate import CalibratedSettings

        found = json.loads(self.settings).get(quantizer)
        return str(CalibratedSettings.from_json(found, self.lmbda)) if found else ""


@lru_cache(maxsize=32)
def _entries(variant: str, folder: Path, manifest_changed: int) -> tuple[_Entry, ...]:
    """Return the variant's models from the files' metadata; `manifest_changed` only renews the cache."""
    found = []
    for entry in entries_of(variant, folder):
        path = folder / entry["file"]
        metadata = read_metadata(path)
        try:
            model_id = bytes.fromhex(metadata["sha256"])[: bitstream.MODEL_ID_BYTES]
            settings = json.dumps(metadata["settings"], sort_keys=True)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{path} is damaged: its metadata lacks or garbles {error}") from error
        span = tuple(entry["lmbda_range"]) if "lmbda_range" in entry else None
        found.append(_Entry(float(entry["lmbda"]), model_id, settings, span))
    return tuple(found)


@lru_cache(maxsize=8)
def _load(
    variant: str, lmbda: float, folder: Path, entry: _Entry, device: str
) -> tuple[CodingModel, Mapping[str, CalibratedSettings]]:
    """Return the model, ready for coding, and its calibrated settings by quantizer.

    `entry` is part of the key, so that weights and settings replaced on disk are loaded anew.
    """
    from benchmark.learned.model import CodingModel

    network, info = load_model(variant, lmbda, folder)
    return CodingModel(network, info.sha256, device), info.settings
