"""Does to real runs what nights and strangers do to them, and prints what became of the rows.

    python tests/faults/every_fault.py [--moments 200] [--seed 0] [--only WORDS]

Kills come at `--moments` random moments in all, shared among those who are killed; other faults once each.
After every fault the run is started again, undisturbed, and its rows are compared with those of a run that
nothing happened to. Faults that need a small file system are skipped, and say so, where none can be mounted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from dask_processes import Cluster, cluster
from running import Runs, make_runs, wait_until
from test_signals import SCRIPT, install_programs

from benchmark.results.store import JOURNAL, TABLE, read_results

Rows = dict[tuple[str, float, str], tuple[str, str]]
OF_RUN = ("_lock", JOURNAL, TABLE, "_plan.json")


@dataclass
class Trial:
    """A folder in which a run is disturbed, and what became of it."""

    runs: Runs
    rng: random.Random
    moments: int = 1
    times: int = 0
    lost: int = 0
    duplicates: int = 0
    orphans: int = 0
    code: int | None = None
    said: str = ""
    failed: int = 0
    seen: set[tuple[str, float, str]] = field(default_factory=set)

    def rows(self) -> Rows:
        """Return the good rows on disk: codec, point and image -> hashes of stream and decoded image."""
        with suppress(Exception):
            frame = read_results(self.runs.results)
            slots = ["codec", "point", "image"]
            self.duplicates = max(self.duplicates, int(frame.duplicated(slots).sum()))
            good = frame[frame["status"] == "ok"]
            hashes = good[["bitstream_sha256", "decoded_sha256"]].itertuples(index=False, name=None)
            return dict(zip(good[slots].itertuples(index=False, name=None), hashes, strict=True))
        return {}

    @contextmanager
    def run(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Start the run; when the block ends wait for it, and note how it ended and what it lost."""
        with self.runs.start("--jobs", "2", *options) as process:
            yield process
            out, err = process.communicate(timeout=300)
        self.times += 1
        self.code = process.returncode
        lines = [line for line in (err + out).splitlines() if line.startswith(("warning:", "bench:"))]
        lines = [line.removeprefix("warning: ") for line in lines if "is skipped" not in line] or self.saying(
            out
        )
        self.said = self.said or (lines[-1] if self.code not in (0, 1) else lines[0])
        assert "Traceback" not in err, err
        wait_until(lambda: True)
        self.lost += len(self.seen - self.rows().keys())

    def saying(self, out: str) -> list[str]:
        return [line for line in out.splitlines() if "measured" in line] or [""]

    def more_rows(self, process: subprocess.Popen[str]) -> None:
        """Wait for a random moment of the run: some rows more, and a part of an evaluation."""
        before, wanted = len(self.rows()), self.rng.randint(1, 3)
        wait_until(lambda: process.poll() is not None or len(self.rows()) >= before + wanted, 180)
        time.sleep(self.rng.random() * 0.1)
        self.seen |= self.rows().keys()

    def count_orphans(self) -> None:
        """Count processes of the run that still are there, two seconds after it."""
        time.sleep(2)
        mark = f"TMPDIR={self.runs.folder / 'temporary'}"
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and mark in "\0".join(
                    f"{k}={v}" for k, v in process.environ().items()
                ):
                    self.orphans += 1

    def leftovers(self) -> list[str]:
        """Return what lies in the temporary folder, and in the results beside what belongs there."""
        found = list((self.runs.folder / "temporary").iterdir()) + list(self.runs.results.iterdir())
        return [path.name for path in found if path.name not in (*OF_RUN, "dask-scratch-space")]


def kill_run(trial: Trial, how: signal.Signals = signal.SIGKILL) -> None:
    for _ in range(trial.moments):
        with trial.run() as process:
            trial.more_rows(process)
            process.send_signal(how)
        trial.count_orphans()
        if len(trial.rows()) > 30:
            shutil.rmtree(trial.runs.results)  # so that the next one has something to do
            trial.seen = set()


def _descendants(process: subprocess.Popen[str], words: str) -> list[psutil.Process]:
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if words in " ".join(child.cmdline()):
                    found.append(child)
    return found


def kill_child(trial: Trial, words: str) -> None:
    left = trial.moments
    encoder = trial.runs.folder / "programs" / "copyenc"
    encoder.write_text(SCRIPT.format(body="sleep 0.3"))  # as long as it takes to be met
    while left > 0:
        if trial.runs.results.exists():
            shutil.rmtree(trial.runs.results)
        trial.seen = set()
        with trial.run() as process:
            for _ in range(min(left, 5)):
                trial.more_rows(process)
                wait_until(lambda: process.poll() is not None or _descendants(process, words) != [], 60)
                if found := _descendants(process, words):
                    with suppress(psutil.Error):
                        trial.rng.choice(found).kill()
                    trial.times += 1
                left -= 1
        trial.times -= 1
    trial.count_orphans()


