"""One evaluation: encode, decode the bytes in a separate step, measure; nothing else."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import environment
from benchmark.arrays import Image
from benchmark.codecs import make_codec
from benchmark.codecs.base import Codec, Facts, collect_facts, note
from benchmark.devices import CPU
from benchmark.errors import BenchError, CodecError, CodecTimeoutError, DatasetError
from benchmark.files import file_name, printable, write_atomically
from benchmark.images import LoadedImage, centre_crop, load_image, save_png
from benchmark.metrics import METRICS
from benchmark.metrics.measure import measure
from benchmark.operations import FACT, Operations
from benchmark.results.records import KEPT, Asked, Record, Status
from benchmark.runs.disk import check_disk
from benchmark.runs.state import state_put_back
from benchmark.runs.target import Probe, near_rate
from benchmark.runs.tasks import Task
from benchmark.runs.workers import Stopped, start_clock

WARM_UP_PIXELS = 64
"""Side of the crop that is coded before the clock starts, once for each codec in each process."""


MOST_TRACEBACK = 4000
"""How many characters of a traceback a failed row keeps, from its end."""


@dataclass(frozen=True)
class RunContext:
    """What all evaluations of one run share. A value that can be pickled."""

    run_id: str = ""
    jobs: int = 1
    threads: int = 1
    """How many threads one evaluation may use."""
    keep_dir: Path | None = None
    """The results folder under which bitstreams and decoded images are kept, if they are."""


def evaluate(task: Task, context: RunContext) -> Record:
    """Do one evaluation. Raises nothing for what codec or image did: the row then says why it failed.

    Raises MachineError where the disk is full: that says nothing of either.
    """
    row = task_columns(task, context)
    try:
        loaded = _image(task.image_path, task.image_sha256, task.crop)
    except Exception as error:  # whatever it is, it comes before the codec, and says nothing of it
        told = {"cause": "image", "traceback": _traceback(error)}
        return Record(**row, status="failed", error=_reason(error), extra=_json(told))
    facts: Facts = {}
    try:
        with collect_facts() as facts:
            columns = _measure(task, context, loaded)
        return Record(**row, **_fact_columns(facts), **columns, status="ok")
    except Stopped:
        raise
    except BaseException as error:  # whatever a codec raises costs one row and not the run
        check_disk(error)
        return _failed(row, {**facts, "traceback": _traceback(error)}, error)


def failed_row(task: Task, context: RunContext, error: BaseException) -> Record:
    """Return the row of an evaluation whose time ran out, or whose process died."""
    row = task_columns(task, context)
    if isinstance(error, TimeoutError):
        return Record(**row, status="timeout", error=str(error) or repr(error))
    # pebble.ProcessExpired, or what another kind of executor reports
    code = getattr(error, "exitcode", None)
    reason = f"the worker process died (exit code {code})" if code is not None else repr(error)
    return Record(**row, status="failed", error=reason)


def _traceback(error: BaseException) -> str:
    """Return the end of the traceback, which says where the fault is."""
    try:
        return printable("".join(traceback.format_exception(error))[-MOST_TRACEBACK:])
    except Exception:  # a stranger's exception may be unable to say what it is
        return ""


def _failed(row: dict[str, Any], facts: Facts, error: BaseException) -> Record:
    """Return the row of an evaluation that failed, with what the codec noted if a row can hold it."""
    status: Status = "timeout" if isinstance(error, CodecTimeoutError) else "failed"
    try:
        return Record(**row, **_fact_columns(facts), status=status, error=_reason(error))
    except TypeError:
        return Record(**row, status=status, error=_reason(error))


def _reason(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        text = str(error) if isinstance(error, BenchError) else f"{kind}: {error}".removesuffix(": ")
        return printable(text)
    except Exception:  # a stranger's exception may be unable to say what it is
        return kind


def task_columns(task: Task, context: RunContext) -> dict[str, Any]:
    """Return the columns of a row that are known before anything was measured."""
    return {
        **{field.name: getattr(task, field.name) for field in fields(Asked)},
        "codec_family": task.codec_family,
        "point_name": task.point_name,
        "protocol": _json(_protocol(task)),
        "jobs": context.jobs,
        "threads": context.threads,
        "machine": environment.machine(),
        "environment": environment.describe_json(),
        "run_id": context.run_id,
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


@dataclass(frozen=True)
class _Coded:
    """What came of coding an image."""

    bitstream: bytes
    decoded: Image
    encode_seconds: float
    decode_seconds: float
    codec_version: str


def _measure(task: Task, context: RunContext, loaded: LoadedImage) -> dict[str, Any]:
    """Encode, decode and measure; return the columns that only a success has."""
    with state_put_back(context.threads):
        coded = _code(task, loaded.pixels)
    _check_decoded(coded.decoded, loaded.pixels)
    values, notes = measure(loaded.pixels, coded.decoded, task.metrics)
    if context.keep_dir:
        _keep(context.keep_dir, task, coded.bitstream, coded.decoded)
    height, width, _ = loaded.pixels.shape
    return {
        "codec_version": coded.codec_version,
        "width": width,
        "height": height,
        "bitstream_bytes": len(coded.bitstream),
        "bitstream_sha256": hashlib.sha256(coded.bitstream).hexdigest(),
        "decoded_sha256": hashlib.sha256(np.ascontiguousarray(coded.decoded).data).hexdigest(),
        "bpp": 8 * len(coded.bitstream) / (width * height),
        "metrics": values,
        "metric_versions": _json(metric_versions(task.metrics)),
        "metric_notes": _json(notes),
        "encode_seconds": coded.encode_seconds,
        "decode_seconds": coded.decode_seconds,
        "image_conversions": json.dumps(loaded.conversions),
    }


def _code(task: Task, pixels: Image) -> _Coded:
    """Encode and decode, on the clock."""
    encoder, decoder = _codecs(task.codec_id, _options(task), task.folder)
    _warm_up(task, encoder, decoder, pixels)
    encoder.prepare(task.point if not task.search else task.search[0])
    start_clock()
    point = _searched(task, encoder, pixels) if task.search else task.point
    start = time.perf_counter()
    bitstream = encoder.encode(pixels, point)
    encode_seconds = time.perf_counter() - start
    start = time.perf_counter()
    decoded = decoder.decode(bitstream)
    decode_seconds = time.perf_counter() - start
    about = (task.codec_id, _options(task), task.folder, point)
    if counted := _operations(*about):
        note(**{FACT: counted.fact()})
    version = encoder.version() if task.search else _version(*about)
    return _Coded(bitstream, decoded, encode_seconds, decode_seconds, version)


def _searched(task: Task, codec: Codec, pixels: Image) -> float:
    """Return the codec's point whose rate is nearest to the task's. Raises CodecError if it is not near.

    The time limit counts the search; `encode_seconds` is of one encoding at the point that it found.
    """
    image = (task.codec_id, _options(task), task.folder, task.image_sha256, task.crop)
    with collect_facts():
        found = near_rate(codec, task.search, pixels, task.point, _probes(image))
    codec.prepare(found.point)
    note(operating_point=found.point)
    return found.point


@lru_cache(maxsize=1)
def _probes(image: tuple[object, ...]) -> dict[float, Probe]:
    """Return the encodings that searches for other rates of one image have made already."""
    del image
    return {}


def _protocol(task: Task) -> dict[str, Any]:
    """Return what must be equal for two rows to be compared."""
    versions = metric_versions(task.metrics)
    crop = {} if task.crop is None else {"crop": task.crop}
    search = {"searched": task.searched} if task.searched else {}
    return {"reference": "8-bit RGB", "decoded": "8-bit RGB", "metrics": versions, **crop, **search}


def metric_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each named metric."""
    return {name: METRICS.find(name).version for name in names}


