"""Real runs in processes of their own, of a codec that misbehaves in the way a test names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import harness
import numpy as np
import pandas as pd
import PIL.Image
from wild import MARK

from benchmark.results.store import read_results

TESTS = Path(__file__).parents[1]
CODEC = """
[[codec]]
name = "{does}"
codec = "wild"
points = {points}
options = {{ does = "{does}", seconds = {seconds} }}
"""


@dataclass
class Runs:
    """A folder with images, a suite and its results, and what is needed to run it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The results folder of the suite."""
        return self.folder / "out" / "mid"

    def suite(self, *does: str, points: int = 1, images: int = 3, seconds: float = 0.0) -> None:
        """Write a suite of codecs, each of which misbehaves in one way on the first image."""
        found = harness.make_images(self.folder / "images", images)
        with PIL.Image.open(found / "image0.png") as file:
            pixels = np.array(file)
        pixels[0, 0] = MARK
        PIL.Image.fromarray(pixels).save(found / "image0.png")
        all_points = [float(n) for n in range(1, points + 1)]
        codecs = [CODEC.format(points=all_points, does=name, seconds=seconds) for name in does or ["nothing"]]
        text = 'name = "mid"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n' + "".join(codecs)
        (self.folder / "mid.toml").write_text(text)

    def rows(self) -> pd.DataFrame:
        """Return the results by codec and image."""
        return read_results(self.results).set_index(["codec", "image"])

    @contextmanager
    def start(self, *options: str, terminal: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        """Run the suite in the background; kill it when the block ends."""
        argv = [sys.executable, "-m", "benchmark", "run", "suite", "mid.toml", "--out", "out", *options]
        ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # else children would ignore it
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self.environment,
            stdout=terminal,
            stderr=terminal,
            text=True,
            start_new_session=terminal != subprocess.PIPE,
        )
        signal.signal(signal.SIGINT, ignored)
        with process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *options: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the suite to its end."""
        with self.start(*options) as process:
            out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def wait_for(self, rows: int) -> None:
        """Wait until so many rows are in the store."""

        def there() -> bool:
            with suppress(Exception):  # the folder may be in the making
                return len(read_results(self.results)) >= rows
            return False

        wait_until(there, 180)


def make_runs(folder: Path) -> Runs:
    """Return runs in `folder`, which know the codecs of `wild`."""
    site = folder / "site"
    entry_points = "[bench.codecs]\nwild = wild_package:ENTRY\ncopy = wild_package:COPY\n"
    harness.install_package(site, "wild_package", "from wild import COPY, ENTRY", entry_points)
    (folder / "temporary").mkdir()
    paths = map(str, (site, TESTS.parent, TESTS, TESTS / "faults"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(folder / "temporary"),
        "COLUMNS": "200",
    }
    return Runs(folder, environment)


def wait_until(there: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until `there()`, with an end."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
