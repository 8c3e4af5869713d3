"""Results of record: where the gate's reference comes from, and how a run is promoted to be it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from benchmark.errors import AnalysisError, StoreError
from benchmark.gate.findings import find_vanished, pair_rows
from benchmark.results.plan import read_planned
from benchmark.results.store import TABLE, read_results, table_schema
from benchmark.results.table import write_table
from benchmark.versions import common, differ, merged

PROVENANCE = "_reference.json"
"""Whoever reads the folder as one parquet dataset, pandas too, skips names that begin with "_"."""
_PROVENANCE_BEFORE = "reference.json"
MAX_BYTES = 5 << 20
"""A reference is kept in git: larger ones belong elsewhere."""


@dataclass(frozen=True)
class Promotion:
    """What `promote` did."""

    folder: Path
    rows: int
    bytes: int


def load_reference(ref: str, suite: str, folder: Path = Path("results/reference")) -> pd.DataFrame:
    """Return the reference rows of `suite` that `ref` names.

    `ref` is a results folder (or a folder that holds one named after the suite), a parquet file, or
    `git:REV`: the file results/reference/SUITE/results.parquet of that revision of the repository around the
    working directory. Raises AnalysisError or StoreError, with the remedy, where there is none.
    """
    if ref.startswith("git:"):
        return _from_git(ref.removeprefix("git:"), f"{folder.as_posix()}/{suite}/{TABLE}")
    path = Path(ref)
    if not path.exists():
        raise AnalysisError(
            f"--against {ref}: no such folder or file; give a results folder, a parquet file or git:REVISION"
        )
    return read_planned(path / suite if (path / suite).is_dir() else path)


def _from_git(revision: str, path: str) -> pd.DataFrame:
    if not revision or revision.startswith("-"):
        raise AnalysisError(f"--against git:{revision}: no revision; give one such as git:main")
    blob = f"{revision}:./{path}"
    found = subprocess.run(["git", "show", blob], capture_output=True, check=False)
    if found.returncode:
        said = found.stderr.decode(errors="replace").strip().splitlines()
        raise AnalysisError(
            f"--against git:{revision}: {said[0] if said else 'git failed'}; "
            f"that revision must hold {path} (`bench reference update` makes it)"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / TABLE
        file.write_bytes(found.stdout)
        try:
            return read_results(file)
        except (StoreError, pa.ArrowException) as error:
            raise AnalysisError(f"git:{revision}: {path} is no results file: {error}") from error


def promote(
    suite: str,
    results: Path,
    message: str,
    folder: Path = Path("results/reference"),
    *,
    allow_removed: bool = False,
) -> Promotion:
    """Make the run in `results` the results of record of `suite`, under `folder`/`suite`.

    Writes results.parquet and, beside it, _reference.json with the message and where the rows came from.
    Raises AnalysisError for a run with failed rows, of a part of a dataset, with rows missing, with rows of
    several versions or options of one codec, too large for git, or without a message; and, but for
    `allow_removed`, for one that lacks a codec, point or image of the record that it would replace.
    """
    if not message.strip():
        raise AnalysisError("--message: say why the results of record change")
    frame = read_planned(results)
    for problem in (_failures(frame), _partial(frame), _holes(frame), _mixed_versions(frame, suite)):
        if problem:
            raise AnalysisError(f"{results}: not promoted: {problem}")
    frame = frame.sort_values(["dataset", "codec", "point", "image"], kind="stable", ignore_index=True)
    table = pa.Table.from_pandas(frame, schema=table_schema(frame.columns), preserve_index=False)
    target = folder / suite
    if not allow_removed and (target / TABLE).exists() and (removed := _removed(frame, target)):
        raise AnalysisError(
            f"{results}: not promoted: {target} has what this run lacks: {removed}; run the whole suite, "
            "or give --allow-removed to drop it from the record"
        )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".") as scratch:
        new = Path(scratch) / TABLE
        write_table(table, new, level=19)
        size = new.stat().st_size
        if size > MAX_BYTES:
            raise AnalysisError(
                f"{results}: not promoted: {size:,} bytes, over the {MAX_BYTES:,} that git should hold"
            )
        new.replace(target / TABLE)
    (target / PROVENANCE).write_text(json.dumps(_provenance(frame, suite, message), indent=1) + "\n")
    (target / _PROVENANCE_BEFORE).unlink(missing_ok=True)
    return Promotion(target, len(frame), size)


def _failures(frame: pd.DataFrame) -> str | None:
    failed = frame[frame["status"] != "ok"]
    if failed.empty:
        return None
    first = failed.iloc[0]
    return (
        f"{len(failed)} of {len(frame)} rows failed, first {first['codec']} at {first['point']:g} on "
        f"{first['image']}; run the suite again, it retries them"
    )


def _partial(frame: pd.DataFrame) -> str | None:
    partial = frame[frame["dataset_images"] < frame["dataset_size"]]
    if partial.empty:
        return None
    row = partial.iloc[0]
    return f"partial dataset: {row['dataset_images']} of {row['dataset_size']} images of {row['dataset']}"


def _holes(frame: pd.DataFrame) -> str | None:
    points = frame.groupby(["dataset", "codec", "point"], as_index=False).agg(
        images=("image", "nunique"), size=("dataset_size", "max")
    )
    short = points[points["images"] < points["size"]]
    if short.empty:
        return None
    row = short.iloc[0]
    return (
        f"{row['codec']} at {row['point']:g} has {row['images']} of {row['size']} images; let the run finish"
    )


def _removed(frame: pd.DataFrame, record: Path) -> str:
    try:
        held = read_results(record)
    except StoreError as error:
        raise AnalysisError(f"{error}; --allow-removed replaces this record without a comparison") from error
    return "; ".join(f"{f.codec}: {f.message}" for f in find_vanished(pair_rows(frame, held)))


def _mixed_versions(frame: pd.DataFrame, suite: str) -> str | None:
    # Points may have models of their own, so that the versions of a codec are compared by what they share,
    # and those of each point in full.
    shared = frame.assign(codec_version=frame["codec_version"].map(common))
    for rows_of, keys, column, what, differs in (
        (shared, ["codec"], "codec_version", "versions", _several),
        (frame, ["codec", "point"], "codec_version", "versions", differ),
        (frame, ["codec"], "codec_options", "options", _several),
    ):
        for (codec, *_), values in rows_of.groupby(keys, sort=True)[column]:
            if differs(values.unique().tolist()):
                found = "; ".join(
                    f"{rows} rows of {value!r}" for value, rows in values.value_counts().items()
                )
                return (
                    f"{codec} has rows of several {what}: {found}; `bench run suite {suite}` measures the "
                    "outdated ones again, with --fresh all of them"
                )
    return None


def _several(values: Sequence[str]) -> bool:
    return len(values) > 1


def _provenance(frame: pd.DataFrame, suite: str, message: str) -> dict[str, object]:
    environments = [json.loads(text) for text in frame["environment"].unique()]
    return {
        "suite": suite,
        "message": message.strip(),
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": len(frame),
        "images": int(frame["image"].nunique()),
        "codecs": {
            str(codec): " or ".join(merged(versions))
            for codec, versions in frame.groupby("codec")["codec_version"].unique().items()
        },
        "commits": sorted({str(e.get("commit") or "unknown") for e in environments}),
        "machines": sorted(str(m) for m in frame["machine"].unique()),
        "run_ids": sorted(str(r) for r in frame["run_id"].unique()),
    }
