"""Whatever a codec raises, says or does to its process costs that one row, and the run goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
from running import Runs

UMASK = os.umask(0o22)
os.umask(UMASK)
FIRST, OTHERS = "image0.png", ("image1.png", "image2.png")

BAD_WORDS = {
    "a surrogate": "OSError: no such image: caf\\udce9/a.png",
    "note a word": "TypeError: column entropy_bits: 'many' is no number",
    "note not a number": "note(entropy_bits=...): JSON cannot hold it",
    "note a nest": "note(nest=...): JSON cannot hold it",
}


def test_what_no_table_can_hold_fails_the_row_that_says_it(runs: Runs) -> None:
    runs.suite(*BAD_WORDS, "note a numpy scalar", "note a surrogate")
    done = runs.run()
    assert "Traceback" not in done.stderr, done.stderr
    assert "14 measured, 0 reused, 4 failed" in done.stdout
    rows = runs.rows()
    for does, error in BAD_WORDS.items():
        assert error in rows.loc[does, FIRST]["error"]
        assert [rows.loc[does, image]["status"] for image in OTHERS] == ["ok", "ok"]
    scalar = rows.loc["note a numpy scalar", FIRST]
    assert (scalar["entropy_bits"], json.loads(scalar["extra"])) == (1.5, {"levels": 8})
    assert rows.loc["note a surrogate", FIRST]["binary_sha256"] == "caf\\udce9"
    (runs.results / "_journal.jsonl").write_text("[" * 100_000 + "\n{}\n")  # what older versions wrote
    again = runs.run()
    assert "0 measured, 14 reused, 4 failed" in again.stdout
    assert "out/mid: 2 unreadable journal lines were dropped; they are measured again" in again.stderr
    assert len(pd.read_parquet(runs.results)) == 18


RAISED = {
    "exit": "SystemExit: 0",
    "interrupt": "KeyboardInterrupt",
    "generator exit": "GeneratorExit",
    "no words": "_NoWordsError",
    "hard exit 0": "the worker process died (exit code 0)",
    "hard exit 3": "the worker process died (exit code 3)",
}


def test_whatever_a_codec_raises_and_however_its_process_ends_costs_that_row(runs: Runs) -> None:
    runs.suite(*RAISED, "exit at once")
    done = runs.run(seconds=90)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert "12 measured, 0 reused, 6 failed" in done.stdout
    assert "codec 'exit at once' is skipped: it cannot be asked for its version" in done.stderr
    assert "SystemExit(0)" in done.stderr
    rows = runs.rows()
    for does, error in RAISED.items():
        assert rows.loc[does, FIRST]["error"].strip(": ") == error
        assert [rows.loc[does, image]["status"] for image in OTHERS] == ["ok", "ok"]


def test_what_a_codec_changes_in_its_process_is_put_back_before_the_next_one(runs: Runs) -> None:
    runs.suite("leak", "tell the state")
    done = runs.run("--keep")
    assert "6 measured, 0 reused, 0 failed" in done.stdout, done.stderr
    rows = runs.rows()
    told = json.loads(rows.loc["tell the state", FIRST]["extra"])
    threads = rows["threads"].iloc[0]
    assert told == {
        "folder": str(runs.folder),
        "threads": threads,
        "divide": "warn",
        "wild": None,
        "umask": UMASK,
        "precision": 28,
        "terminating": True,
    }
    left = json.loads(rows.loc["leak", FIRST]["extra"])["left_changed"]
    assert left == [
        "working directory",
        "environment variables",
        "umask",
        "signal handlers",
        "numpy's error state",
        "decimal's context",
        "torch's threads",
    ]
    assert len(list((runs.results / "_kept").rglob("*.png"))) == 6
    assert not Path("/out/mid").exists()
