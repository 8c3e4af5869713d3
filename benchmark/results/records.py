"""A record: one row of results, one image coded by one codec at one operating point."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal

# No pyarrow here: worker processes make records, and start faster without it.

Status = Literal["ok", "failed", "timeout"]

SCHEMA_VERSION = "2"
READABLE = ("1", SCHEMA_VERSION)
"""The versions whose rows are read. 1 has neither `point_name` nor `codec_family`, which are null then."""


def _text(value: object) -> str:
    """Return a text that UTF-8 can hold: bytes of a file name that are none are written out."""
    if not isinstance(value, str):
        raise TypeError("is no text")
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _whole(value: Any) -> int:  # noqa: ANN401 (whatever a stranger's codec gave)
    try:
        number = operator.index(value)
    except TypeError as error:
        raise TypeError("is no whole number") from error
    if not -(2**63) <= number < 2**63:
        raise TypeError("is too large")
    return number


def _number(value: Any) -> float:  # noqa: ANN401 (whatever a stranger's codec gave)
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError("is no number") from error
    if not math.isfinite(number):
        raise TypeError("is no number")
    return number


_KINDS: dict[str, Callable[[Any], object]] = {
    "str": _text,
    "Status": _text,
    "int": _whole,
    "float": _number,
}
"""What each type of a column makes of a value. Raises TypeError for what it cannot hold."""


@cache
def _columns(kind: type[Any]) -> tuple[tuple[str, Callable[[Any], object], bool], ...]:
    """Return name, kind and "may be null" of each field of a row that is a column."""
    types = {f.name: str(f.type) for f in fields(kind)}
    return tuple(
        (name, _KINDS[text.removesuffix(" | None")], text.endswith(" | None"))
        for name, text in types.items()
        if text.removesuffix(" | None") in _KINDS
    )


def _fit(column: str, value: object, kind: Callable[[Any], object]) -> object:
    try:
        return kind(value)
    except TypeError as error:
        raise TypeError(f"column {column}: {repr(value)[:80]} {error}") from error


@dataclass(frozen=True)
class Asked:
    """What a row is asked for: one image, one codec, one operating point.

    Making one, or what is derived from it, brings its columns to the types that they have in the table, and
    raises TypeError, naming the column, for what no table can hold: so the evaluation fails that gave it,
    and not the reading of all.
    """

    suite: str
    dataset: str
    dataset_images: int
    """How many images of the dataset were at hand."""
    dataset_size: int
    """How many images the whole dataset has; more than `dataset_images` means a partial run."""
    codec: str
    """The label in the suite; the registry name where the suite gives no other."""
    codec_id: str
    """The registry name."""
    codec_options: str
    """JSON object of the options that the suite sets, keys sorted."""
    point: float
    image: str
    image_sha256: str
    """sha256 of the image file."""

    def __post_init__(self) -> None:
        """Check the columns; see the class."""
        for name, kind, optional in _columns(type(self)):  # type: ignore[arg-type]  # a class can be hashed
            value = getattr(self, name)
            if not (optional and value is None):
                fit = _fit(name, value, kind)
                if fit is not value:
                    object.__setattr__(self, name, fit)


@dataclass(frozen=True)
class Record(Asked):
    """One row: one image coded by one codec at one operating point, measured.

    A metric is NaN-free: None where it could not be computed, with the reason in `metric_notes`. In the table
    each metric is a column of its own (see `row`).
    """

    # what came out
    status: Status
    error: str | None = None
    codec_version: str = ""
    width: int | None = None
    height: int | None = None
    bitstream_bytes: int | None = None
    bitstream_sha256: str | None = None
    decoded_sha256: str | None = None
    """sha256 of the decoded pixels (height x width x 3 bytes, row-major)."""
    bpp: float | None = None
    """8 * bitstream_bytes / (width * height), header included."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metric name -> value."""
    metric_versions: str = "{}"
    """JSON object: metric name -> version."""
    metric_notes: str = "{}"
    """JSON object: metric name -> why it is null."""
    entropy_bits: float | None = None
    """The codec's own estimate of the information content, where it has one; never used as the rate."""
    encode_seconds: float | None = None
    decode_seconds: float | None = None

    # where it came from
    encode_argv: str | None = None
    """JSON array: the exact command line of an encoder that ran as a process."""
    decode_argv: str | None = None
    binary_sha256: str | None = None
    config_sha256: str | None = None
    image_conversions: str = "[]"
    """JSON array: what was done to the file's pixels to make 8-bit RGB of them, and what was ignored that
    could have changed them (colour profiles)."""
    protocol: str = ""
    """JSON object: what must be equal for two rows to be compared: the reference, the metrics' versions."""
    jobs: int = 1
    """How many evaluations ran at once: times compare only at equal concurrency."""
    threads: int = 1
    machine: str = ""
    """A stable identifier of the machine's kind: processor, cores, operating system."""
    environment: str = "{}"
    """JSON object: commit, dirty flag, package versions, processor, memory, operating system."""
    run_id: str = ""
    started_at: str = ""
    """UTC, ISO 8601."""
    extra: str = field(default="{}")
    """JSON object: further facts that a codec noted; `cause` is "image" where the image could not be loaded,
    `not_kept` says why files could not be kept."""
    point_name: str | None = None
    """What the operating point means: quality, QP, lmbda."""
    codec_family: str | None = None
    """Codecs of one family mean the same by the same point: its name, or the codec's own registry name."""
    schema_version: str = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Check the columns, those of the metrics too."""
        super().__post_init__()
        values = {
            _text(name): None if value is None else _fit(name, value, _number)
            for name, value in self.metrics.items()
        }
        if values.keys() & _COLUMNS:
            raise TypeError(f"metrics with names of other columns: {sorted(values.keys() & _COLUMNS)}")
        object.__setattr__(self, "metrics", values)

    @property
    def against_codec(self) -> bool:
        """Whether it failed, and not because the image could not be loaded."""
        return self.status != "ok" and json.loads(self.extra).get("cause") != "image"

    @property
    def not_kept(self) -> str | None:
        """Why bitstream and decoded image could not be kept, where they were to be."""
        reason: str | None = json.loads(self.extra).get("not_kept")
        return reason

    def row(self) -> dict[str, Any]:
        """Return the columns of the table: the fields but `metrics`, and each metric."""
        return {name: getattr(self, name) for name in COLUMNS} | dict(self.metrics)


def record_of(row: Mapping[str, Any]) -> Record:
    """Return the record of a row (see `Record.row`). Raises TypeError for what is no row of a record."""
    if not isinstance(row, dict):
        raise TypeError("no object")
    own = {name: value for name, value in row.items() if name in _COLUMNS}
    metrics = {name: value for name, value in row.items() if name not in _COLUMNS}
    return Record(**own, metrics=metrics)


COLUMNS = tuple(column.name for column in fields(Record) if column.name != "metrics")
"""The columns that every table has; what others it has are metrics."""
_COLUMNS = frozenset(COLUMNS)

JSON_COLUMNS: dict[str, type] = {
    "codec_options": dict,
    "metric_versions": dict,
    "metric_notes": dict,
    "encode_argv": list,
    "decode_argv": list,
    "image_conversions": list,
    "protocol": dict,
    "environment": dict,
    "extra": dict,
}
"""The columns that hold JSON, and of which kind; they may be null or empty."""


def json_fault(column: str, text: str | None) -> str | None:
    """Return what is wrong with a value of a column of JSON_COLUMNS; None if nothing is."""
    kind = JSON_COLUMNS[column]
    try:
        fits = not text or isinstance(json.loads(text), kind)
    except (ValueError, RecursionError) as error:
        return f"column {column}: {str(text)[:60]!r} is no JSON: {error}"
    what = "object" if kind is dict else "array"
    return None if fits else f"column {column}: {str(text)[:60]!r} is no JSON {what}"


SLOT = ("dataset", "codec", "point", "image")
"""The columns that name a row: a store holds one row for each, the one written last, but for failures where
there is a good row of the same identity."""

IDENTITY = ("codec_id", "codec_options", "codec_version", "image_sha256", "protocol")
"""The columns that say what was coded, and by what: see `same_identity`."""

KEPT = "_kept"
"""The folder of bitstreams and decoded images, beside the results.

Names that begin with "_" are skipped by whoever reads a results folder as one parquet dataset.
"""

Slot = tuple[str, str, float, str]


def slot(row: Asked) -> Slot:
    """Return the place in the store of a row, or of the task that will give one."""
    return (row.dataset, row.codec, row.point, row.image)


def same_identity(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two rows, given by their IDENTITY, are of one codec, options and version, image and crop.

    A rate that was searched for is not the operating point of that number. Which metrics were measured, and
    their versions, make no other row of it.
    """
    made = [(recorded_crop(row[-1]), recorded_search(row[-1])) for row in (one, other)]
    return one[:-1] == other[:-1] and made[0] == made[1]


def recorded_crop(protocol: str) -> int | None:
    """Return the side of the centre crop that a row's protocol names; None for whole images."""
    crop: int | None = json.loads(protocol or "{}").get("crop")
    return crop


def recorded_search(protocol: str) -> str | None:
    """Return of what the row's point is the target that was searched, "bpp"; None for a codec's own point."""
    wanted: str | None = json.loads(protocol or "{}").get("searched")
    return wanted