def _options(task: Task) -> str:
    return json.dumps(task.options, sort_keys=True)


@lru_cache(maxsize=4)
def _codecs(codec_id: str, options_json: str, folder: Path) -> tuple[Codec, Codec]:
    """Return an encoder and a decoder that share no state: the decoder has what the bytes say alone."""
    options = json.loads(options_json)
    return make_codec(codec_id, options, folder), make_codec(codec_id, options, folder)


def forget() -> None:
    """Make codecs anew at the next evaluation: one may mean something else now (see `Registry.add`)."""
    _codecs.cache_clear()
    _version.cache_clear()
    _operations.cache_clear()
    _warm.clear()


@lru_cache(maxsize=64)
def _version(codec_id: str, options_json: str, folder: Path, point: float) -> str:
    return _codecs(codec_id, options_json, folder)[0].version_at(point)


@lru_cache(maxsize=64)
def _operations(codec_id: str, options_json: str, folder: Path, point: float) -> Operations | None:
    """Return what the networks take, counted once a process; None where they cannot be counted."""
    try:
        return _codecs(codec_id, options_json, folder)[0].operations(point)
    except Stopped:
        raise
    except Exception:  # whatever it is, the evaluation itself is good
        return None


@lru_cache(maxsize=2)
def _image(path: Path, sha256: str, crop: int | None) -> LoadedImage:
    """Load an image once for its many evaluations. Raises DatasetError if it changed since the run began."""
    loaded = load_image(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise DatasetError(f"{path}: changed during the run: sha256 was {sha256}, is {found}")
    return loaded if crop is None else replace(loaded, pixels=centre_crop(loaded.pixels, crop))


_warm: set[tuple[str, str, tuple[int, ...]]] = set()


def _warm_up(task: Task, encoder: Codec, decoder: Codec, pixels: Image) -> None:
    """Code a small crop and measure once, so that loading and first calls are not on the clock."""
    whole = task.device != CPU  # whose first call at a size looks for memory and kernels
    key = (task.codec_id, _options(task), pixels.shape if whole else ())
    if key not in _warm:
        _warm.add(key)
        crop = pixels if whole else np.ascontiguousarray(pixels[:WARM_UP_PIXELS, :WARM_UP_PIXELS])
        # Facts of the warm-up stay out of the row, and if it fails the real call will say so.
        try:
            with collect_facts():
                measure(pixels, pixels ^ np.uint8(1), task.metrics)  # identical images would be no work
                point = task.search[0] if task.search else task.point
                encoder.prepare(point)
                decoder.decode(encoder.encode(crop, point))
        except Stopped:
            raise
        except BaseException:
            return


def _check_decoded(decoded: Image, reference: Image) -> None:
    if decoded.dtype != np.uint8 or decoded.shape != reference.shape:
        raise CodecError(
            f"the decoded image is {decoded.dtype} {list(decoded.shape)}, "
            f"the source {reference.dtype} {list(reference.shape)}"
        )


def kept_path(folder: Path, codec: str, point: float, image: str, suffix: str) -> Path:
    """Return where `--keep` puts the bitstream (".bin") or the decoded image (".png") of an evaluation.

    `_kept/CODEC/POINT/IMAGE.SUFFIX` in the results folder, with names that any file system takes (see
    `file_name`). (The leading underscore keeps the folder readable as one parquet dataset.)
    """
    return folder / KEPT / file_name(codec) / f"{point:.12g}" / file_name(image, suffix)


def is_kept(folder: Path, codec: str, point: float, image: str, bitstream_sha256: str) -> bool:
    """Whether `--keep` has put a decoded image and the bitstream of that hash under `folder`."""
    stream, decoded = (kept_path(folder, codec, point, image, suffix) for suffix in (".bin", ".png"))
    try:
        return decoded.is_file() and hashlib.sha256(stream.read_bytes()).hexdigest() == bitstream_sha256
    except OSError:
        return False


def _keep(folder: Path, task: Task, bitstream: bytes, decoded: Image) -> None:
    """Write bitstream and decoded image; what cannot be written is noted, as it must not cost the row."""
    path = kept_path(folder, task.codec, task.point, task.image, ".bin")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(decoded, kept_path(folder, task.codec, task.point, task.image, ".png"), compress_level=1)
        write_atomically(path, bitstream)  # last, as its hash tells whether both are of this evaluation
    except Exception as error:  # whatever it is, the evaluation itself is good
        note(not_kept=str(error) if isinstance(error, OSError) else _reason(error))


def _fact_columns(facts: Facts) -> dict[str, Any]:
    """Spread what the codec noted over the columns that exist for it; the rest goes to `extra`."""
    columns: dict[str, Any] = {}
    extra: Facts = {}
    for name, value in facts.items():
        if name in ("encode_argv", "decode_argv"):
            columns[name] = json.dumps(value)
        elif name in ("binary_sha256", "config_sha256", "entropy_bits"):
            columns[name] = value
        else:
            extra[name] = value
    return {**columns, "extra": _json(extra)}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
