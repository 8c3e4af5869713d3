"""Signals end a run as Ctrl-C does: told, merged, and with nothing left behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from running import Runs, wait_until

SCRIPT = """#!/bin/sh
if [ "$1" = --version ]; then echo "copier 1"; exit; fi
{body}
cp "$1" "$2"
"""


def install_programs(runs: Runs, body: str, *, keep: bool = False, points: Sequence[int] = (1, 2)) -> None:
    """Ask for the codec `copy`, whose encoder does `body` first, alone or before the others."""
    programs = runs.folder / "programs"
    programs.mkdir()
    for name, first in (("copyenc", body), ("copydec", "")):
        (programs / name).write_text(SCRIPT.format(body=first))
        (programs / name).chmod(stat.S_IRWXU)
    runs.environment["WILD_PROGRAMS"] = str(programs)
    suite = runs.folder / "mid.toml"
    head, others = re.split(r"(?=\[\[)", suite.read_text(), maxsplit=1)
    suite.write_text(f'{head}[[codec]]\nname = "copy"\npoints = {list(points)}\n{others if keep else ""}')


def processes_below(folder: Path) -> list[str]:
    """Return the command lines of processes whose working directory lies below `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if folder in (process / "cwd").readlink().parents:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_a_run_as_ctrl_c_does(runs: Runs, how: signal.Signals) -> None:
    temporary = runs.folder / "temporary"
    runs.suite()
    install_programs(runs, f'[ "$3" = 2 ] && echo $$ > "{runs.folder}/pid" && exec sleep 300')
    with runs.start() as running:
        runs.wait_for(1)
        wait_until((runs.folder / "pid").exists)
        running.send_signal(how)
        _, said = running.communicate(timeout=60)
    wait_until(lambda: processes_below(temporary) == [], 5)
    if how == signal.SIGKILL:
        assert len(list(temporary.iterdir())) == 1  # of the run, in it what it and its processes left
    else:
        assert running.returncode == (130 if how == signal.SIGINT else 128 + how)
        assert "results so far are in out/mid; rerun to resume" in said
        assert how == signal.SIGINT or f"bench: stopped by {how.name}" in said
        assert "Traceback" not in said
        assert list(temporary.iterdir()) == []
        assert (runs.results / "_journal.jsonl").stat().st_size == 0
        assert len(pd.read_parquet(runs.results)) >= 1
    (runs.folder / "programs" / "copyenc").write_text(SCRIPT.format(body=""))
    again = runs.run()
    assert again.returncode == 0, again.stderr
    assert len(pd.read_parquet(runs.results)) == 6
    assert list(temporary.iterdir()) == []


def test_a_closed_terminal_ends_a_run_and_its_journal_is_merged(runs: Runs) -> None:
    runs.suite("sleep")
    ours, theirs = pty.openpty()
    with runs.start("--jobs", "2", terminal=theirs) as running:
        os.close(theirs)
        runs.wait_for(2)
        running.send_signal(signal.SIGHUP)  # as the kernel does to the session of a terminal
        os.close(ours)
        running.wait(timeout=60)
    assert (runs.results / "_journal.jsonl").stat().st_size == 0
    assert len(pd.read_parquet(runs.results)) == 2
    assert list((runs.folder / "temporary").iterdir()) == []


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [None, signal.SIGKILL])
def test_no_process_of_a_codec_outlives_the_run_or_the_next_one(
    runs: Runs, how: signal.Signals | None
) -> None:
    pids = runs.folder / "pids"
    runs.suite("leave a child", points=10, images=1, seconds=0.1)
    runs.environment["WILD_PIDS"] = str(pids)
    install_programs(runs, f"setsid sh -c 'echo $$ >> \"{pids}\"; exec sleep 300' & sleep 0.2", keep=True)
    if how is None:
        done = runs.run()
        assert "12 measured" in done.stdout, done.stderr
    else:
        with runs.start() as running:
            wait_until(lambda: pids.exists() and len(pids.read_text().split()) > 4)
            running.kill()
            running.wait()
        assert any(is_alive(pid) for pid in pids.read_text().split())
        assert runs.run().returncode == 0
    wait_until(lambda: not any(is_alive(pid) for pid in pids.read_text().split()), 5)
