"""Suites: a TOML file becomes a plan, a list of tasks; no work is done while planning."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.codecs import CodecEntry, codec_entry, make_codec, takes_option
from benchmark.data.dataset import FOLDER_PREFIX, Dataset
from benchmark.data.manifests import DATASETS, suites_folder
from benchmark.errors import SuiteError, UsageError, did_you_mean
from benchmark.files import read_text
from benchmark.registry import names_file
from benchmark.results.plan import Plan
from benchmark.runs.tasks import RATE, Task

if TYPE_CHECKING:
    from pydantic import ValidationError

_STRICT = {"extra": "forbid", "strict": True}
MOST_PIXELS_WIDE = 2**31 - 1
"""More than any image has."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Command:
    """A codec that is two command lines (see `benchmark.codecs.command`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    encode: tuple[str, ...]
    decode: tuple[str, ...]
    point: str = "point"
    """What an operating point is called."""
    version: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodecSpec:
    """One [[codec]] table of a suite: a codec under a label of its own, with its points and options."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    name: str
    """The label; the registry name too unless `codec` gives another."""
    codec: str = ""
    points: tuple[float, ...] | None = None
    """The operating points; the registry's where the suite gives none."""
    options: dict[str, Any] = field(default_factory=dict)
    command: Command | None = None
    """Instead of `codec`: what encodes and decodes, as command lines."""
    title: str = ""
    """What figures call it; the label where this is empty."""

    @property
    def codec_id(self) -> str:
        """The registry name, or "file.py:Class"."""
        return self.codec or ("command" if self.command else self.name)

    @property
    def family(self) -> str:
        """Of whose codecs points are the same, where the registry does not say it."""
        return self.name if self.command else self.codec_id

    def entry(self, folder: Path) -> CodecEntry:
        """Return what is known of the codec; raises as `codec_entry`."""
        entry = codec_entry(self.codec_id, folder)
        return replace(entry, point_name=self.command.point) if self.command else entry

    @property
    def all_options(self) -> dict[str, Any]:
        """The options with the command's."""
        return {**self.options, **(asdict(self.command) if self.command else {})}

    def options_json(self, among: Collection[str], wanted: bool) -> str:
        """Return the options that are, or are not, among some as a JSON object, keys sorted."""
        some = {name: value for name, value in self.all_options.items() if (name in among) == wanted}
        return json.dumps(some, sort_keys=True)


@dataclass(frozen=True)
class Suite:
    """What to measure: codecs at their points, on the images of one dataset, with some metrics."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    name: str
    dataset: str
    """As the file writes it, which is its name in results too; in folder:PATH, PATH is seen from the file."""
    metrics: tuple[str, ...]
    codec: tuple[CodecSpec, ...]
    """The first one is the anchor of tables."""
    summary: str = ""
    crop: int | None = None
    """Code the centre of each image alone, at most this many pixels wide and high: for suites that must be
    quick. Recorded in the protocol of each row, so that such results are never mixed with others."""
    bpp: tuple[float, ...] = ()
    """Rates instead of operating points: on each image the point whose rate is nearest to each of these is
    searched, from the codec's `points` on. The points of the rows are these rates."""
    headline: tuple[str, ...] = ()
    """Metrics whose mean BD-rate reports quote beside each one's."""

    def only(self, labels: Sequence[str]) -> Suite:
        """Return the suite with these codecs alone; with all without labels.

        Raises UsageError, with near names, for a label that the suite does not have.
        """
        known = [spec.name for spec in self.codec]
        for label in labels:
            if label not in known:
                raise UsageError(
                    f"--codec {label!r} is not in the suite {self.name}; {did_you_mean(label, known)}"
                )
        return replace(self, codec=tuple(s for s in self.codec if not labels or s.name in labels))

    def on_device(self, device: str, folder: Path = Path()) -> Suite:
        """Return the suite with its codecs that have networks on a device: an option of theirs, as of any."""
        return replace(
            self,
            codec=tuple(
                replace(spec, options={**spec.options, "device": device})
                if takes_option(spec.codec_id, "device", folder)
                else spec
                for spec in self.codec
            ),
        )

    def tasks(self, dataset: Dataset, folder: Path = Path()) -> list[Task]:
        """Return every evaluation of the suite, codec by codec and, within a codec, image by image.

        `folder` is where the suite's file is.
        """
        shared = Task(
            self.name, dataset.name, len(dataset.images), dataset.size, "", "", "", 0.0, "", "", Path()
        )
        return [
            replace(
                shared,
                codec=spec.name,
                codec_id=spec.codec_id,
                codec_options=spec.options_json(entry.point_options, wanted=False),
                point_options=spec.options_json(entry.point_options, wanted=True),
                codec_family=entry.family or spec.family,
                point=float(point),
                point_name=RATE if self.bpp else entry.point_name,
                search=(spec.points or ()) if self.bpp else (),
                image=image.name,
                image_path=image.path,
                image_sha256=image.sha256,
                metrics=self.metrics,
                crop=self.crop,
                folder=folder,
            )
            for spec in self.codec
            for entry in [spec.entry(folder)]
            for image in dataset.images
            for point in self.points_of(spec)
        ]

    def points_of(self, spec: CodecSpec) -> tuple[float, ...]:
        """Return the points of a codec's rows."""
        return self.bpp or spec.points or ()

    def plan(self, dataset: Dataset) -> Plan:
        """Return which rows the suite asks for, to be kept beside the results."""
        return Plan(
            dataset=dataset.name,
            points={spec.name: self.points_of(spec) for spec in self.codec},
            images=None if dataset.partial else tuple(image.name for image in dataset.images),
            folder=dataset.images[0].path.parent if self.dataset.startswith(FOLDER_PREFIX) else None,
            titles={spec.name: spec.title for spec in self.codec if spec.title},
            headline=self.headline,
        )


