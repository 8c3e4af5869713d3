"""The journal of a results folder: rows on disk as they come, until the table holds them."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path
from typing import IO, Any

from benchmark.files import replacing
from benchmark.results.records import JSON_COLUMNS, json_fault, record_of

JOURNAL = "_journal.jsonl"


def begin_journal(folder: Path) -> IO[bytes]:
    """Put an empty journal in the place of the one that is there, and return it, open. Raises OSError.

    It is a new file, not the old one emptied: whoever still has the old one open notices that (`is_at`), and
    has its rows.
    """
    with replacing(folder / JOURNAL, durable=True):
        pass
    return (folder / JOURNAL).open("r+b", buffering=0)


def read_journal(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the journal's rows, and how many lines but for a torn last one were unreadable."""
    try:
        lines = (folder / JOURNAL).read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], 0
    rows, unreadable = [], 0
    for line in lines[:-1]:  # what follows the last newline was torn off in the middle of writing
        try:
            row = record_of(json.loads(line)).row()
            if any(json_fault(column, row[column]) for column in JSON_COLUMNS):
                raise ValueError("a column of JSON that is none")
            rows.append(row)
        except (ValueError, TypeError, RecursionError):
            unreadable += 1
    return rows, unreadable


def is_at(path: str, descriptor: int) -> bool:
    """Whether the open file `descriptor` is the one that others find at `path`; asked after every row."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 (Path takes as long again)
    except OSError:
        return False


def rescue(folder: Path, journal: int, *, ours: bool) -> Path:
    """Return the folder that holds the rows of the open file `journal`, which is no more where it was.

    If it was moved they moved along. If it was deleted they are written again: to `folder` if it is `ours`,
    that is if nobody else can be writing there, else to a new results folder beside it. Raises OSError.
    """
    if os.fstat(journal).st_nlink:
        return Path(f"/proc/self/fd/{journal}").readlink().parent
    home = folder if ours else _new_folder_beside(folder)
    with (home / JOURNAL).open("ab") as file, open(journal, "rb", closefd=False) as rows:
        rows.seek(0)
        file.write(rows.read())
        file.flush()
        os.fsync(file.fileno())
    return home


def _new_folder_beside(folder: Path) -> Path:
    for number in count(1):
        new = folder.with_name(f"{folder.name}-rescued-{number}")
        if not new.exists():
            break
    new.mkdir(parents=True)
    return new
