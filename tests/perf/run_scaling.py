"""What an evaluation costs a run that does next to nothing else, and what more jobs bring.

    python tests/perf/run_scaling.py [--tasks 1000 10000]    the cost of a task, of the parent, of resuming
    python tests/perf/run_scaling.py --jobs                  one job and two, four Dask workers and four jobs

Wall times mean something on an idle machine alone; processor times, of all processes together, do on a busy
one too. A codec that loses nothing (`null`) codes images of 16x16 pixels, or where work is to be done,
`jpegxl` photographs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

ROOT = Path(__file__).parents[2]
IMAGES = 10
POINTS = tuple(range(8, 17))


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds by the clock and of the processor, its children's too, and MiB."""

    wall: float
    cpu: float
    memory: float
    said: str


def measured(*arguments: str, folder: Path) -> Cost:
    """Run a suite in `folder`."""
    command = [sys.executable, "-m", "benchmark", "run", "suite", "s.toml", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        peak = 0.0
        while True:
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                peak = max(peak, next(int(line.split()[1]) / 1024 for line in status if "VmHWM" in line))
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.1)
    process.returncode = code
    text = (folder / "said").read_text()
    assert code == 0, text
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak, text)


def tiny_suite(folder: Path, tasks: int) -> int:
    """Write a suite of about so many evaluations; return how many."""
    labels = max(1, round(tasks / IMAGES / len(POINTS)))
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    codecs = "".join(
        f'[[codec]]\nname = "null {n}"\ncodec = "null"\npoints = {list(POINTS)}\n' for n in range(labels)
    )
    head = 'name = "s"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n'
    (folder / "s.toml").write_text(head + codecs)
    return labels * IMAGES * len(POINTS)


def scale(tasks: list[int]) -> None:
    print("| evaluations | wall s | CPU s | CPU ms each | parent MiB | resume: wall s | CPU s | MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for asked in tasks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            count = tiny_suite(folder, asked)
            first, again = (measured(folder=folder) for _ in range(2))
            assert "nothing to do" in again.said
            print(
                f"| {count:,} | {first.wall:.1f} | {first.cpu:.1f} | {1000 * first.cpu / count:.2f} | "
                f"{first.memory:.0f} | {again.wall:.1f} | {again.cpu:.1f} | {again.memory:.0f} |",
                flush=True,
            )


def jobs() -> None:
    print("| workers | wall s | CPU s |\n|---|---|---|")
    for options in (("--jobs", "1"), ("--jobs", "2"), ("--jobs", "4"), ("--scheduler", "local:4")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            text = (
                'name = "s"\ndataset = "demo"\nmetrics = ["psnr_rgb"]\n[[codec]]\nname = "jpegxl"\n'
                "options = { effort = 7 }\n"
            )
            (folder / "s.toml").write_text(text)
            cost = measured(*options, folder=folder)
            print(f"| {' '.join(options)} | {cost.wall:.1f} | {cost.cpu:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--jobs", action="store_true")
    arguments = parser.parse_args()
    if arguments.jobs:
        jobs()
    else:
        scale(arguments.tasks)


if __name__ == "__main__":
    main()