def builtin_suites() -> dict[str, Path]:
    """Return the built-in suites' files by name."""
    return {path.stem: path for path in sorted(suites_folder().glob("*.toml"))}


def load_suite(name_or_path: str, *, code: bool = True) -> Suite:
    """Return the built-in suite of that name, or the one in the TOML file at that path.

    Without `code`, a suite that names code to run is refused, and none of it is loaded.
    Raises SuiteError, naming file and field, for everything that is wrong in the file.
    """
    path = suite_file(name_or_path)
    known = builtin_suites()
    if name_or_path not in known and not path.is_file():
        if path.suffix == ".toml" or "/" in name_or_path:
            raise SuiteError(f"{name_or_path}: no such suite file")
        raise SuiteError(f"unknown suite {name_or_path!r}; {did_you_mean(name_or_path, known)}")
    return parse_suite(path, code=code)


def suite_file(name_or_path: str) -> Path:
    """Return the file of the built-in suite of that name, else the path given, whether it exists or not."""
    return builtin_suites().get(name_or_path, Path(name_or_path))


def parse_toml(path: Path) -> dict[str, Any]:
    """Return the tables of the suite file at `path`, not checked. Raises SuiteError, naming the file."""
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a number with thousands of digits is one too
        raise SuiteError(f"{path}: is no TOML: {error}") from error
    except RecursionError as error:
        raise SuiteError(f"{path}: is nested too deeply") from error


def parse_suite(path: Path, *, code: bool = True) -> Suite:
    """Read and check the suite file at `path`; see `load_suite`. Raises SuiteError, naming file and field."""
    suite = read_suite(path)
    try:
        if not code:
            _refuse_code(suite)
        return _checked(suite, path)
    except UsageError as error:
        raise SuiteError(f"{path}: {error}") from error


def read_suite(path: Path) -> Suite:
    """Read the suite file at `path` as it is written: no codec is looked for, and no code of it is loaded.

    Raises SuiteError, naming file and field.
    """
    data = parse_toml(path)
    import pydantic  # here, because planning alone needs it and workers start faster without

    try:
        # Through JSON, because there alone strict checking takes an array for a tuple.
        suite = pydantic.TypeAdapter(Suite).validate_json(json.dumps(data, default=str))
    except pydantic.ValidationError as error:
        raise SuiteError(f"{path}: " + "; ".join(_explain(error, data))) from error
    except RecursionError as error:
        raise SuiteError(f"{path}: is nested too deeply") from error
    if not _NAME.fullmatch(suite.name):
        raise SuiteError(
            f"{path}: name {suite.name!r}: must be at most 100 letters, digits, '.', '_' or '-', as it names "
            "a folder"
        )
    return suite


def _refuse_code(suite: Suite) -> None:
    """Raise UsageError, naming codec and field, if the suite names code that is not installed here."""
    for number, spec in enumerate(suite.codec, 1):
        where = f"codec[{number}] ({spec.name!r})"
        if names_file(spec.codec_id):
            raise UsageError(f"{where} codec: {spec.codec_id!r} is code to run, which --no-code refuses")
        if spec.command:
            raise UsageError(f"{where} command: is code to run, which --no-code refuses")
        for option in codec_entry(spec.codec_id).code_options:
            if option in spec.options:
                raise UsageError(f"{where} options: {option} is code to run, which --no-code refuses")


