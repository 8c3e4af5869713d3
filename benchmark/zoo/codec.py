"""The codec `compressai`: CompressAI's image models, or a class with their interface, from checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.codecs.base import CodecEntry, located
from benchmark.codecs.programs import file_sha256
from benchmark.devices import on_device
from benchmark.errors import (
    BitstreamError,
    CodecUnavailableError,
    NeedsOptionsError,
    PointError,
    UsageError,
    WeightsError,
)
from benchmark.registry import load_target, target_sha256
from benchmark.zoo.model_codec import RATES, ModelCodec

if TYPE_CHECKING:
    from benchmark.zoo.model import Model

_EVERY_POINT = "*"
"""Stands for all points of a variable-rate model, which is one file."""

COMPRESSAI = CodecEntry(
    f"{__name__}:CompressAICodec",
    "image models of CompressAI, and any with their interface, from checkpoints (options: arch, checkpoints)",
    "quality",
    (),
    code_options=("factory",),
    point_options=("checkpoints",),
)


@dataclass(frozen=True)
class _How:
    """What makes a model of tensors."""

    arch: str
    factory: str
    folder: Path
    """From which the factory's file is seen."""
    device: str
    threads: int


class CompressAICodec(ModelCodec):
    """Models of CompressAI from checkpoints, one for each point.

    `arch` is CompressAI's name of an architecture, and `checkpoints` maps points to files (see
    `checkpoint.read_state`); a variable-rate architecture takes one file for all its points, 0 to 7, as "*".
    Instead of `arch`, `factory` names a function, "module:function" or "file.py:function", which is called
    with the tensors and returns the model: a class's `from_state_dict`, for instance. Instead of
    `checkpoints`, `metric` ("mse" or "ms-ssim") asks for CompressAI's published weights, whose qualities are
    the points. The model runs on `device` with so many `threads`: both can change the last bit of a latent,
    and a decoder with others then refuses the stream.
    """

    def __init__(
        self,
        name: str,
        *,
        arch: str = "",
        checkpoints: Mapping[str, str] | None = None,
        metric: str = "",
        factory: str = "",
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        super().__init__(name, device, threads)
        self._how = _How(arch, factory, located("."), device, threads)
        if (arch and factory) or (checkpoints and metric) or (metric and factory):
            raise UsageError(
                f"{name}: give arch or factory, and checkpoints or metric; metric goes with arch"
            )
        self._arch = arch
        self._factory = factory
        self._metric = metric
        files = _checked_files(name, checkpoints or {})
        self._files = {} if _EVERY_POINT in files else {float(point): file for point, file in files.items()}
        self._file_of_all = files.get(_EVERY_POINT)
        self.points = tuple(sorted(self._known)) if files or metric else ()

    @property
    def several_points(self) -> bool:
        """Whether several points have one file."""
        found = self._published if self._metric else self._known
        return len(set(found.values())) < len(found)

    def version(self) -> str:
        """Return CompressAI's version, the architecture, and of each point which weights it has."""
        points = sorted(self._known)
        self.check_machine()
        return f"{self._common}, models {' '.join(self._identity(point) for point in points)}"

    def version_at(self, point: float) -> str:
        """Return the version with the weights of `point` alone, which are fetched if need be."""
        self.check_point(point)
        self.check_machine()
        self._file(point)
        return f"{self._common}, models {self._identity(point)}"

    def check_point(self, point: float) -> None:
        """Raise PointError unless there are weights for `point`."""
        between = self._file_of_all is not None and 0 <= point < RATES - 1
        if point in self._known or between:
            return
        known = ", ".join(f"{known:g}" for known in sorted(self._known))
        raise PointError(f"{self.name} has no weights for point {point:g}; it has: {known}")

    def model_id(self, point: float) -> bytes:
        """Return the sha256 of the checkpoint's file, or what the name of a published one says of it."""
        if self._metric:
            from benchmark.zoo.published import sha256_in

            return bytes.fromhex(sha256_in(self._published[point]))
        return bytes.fromhex(file_sha256(self._file(point)))

    def load(self, point: float) -> Model:
        """Return the model at `point`, loaded once a process."""
        file = self._file(point)
        try:
            return _load(self._how, file, file_sha256(file), point)
        except WeightsError as error:
            raise WeightsError(f"{self.name}: {file.name}: {error}") from error

    def point_of(self, model_id: bytes, stored: float | None) -> float:
        """Return the stored point, or the one whose checkpoint has the id."""
        points = sorted(self._known) if stored is None else [stored]
        for point in points:
            if self._has(point) and self.model_id(point).startswith(model_id):
                return point
        raise BitstreamError(
            f"{self.name}: the stream was written by model {model_id.hex()}; here are {self.version()}"
        )

    def _has(self, point: float) -> bool:
        try:
            self.check_point(point)
        except PointError:
            return False
        return True

    @cached_property
    def _known(self) -> Mapping[float, Path | None]:
        """The default points, each with its file; None where CompressAI publishes it."""
        if not (self._arch or self._factory) or not (self._files or self._metric or self._file_of_all):
            raise NeedsOptionsError(
                f"{self.name} needs the options arch and checkpoints: --option arch=mbt2018-mean "
                f'--option checkpoints.3=q3.pth.tar, in a suite options = {{ arch = "mbt2018-mean", '
                f'checkpoints = {{ 3 = "q3.pth.tar" }} }}; the point is then 3'
            )
        if self._file_of_all is not None:
            return {float(rate): self._file_of_all for rate in range(RATES)}
        return self._files or dict.fromkeys(self._published)

    @cached_property
    def _published(self) -> Mapping[float, str]:
        from benchmark.zoo.published import addresses

        return addresses(self._arch, self._metric)

    def _file(self, point: float) -> Path:
        """Return the checkpoint of `point`, fetched if CompressAI publishes it. Raises WeightsError."""
        if self._metric:
            from benchmark.zoo.published import fetched

            return fetched(self._published[point])
        file = self._file_of_all or self._files[point]
        if not file.is_file():
            raise WeightsError(f"{self.name}: no checkpoint {file} for point {point:g}")
        return file

    @property
    def _common(self) -> str:
        made_by = self._arch or f"{self._factory} {target_sha256(self._factory, self._how.folder)[:8]}"
        try:
            made_on = on_device(self._device)
            return f"compressai {installed('compressai')}, {made_by}, format 1{made_on}"
        except PackageNotFoundError as error:
            raise CodecUnavailableError(f"{self.name}: pip install compressai") from error

    def _identity(self, point: float) -> str:
        return f"{point:g}:{self.model_id(point).hex()[:8]}"


def _checked_files(name: str, checkpoints: object) -> dict[str, Path]:
    """Return the files by point. Raises UsageError unless points are numbers, or one is every point."""
    if not isinstance(checkpoints, Mapping):
        raise UsageError(f"{name}: checkpoints = {checkpoints!r}; give a table of points to files")
    if _EVERY_POINT in checkpoints and len(checkpoints) > 1:
        raise UsageError(f'{name}: checkpoints "*" stands for all points; give no others')
    for point in checkpoints:
        try:
            usable = point == _EVERY_POINT or math.isfinite(float(point))
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f'{name}: checkpoints {point!r} is no point; give a number, or "*" for all')
    return {str(point): located(str(file)) for point, file in checkpoints.items()}


@lru_cache(maxsize=8)
def _load(how: _How, file: Path, sha256: str, point: float) -> Model:
    """Return the model of a checkpoint; `sha256` is in the key, so that a changed file is loaded anew."""
    from benchmark.torchvision_stub import make_compressai_importable

    make_compressai_importable()
    from benchmark.zoo.architectures import build
    from benchmark.zoo.checkpoint import read_state
    from benchmark.zoo.model import ready

    state = read_state(file)
    factory = load_target(how.factory, how.folder) if how.factory else partial(build, how.arch)
    return ready(factory(state), how.device, how.threads, point)  # type: ignore[operator]
