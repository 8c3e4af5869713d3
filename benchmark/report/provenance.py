"""Where the numbers come from: commits, versions, machines and exact command lines, as the rows say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.versions import merged


@dataclass(frozen=True)
class CodecFacts:
    """What the rows say of one codec; several versions or binaries mean that the runs differ."""

    codec: str
    codec_id: str
    point_name: str
    options: tuple[str, ...]
    versions: tuple[str, ...]
    encode_argv: str
    decode_argv: str
    binary_sha256: tuple[str, ...]
    config_sha256: tuple[str, ...]
    rows: int
    failed: int


@dataclass(frozen=True)
class Provenance:
    """What the rows say of code, machines and dates. `environments` are distinct JSON objects, read."""

    codecs: tuple[CodecFacts, ...]
    environments: tuple[Mapping[str, Any], ...]
    protocols: tuple[str, ...]
    machines: tuple[str, ...]
    metric_versions: tuple[str, ...]
    conversions: tuple[str, ...]
    runs: int
    rows: int
    first: str
    last: str

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits that measured, each marked if it had changes that were not committed."""
        found = {(str(e.get("commit") or "unknown"), bool(e.get("dirty"))) for e in self.environments}
        return tuple(
            f"{commit}{' (with uncommitted changes)' if dirty else ''}" for commit, dirty in sorted(found)
        )


def provenance(frame: pd.DataFrame) -> Provenance:
    """Gather the provenance of a frame with Record's columns (see `results.SCHEMA`)."""
    started = frame["started_at"][frame["started_at"] != ""]
    groups = frame.groupby("codec", sort=True, observed=True)
    return Provenance(
        codecs=tuple(_facts(str(codec), rows) for codec, rows in groups),
        environments=tuple(_object(text) for text in _distinct(frame["environment"])),
        protocols=_distinct(frame["protocol"]),
        machines=_distinct(frame["machine"]),
        metric_versions=_distinct(frame["metric_versions"]),
        conversions=tuple(t for t in _distinct(frame["image_conversions"]) if t != "[]"),
        runs=int(frame["run_id"].nunique()),
        rows=len(frame),
        first=str(started.min()) if len(started) else "",
        last=str(started.max()) if len(started) else "",
    )


def _facts(codec: str, rows: pd.DataFrame) -> CodecFacts:
    codec_id = str(rows["codec_id"].iloc[0])
    return CodecFacts(
        codec=codec,
        codec_id=codec_id,
        point_name=" or ".join(_distinct(rows["point_name"])) or "point",
        options=_distinct(rows["codec_options"]),
        versions=merged(_distinct(rows["codec_version"])),
        encode_argv=_command(rows["encode_argv"]),
        decode_argv=_command(rows["decode_argv"]),
        binary_sha256=_distinct(rows["binary_sha256"]),
        config_sha256=_distinct(rows["config_sha256"]),
        rows=len(rows),
        failed=int((rows["status"] != "ok").sum()),
    )


def _distinct(column: pd.Series[Any]) -> tuple[str, ...]:
    return tuple(sorted(str(value) for value in column.dropna().unique() if value != ""))


def _command(column: pd.Series[Any]) -> str:
    """Return one command line as a shell would take it: the first of the rows, as an example of all."""
    import shlex

    held = _distinct(column)
    if not held:
        return ""
    argv = json.loads(held[0])
    return shlex.join(str(argument) for argument in argv)


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