def _explain(error: ValidationError, data: dict[str, Any]) -> list[str]:
    """Turn each complaint of pydantic into one clause that names the field, and the near name of a typo."""
    clauses = []
    for problem in error.errors():
        *parents, key = problem["loc"] or ("suite",)
        where = _where(problem["loc"], data) or "the suite"
        if problem["type"] == "unexpected_keyword_argument":
            table = Command if "command" in parents else CodecSpec if parents else Suite
            keys = [f.name for f in fields(table)]
            clauses.append(f"unknown key {where}; {did_you_mean(str(key), keys)}")
        elif problem["type"] in ("missing", "missing_argument"):
            clauses.append(f"{where} is missing")
        else:
            clauses.append(f"{where}: {problem['msg'].lower()}, found {problem['input']!r:.60}")
    return clauses


def _where(location: Sequence[int | str], data: dict[str, Any]) -> str:
    """Spell a location as `codec[2] ('webp') points[0]`, codecs counted from 1."""
    text = ".".join(str(part) for part in location if not isinstance(part, int))
    if len(location) >= 2 and location[0] == "codec" and isinstance(location[1], int):
        table = data["codec"][location[1]]
        label = f" ({table['name']!r})" if isinstance(table, dict) and "name" in table else ""
        text = f"codec[{location[1] + 1}]{label}" + "".join(
            f"[{part + 1}]" if isinstance(part, int) else f" {part}" for part in location[2:]
        )
    return text


def _checked(suite: Suite, path: Path) -> Suite:
    """Check what types alone cannot say, and fill in what the registry knows. Raises UsageError."""
    if not suite.codec:
        raise UsageError("codec: is empty; give at least one [[codec]] table")
    _check_metrics(suite.metrics)
    if suite.crop is not None and not 1 <= suite.crop <= MOST_PIXELS_WIDE:
        raise UsageError(f"crop: {suite.crop} is not a number of pixels from 1 to {MOST_PIXELS_WIDE}")
    _check_rates(suite.bpp)
    if missing := [name for name in suite.headline if name not in suite.metrics]:
        raise UsageError(f"headline: {missing[0]!r} is not among the metrics of the suite")
    labels = [spec.name for spec in suite.codec]
    for number, spec in enumerate(suite.codec, start=1):
        if spec.name in labels[: number - 1]:
            raise UsageError(f"codec[{number}] name: {spec.name!r} is given twice; each label must be unique")
    specs = tuple(
        _checked_codec(spec, f"codec[{i}] ({spec.name!r})", path.parent)
        for i, spec in enumerate(suite.codec, 1)
    )
    _check_dataset(suite.dataset)
    return replace(suite, codec=specs)


def _check_rates(rates: Sequence[float]) -> None:
    for rate in rates:
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"bpp: {rate:g} is no rate; give numbers above 0, in bits per pixel")
    if len(set(rates)) < len(rates):
        raise UsageError("bpp: a rate is given twice")


def _check_metrics(metrics: Sequence[str]) -> None:
    from benchmark.metrics import METRICS
    from benchmark.results.records import COLUMNS

    if not metrics:
        raise UsageError(f"metrics: is empty; known: {', '.join(METRICS.names())}")
    for name in metrics:
        try:
            METRICS.find(name)
        except UsageError as error:
            raise UsageError(f"metrics: {error}") from error
        if name in COLUMNS:
            raise UsageError(f"metrics: {name!r} is the name of a column that all results have; rename it")
        if metrics.count(name) > 1:
            raise UsageError(f"metrics: {name!r} is given twice")


def _check_dataset(name: str) -> None:
    if name.startswith(FOLDER_PREFIX):
        _check_folder(name.removeprefix(FOLDER_PREFIX))
        return
    try:
        DATASETS.find(name)
    except UsageError as error:
        raise UsageError(f"dataset: {error}") from error


def _check_folder(path: str) -> None:
    if "\0" in path:
        raise UsageError(f"dataset: {path!r} is no path: it holds a zero byte")
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"dataset: {path!r}: {Path(path).parts[0]} is no user of this machine") from error


def _checked_codec(spec: CodecSpec, where: str, folder: Path) -> CodecSpec:
    if not spec.name.strip() or not spec.name.isprintable():
        raise UsageError(f"{where} name: must be printable and not empty")
    try:
        if spec.command and spec.codec:
            raise UsageError("give codec or command, not both")
        entry = spec.entry(folder)
        points = spec.points
        if points is None:
            points = entry.points or make_codec(spec.codec_id, spec.all_options, folder).points
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if spec.points is None and not points:
        raise UsageError(f"{where} points: are missing; {spec.codec_id} has no default ones")
    if not points:
        raise UsageError(f"{where} points: is empty; omit it for the default ones")
    for point in points:
        if not math.isfinite(point) or point < 0:
            raise UsageError(f"{where} points: {point:g} is not a number from 0 up")
        if points.count(point) > 1:
            raise UsageError(f"{where} points: {point:g} is given twice")
    return replace(spec, points=tuple(float(point) for point in points))
