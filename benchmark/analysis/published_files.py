"""Curves from files of users: a competitor's table as CSV, CompressAI's JSON, a batch of codec-compare.

A file says what it knows. Of which dataset its figures are is taken from the results that it is drawn beside
where it does not say it: see `beside`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.analysis.published import Publication, of_header, publication, split
from benchmark.arrays import F64
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.metrics import METRICS

TEMPLATE_COMMAND = "bench list curves --template"
SUFFIXES = (".csv", ".json")
HEADER = {
    "label": "what figures call the curve; the file's name without it",
    "dataset": "as `bench list datasets` has it; without it, that of the results it is drawn beside",
    "dataset_size": "how many images the figures are means of; without it, all of the dataset",
    "point": "what the column `point` means: QP, quality, lambda",
    "codec": "for `bench verify`: the codec here that this is a curve of",
    "source": "an address or a paper, for the caption",
    "commit": "of the source",
    "date": "of the source",
    "protocol": "how it was measured",
    "averaging": "what the figures are means of",
    "other_setup": "for `bench verify`: what was run otherwise, so that equal points mean other things",
    "within_because": "for `bench verify`: why METRIC_within is allowed",
    "points_within": "for `bench verify`: LOW HIGH, the points that are judged",
}
"""What the lines "# KEY: VALUE" of a CSV file may say; and METRIC_within, the allowed difference."""

_Columns = dict[str, list[float]]


def is_file(named: str) -> bool:
    """Tell a file from the name of a curve that ships with the package."""
    return named.endswith(SUFFIXES) or Path(named).is_file()


def find(named: str) -> list[Publication]:
    """Return the curves of a file, or the one that ships under this name.

    Raises AnalysisError for a name that does not exist, and for a bad file, with its line or field.
    """
    return read_file(Path(named)) if is_file(named) else [publication(named)]


def beside(curve: Publication, dataset: str, size: int) -> Publication:
    """Return the curve as it stands beside results of a dataset of `size` images, where it does not say so.

    Raises AnalysisError if it is of another dataset, or of another number of images.
    """
    if curve.dataset not in ("", dataset):
        raise AnalysisError(
            f"the published curve {curve.name!r} is of {curve.dataset}, not of {dataset}"
            + ("; correct its line `# dataset:` if it is" if curve.file else "")
        )
    if curve.file and curve.dataset_size not in (0, size):
        raise AnalysisError(
            f"{curve.name}: its figures are means of {curve.dataset_size} images, {dataset} has {size}: "
            "they are of other images, or of a part of them"
        )
    taken = "" if curve.dataset else f" (taken to be of {dataset}: the file does not say)"
    size = curve.dataset_size or size
    return replace(curve, dataset=dataset, dataset_size=size, file=curve.file and curve.file + taken)


def read_file(path: Path) -> list[Publication]:
    """Return the curves of a file (.json: of CompressAI or codec-compare; else CSV), in its order.

    Raises AnalysisError, with the line or field and the remedy, for a file that is none of these, a column
    that is no metric here, and values that none can have.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnalysisError(f"{path}: is no text in UTF-8; save it as CSV in UTF-8") from error
    file = f"{path.name}, sha256 {hashlib.sha256(data).hexdigest()[:16]}"
    read = _json if path.suffix == ".json" else _csv
    return [_made(path, header, columns, file) for header, columns in read(path, text)]


def _made(path: Path, header: Mapping[str, str], columns: _Columns, file: str) -> Publication:
    """Return a curve of the file. Raises AnalysisError for values that its metrics cannot have."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    count = len(arrays["bpp"])
    if not count:
        raise AnalysisError(f"{path}: has no points")
    for name in arrays.keys() - {"point", "bpp"}:
        check_values(str(path), name, arrays[name])
    if not (arrays["bpp"] > 0).all():
        raise AnalysisError(f"{path}: bpp must be above 0; it has {arrays['bpp'].min():g}")
    ordered = {"point": arrays.get("point", np.full(count, np.nan)), **arrays}
    try:
        return of_header(path.stem, {"label": path.stem, **header}, ordered, file)
    except ValueError as error:
        raise AnalysisError(
            f"{path}: a line `# KEY: VALUE` has no number where one belongs: {error}"
        ) from error


def check_values(where: str, name: str, values: F64) -> None:
    """Raise AnalysisError for values beyond a metric's best: dB that stand for something else, perhaps."""
    metric = METRICS.find(name)
    beyond = values[metric.lossless(values) & (values != metric.identical)]
    if np.isfinite(metric.identical) and len(beyond):
        looks = f"; is it in dB, {metric.decibels.formula}? Give x" if metric.decibels else ""
        raise AnalysisError(
            f"{where}: {name} is at best {metric.identical:g}, the file has {beyond[0]:g}{looks}"
        )