def on_cluster(trial: Trial, disturb: Callable[[Trial, Cluster], None]) -> None:
    for number in range(trial.moments):
        if trial.runs.results.exists():
            shutil.rmtree(trial.runs.results)
        trial.seen = set()
        with (
            cluster(trial.runs.folder / f"dask{number}", trial.runs.environment) as found,
            trial.run("--scheduler", found.address, "--patience", "3") as process,
        ):
            trial.more_rows(process)
            disturb(trial, found)


def kill_dask_worker(trial: Trial, found: Cluster) -> None:
    trial.rng.choice(found.worker_processes()).kill()


def kill_scheduler(trial: Trial, found: Cluster) -> None:
    found.scheduler.kill()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 24 MiB at `folder`. Raises OSError where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], capture_output=True, check=False
    )
    if done.returncode:
        raise OSError("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    return filler


def full_disk(trial: Trial, name: str) -> None:
    with small_disk(trial.runs.folder / name) as folder:
        with trial.run() as process:
            trial.more_rows(process)
            filler = _fill(folder)
        trial.count_orphans()
        filler.unlink()
        finish(trial)


def full_disk_of_report(trial: Trial) -> None:
    trial.runs.run()
    with small_disk(trial.runs.folder / "report") as folder:
        _fill(folder)
        argv = ["python", "-m", "benchmark", "report", "mid", "--results", "out", "--out", str(folder)]
        done = subprocess.run(
            argv,
            cwd=trial.runs.folder,
            env=trial.runs.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    trial.times, trial.code = 1, done.returncode
    trial.said = [line for line in done.stderr.splitlines() if line][-1]
    assert "Traceback" not in done.stderr, done.stderr


def read_only(trial: Trial) -> None:
    with small_disk(trial.runs.folder / "out") as folder:
        trial.runs.run()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with trial.run("--fresh"):
            pass
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        finish(trial)


def removed(trial: Trial) -> None:
    with trial.run() as process:
        trial.more_rows(process)
        shutil.rmtree(trial.runs.results)
        before, trial.seen = trial.seen, set()
    rescued = trial.runs.results.with_name("mid-rescued-1")
    found = read_results(rescued)
    kept = set(found[["codec", "point", "image"]].itertuples(index=False, name=None))
    trial.lost += len(before - kept)
    shutil.rmtree(rescued)


def altered(trial: Trial, change: Callable[[bytes, random.Random], bytes]) -> None:
    trial.runs.run()
    path = trial.runs.results / TABLE
    good = path.read_bytes()
    path.write_bytes(change(good, trial.rng))
    with trial.run():
        pass
    path.write_bytes(good)  # from the backup that the user has, or else it is deleted and measured again


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def other_schema(trial: Trial, version: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def change(data: bytes, rng: random.Random) -> bytes:
        table = pq.read_table(pa.BufferReader(data))
        at = table.schema.get_field_index("schema_version")
        table = table.set_column(at, "schema_version", pa.array([version] * len(table)))
        out = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({}), out)
        return bytes(out.getvalue())

    altered(trial, change)


def program(trial: Trial, name: str, body: str, *options: str) -> None:
    """Let the encoder or decoder do `body` before it copies, once; it is a good one in the next run."""
    path = trial.runs.folder / "programs" / name
    path.write_text(SCRIPT.format(body=body))
    trial.runs.environment["BENCH_MAX_PIXELS"] = "10000000"
    with trial.run(*options):
        pass
    trial.count_orphans()
    path.write_text(SCRIPT.format(body=""))


def two_runs(trial: Trial) -> None:
    with trial.run() as process:
        trial.more_rows(process)
        second = trial.runs.run()
        assert second.returncode == 2
        trial.said = second.stderr.splitlines()[-1]
        process.kill()
    trial.count_orphans()


def memory(trial: Trial) -> None:
    suite = trial.runs.folder / "mid.toml"
    text = suite.read_text()
    suite.write_text(text.replace('does = "nothing"', 'does = "take memory"'))
    with trial.run("--memory", "1.5"):
        pass
    suite.write_text(text)
    shutil.rmtree(trial.runs.results)
    trial.seen = set()


_SIZE = 'printf \'P6\\n%d %d\\n{maximum}\\n\' {size} > "$2"; head -c {bytes} /dev/zero >> "$2"; exit'
KILLS: dict[str, Callable[[Trial], None]] = {
    "SIGKILL of the run": kill_run,
    "SIGKILL of a worker": lambda trial: kill_child(trial, "spawn_main"),
    "SIGKILL of an encoder": lambda trial: kill_child(trial, "copyenc"),
    "SIGTERM": lambda trial: kill_run(trial, signal.SIGTERM),
    "SIGHUP": lambda trial: kill_run(trial, signal.SIGHUP),
    "Ctrl-C": lambda trial: kill_run(trial, signal.SIGINT),
    "SIGKILL of a Dask worker": lambda trial: on_cluster(trial, kill_dask_worker),
    "SIGKILL of the Dask scheduler": lambda trial: on_cluster(trial, kill_scheduler),
}
OTHERS: dict[str, Callable[[Trial], None]] = {
    "disk full: results": lambda trial: full_disk(trial, "out"),
    "disk full: temporary files": lambda trial: full_disk(trial, "temporary"),
    "disk full: report": full_disk_of_report,
    "results folder read-only": read_only,
    "results folder removed": removed,
    "table truncated": lambda trial: altered(trial, lambda data, rng: data[: rng.randrange(1, len(data))]),
    "a flipped bit": lambda trial: altered(trial, _flip),
    "table empty": lambda trial: altered(trial, lambda data, rng: b""),
    "table of schema 0": lambda trial: other_schema(trial, "0"),
    "table of schema 99": lambda trial: other_schema(trial, "99"),
    "encoder hangs": lambda trial: program(trial, "copyenc", '[ "$3" = 2 ] && sleep 600', "--timeout", "3"),
    "encoder ignores SIGTERM and hangs": lambda trial: program(
        trial, "copyenc", "trap '' TERM; [ \"$3\" = 2 ] && while :; do sleep 1; done", "--timeout", "3"
    ),
    "encoder leaves processes": lambda trial: program(trial, "copyenc", "setsid sleep 300 & sleep 300 &"),
    "encoder writes without end": lambda trial: program(trial, "copyenc", '[ "$3" = 2 ] && exec yes > "$2"'),
    "encoder prints 1 GB": lambda trial: program(trial, "copyenc", '[ "$3" = 2 ] && yes | head -c 1G'),
    "encoder exits 0 without output": lambda trial: program(trial, "copyenc", '[ "$3" = 2 ] && exit 0'),
    "encoder writes half a stream": lambda trial: program(
        trial, "copyenc", '[ "$3" = 2 ] && { head -c 9000 "$1" > "$2"; exit 0; }'
    ),
    "encoder crashes on one in ten": lambda trial: program(
        trial, "copyenc", '[ "$(($(cksum < "$1" | cut -d" " -f1) % 10 + $3))" = 10 ] && kill -SEGV $$'
    ),
    "decoder of another size": lambda trial: program(
        trial, "copydec", _SIZE.format(size="90 80", maximum=255, bytes=21600)
    ),
    "decoder of 16 bits": lambda trial: program(
        trial, "copydec", _SIZE.format(size="96 80", maximum=65535, bytes=46080)
    ),
    "decoder of one channel": lambda trial: program(
        trial, "copydec", 'printf \'P5\\n96 80\\n255\\n\' > "$2"; head -c 7680 /dev/zero >> "$2"; exit'
    ),
    "memory limit reached": memory,
    "two runs on one store, one killed": two_runs,
}
FAULTS = KILLS | OTHERS


def finish(trial: Trial) -> None:
    """Run undisturbed to the end; keep what became of it."""
    done = trial.runs.run("--jobs", "2", seconds=300)
    trial.failed = done.returncode
    trial.final = trial.rows()  # type: ignore[attr-defined]
    trial.left = trial.leftovers()  # type: ignore[attr-defined]


def suite(runs: Runs) -> None:
    """Ask for 39 evaluations: of a codec in process, and of one that is two programs."""
    runs.suite(points=8, images=3, seconds=0.05)
    install_programs(runs, "", keep=True, points=range(1, 6))


def undisturbed() -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        runs = make_runs(Path(folder))
        suite(runs)
        runs.run("--jobs", "2", seconds=300)
        return Trial(runs, random.Random(0)).rows()


def attempt(name: str, expected: Rows, moments: int = 1, seed: int = 0) -> list[str]:
    """Do one fault; return the cells of its row in the table. Raises OSError where it cannot be done here."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        runs = make_runs(Path(folder))
        suite(runs)
        trial = Trial(runs, random.Random(f"{seed} {name}"), moments)
        FAULTS[name](trial)
        if not hasattr(trial, "final"):
            finish(trial)
        final: Rows = trial.final  # type: ignore[attr-defined]
        left: list[str] = trial.left  # type: ignore[attr-defined]
    equal = "yes" if final == expected and trial.failed == 0 else f"{len(final)} of {len(expected)} rows"
    counts = [trial.times, trial.lost, trial.duplicates, trial.orphans, len(left), trial.code]
    said = trial.said.replace("|", "\\|").replace(str(folder), "…").replace("out/mid", "results/mid")
    return [name, *map(str, counts), said[:140], equal]


HEADINGS = (
    "what",
    "times",
    "rows lost",
    "duplicates",
    "orphans",
    "leftovers",
    "exit code",
    "it says",
    "next run equal",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=200, help="of kills and signals, in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="faults with these words in their name")
    arguments = parser.parse_args()
    expected = undisturbed()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    for name in FAULTS:
        if arguments.only not in name:
            continue
        try:
            moments = max(1, arguments.moments // len(KILLS)) if name in KILLS else 1
            print(f"| {' | '.join(attempt(name, expected, moments, arguments.seed))} |", flush=True)
        except OSError as error:
            print(f"| {name} | skipped: {error} |", flush=True)


if __name__ == "__main__":
    main()