def _csv(path: Path, text: str) -> Iterator[tuple[dict[str, str], _Columns]]:
    """Yield header and columns of each curve: a column `label` keeps several apart."""
    header, lines = split(text)
    _check_header(path, header)
    if not lines:
        raise AnalysisError(
            f"{path}: has no line of column names; `{TEMPLATE_COMMAND}` writes one to fill in"
        )
    rows = [(number, _cells(f"{path}, line {number}", line)) for number, line in lines]
    where, names = f"{path}, line {rows[0][0]}", [name.strip() for name in rows[0][1]]
    columns = _named_columns(where, [n for n in names if n != "label"], other=_refused(where))
    curves: dict[str, _Columns] = {}
    for number, cells in rows[1:]:
        if len(cells) != len(names):
            raise AnalysisError(f"{path}, line {number}: has {len(cells)} cells for {len(names)} columns")
        row = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        curve = curves.setdefault(row.get("label", ""), {column: [] for column in columns.values()})
        for name, column in columns.items():
            curve[column].append(_number(f"{path}, line {number}", name, row[name], empty=column == "point"))
    if not curves:
        raise AnalysisError(f"{path}: has no points below its column names")
    for label, curve in curves.items():
        yield header | ({"label": label} if label else {}), curve


def _cells(where: str, line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error as error:
        raise AnalysisError(f"{where}: is no line of CSV: {error}") from error


def _check_header(path: Path, header: Mapping[str, str]) -> None:
    """Raise AnalysisError for a key that is perhaps another one, misspelt; any other is a remark."""
    known = [*HEADER, *(f"{name}_within" for name in METRICS.names())]
    for key in header:
        hint = "" if key in known else did_you_mean(key, known)
        if hint.startswith("did"):
            raise AnalysisError(f"{path}: line `# {key}:` is unknown; {hint}")


def _refused(where: str) -> Callable[[str], None]:
    def refuse(name: str) -> None:
        raise AnalysisError(
            f"{where}: column {name!r} is no metric here; {did_you_mean(name, METRICS.names())}; rename it, "
            "or begin its name with _ to leave it out"
        )

    return refuse


def _named_columns(
    where: str, names: Sequence[str], other: Callable[[str], None] = lambda name: None
) -> dict[str, str]:
    """Return which columns here the names mean; `other` is told of those that mean none."""
    found: dict[str, str] = {}
    for name in names:
        column = name if name in ("point", "bpp") else metric_named(name)
        if column is None and not name.startswith("_"):
            other(name)
        if column in found.values():
            raise AnalysisError(
                f"{where}: two columns are {column}; leave one out, `_` before its name does it"
            )
        if column is not None:
            found[name] = column
    if "bpp" not in found.values():
        raise AnalysisError(f"{where}: has no column bpp; `{TEMPLATE_COMMAND}` shows the form")
    if not set(found.values()) - {"point", "bpp"}:
        raise AnalysisError(f"{where}: has no metric of this bench; known: {', '.join(METRICS.names())}")
    return found


def metric_named(name: str) -> str | None:
    """Return the metric that others mean by a name: "PSNR", "psnr-rgb" and "msssim" are of RGB; or None."""
    here = {_squashed(metric): metric for metric in METRICS.names()}
    return here.get(_squashed(name)) or here.get(_squashed(name) + "rgb")


def _squashed(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _number(where: str, name: str, text: object, *, empty: bool = False) -> float:
    if empty and text in ("", None):
        return float("nan")
    try:
        number = float(text) if isinstance(text, str | int | float) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not np.isfinite(number):
        raise AnalysisError(f"{where}, {name}: {str(text)[:40]!r} is no finite number")
    return number


def _json(path: Path, text: str) -> Iterator[tuple[dict[str, str], _Columns]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: is no JSON: {error}") from error
    if isinstance(data, dict) and "field_descriptions" in data:
        yield _codec_compare(path, data)
    elif isinstance(data, dict) and isinstance(data.get("results"), dict):
        yield _compressai(path, data)
    else:
        raise AnalysisError(
            f'{path}: is neither of CompressAI ("results") nor of codec-compare ("field_descriptions"); '
            f"write it as CSV, `{TEMPLATE_COMMAND}` shows the form"
        )


def _compressai(path: Path, data: Mapping[str, Any]) -> tuple[dict[str, str], _Columns]:
    """Return what `python -m compressai.utils.bench` and `eval_model` write: means over images by point."""
    results = {name: values for name, values in data["results"].items() if isinstance(values, list)}
    columns = _named_columns(f"{path}, results", list(results))
    counts = {name: len(results[name]) for name in columns}
    if len(set(counts.values())) > 1:
        raise AnalysisError(f"{path}, results: lists of several lengths, {counts}")
    header = {"label": str(data.get("name", path.stem)), "protocol": str(data.get("description", ""))}
    return header, {
        column: [_number(f"{path}, results", name, value) for value in results[name]]
        for name, column in columns.items()
    }


def _codec_compare(path: Path, data: Mapping[str, Any]) -> tuple[dict[str, str], _Columns]:
    """Return a batch of webmproject/codec-compare: a row for each image and quality, averaged over images."""
    names = _names(path, data, "constant")
    constants = dict(zip(names, _list(path, data, "constant_values"), strict=False))
    fields = _names(path, data, "field")
    needed = ["original_name", "quality", *(["bpp"] if "bpp" in fields else _SIZES[:3])]
    lacking = [name for name in needed if name not in fields]
    if lacking:
        raise AnalysisError(f"{path}, field_descriptions: lacks {', '.join(lacking)}")
    metrics = _named_columns(f"{path}, field_descriptions", ["bpp", *(n for n in fields if n not in needed)])
    points: dict[float, dict[str, _Row]] = {}
    for index, values in enumerate(_list(path, data, "field_values"), 1):
        where = f"{path}, field_values, row {index}"
        row = _batch_row(where, fields, values, metrics)
        at = points.setdefault(_number(where, "quality", values[fields.index("quality")]), {})
        image = str(values[fields.index("original_name")])
        if image in at:
            raise AnalysisError(f"{where}: a second row of {image} at this quality; give one setting a file")
        at[image] = row
    images = set().union(*points.values())
    for point, at in points.items():
        if len(at) < len(images):
            raise AnalysisError(
                f"{path}: quality {point:g} has {len(at)} of {len(images)} images; complete it"
            )
    header = {
        "label": str(constants.get("name", path.stem)),
        "dataset_size": str(len(images)),
        "point": "quality",
        "protocol": f"codec-compare, {constants.get('codec', '')} {constants.get('version', '')}".strip(),
        "averaging": f"arithmetic mean over {len(images)} images",
    }
    means = {
        c: [float(np.mean([r[c] for r in at.values()])) for at in points.values()] for c in metrics.values()
    }
    return header, {"point": list(points), **means}


_Row = dict[str, float]


def _names(path: Path, data: Mapping[str, Any], kind: str) -> list[str]:
    """Return the names of a batch's constants or fields: each is the one key of an object."""
    field = f"{kind}_descriptions"
    entries = _list(path, data, field)
    if not all(isinstance(entry, dict) and len(entry) == 1 for entry in entries):
        raise AnalysisError(f"{path}, {field}: is no list of objects of one key")
    return [name for entry in entries for name in entry]


def _list(path: Path, data: Mapping[str, Any], field: str) -> list[Any]:
    found = data.get(field)
    if not isinstance(found, list):
        raise AnalysisError(f"{path}, {field}: is no list")
    return found


_SIZES = ("encoded_size", "width", "height", "frame_count")


def _batch_row(where: str, fields: Sequence[str], values: object, metrics: Mapping[str, str]) -> _Row:
    """Return bpp (8 * bytes / pixels where the batch has none) and the metrics of one row."""
    if not isinstance(values, list) or len(values) != len(fields):
        raise AnalysisError(f"{where}: has not one value for each of the {len(fields)} fields")
    row = dict(zip(fields, values, strict=True))
    found = {column: _number(where, name, row[name]) for name, column in metrics.items() if name in row}
    if "bpp" in found:
        return found
    sizes = {"frame_count": 1, **row}
    bytes_, *sides = (_number(where, name, sizes[name]) for name in _SIZES)
    pixels = float(np.prod(sides))
    if pixels <= 0:
        raise AnalysisError(f"{where}: has no pixels")
    return {"bpp": 8 * bytes_ / pixels, **found}


def template() -> str:
    """Return a CSV file to fill in: what its header may say, and its columns, with a point as an example."""
    lines = [
        "## With one # less, and a value of yours, a line counts.",
        *(f"## {k}: {v}" for k, v in HEADER.items()),
    ]
    shown = [name for name, metric in METRICS.items() if metric.in_figures]
    example = ["", "0.25", *(f"{0.9 if np.isfinite(METRICS.find(name).identical) else 30}" for name in shown)]
    return (
        "\n".join([*lines, "# label: My codec", ",".join(["point", "bpp", *shown]), ",".join(example)]) + "\n"
    )
