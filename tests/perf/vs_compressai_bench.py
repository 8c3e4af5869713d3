"""Wall time of the JPEG run on all of Kodak: ours against `python -m compressai.utils.bench jpeg`, in turn.

Both encode, decode and score (PSNR and MS-SSIM among them) 24 images at 19 qualities with two processes.
Ours stores every row as well, with two more metrics. Prints each time, the ratio, and where our time goes.

    BENCH_DATA_DIR=... python tests/perf/vs_compressai_bench.py [repetitions]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
QUALITIES = list(range(5, 100, 5))
JOBS = 2

PEER = """
import runpy, sys
from benchmark.torchvision_stub import make_compressai_importable
make_compressai_importable()
sys.argv = {argv!r}
runpy.run_module("compressai.utils.bench", run_name="__main__", alter_sys=True)
"""

PROFILE = """
import time
from pathlib import Path
marks = [time.perf_counter()]
import benchmark.runs.evaluate as e
marks.append(time.perf_counter())
from benchmark.data.find import find_dataset
from benchmark.runs.suite import load_suite
from benchmark.codecs.base import collect_facts
import benchmark.metrics.measure as m, numpy as np, hashlib
suite = load_suite({suite!r})
tasks = suite.tasks(find_dataset(suite.dataset))[:19 * 6]
for t in tasks[:1]:
    e.evaluate(t, e.RunContext())
metrics = ["psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv"]
totals = dict.fromkeys(["PNG", "encode", "decode", "hashes", *metrics], 0.0)
def clock(name, call, *args):
    start = time.perf_counter(); result = call(*args); totals[name] += time.perf_counter() - start
    return result
encoder, decoder = e._codecs("jpeg", "{{}}")
whole = time.perf_counter()
for t in tasks:
    image = clock("PNG", e._image, t.image_path, t.image_sha256, t.crop).pixels
    stream = clock("encode", encoder.encode, image, t.point)
    decoded = clock("decode", decoder.decode, stream)
    clock("hashes", lambda: (hashlib.sha256(stream), hashlib.sha256(decoded.data)))
    for name in metrics:
        clock(name, m.measure, image, decoded, [name])
whole = time.perf_counter() - whole
print(f"  importing what a worker needs: {{marks[1] - marks[0]:.2f}} s")
for name, seconds in totals.items():
    print(f"  {{name:12}} {{1e3 * seconds / len(tasks):7.2f}} ms an evaluation")
print(f"  {{'all':12}} {{1e3 * whole / len(tasks):7.2f}} ms an evaluation, in one process")
"""


def timed(command: list[str], **options: object) -> float:
    """Return the wall time of a command in seconds; its output is shown if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, **options)  # type: ignore[call-overload]
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{command[:6]} failed:\n{done.stdout}\n{done.stderr}")
    return seconds


def peer_command(images: Path) -> list[str]:
    """Return the command line of CompressAI's bench, with the remedy for its import where that is needed."""
    argv = ["bench", "jpeg", str(images), "-j", str(JOBS), "-q", ",".join(map(str, QUALITIES))]
    return [sys.executable, "-c", PEER.format(argv=argv)]


def main() -> None:
    """Run both in turn and print the ratio."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    images = Path(os.environ.get("BENCH_DATA_DIR", "")) / "kodak"
    if not (images / "kodim01.png").exists():
        sys.exit("set BENCH_DATA_DIR to the folder that holds kodak/")
    with tempfile.TemporaryDirectory() as scratch:
        only_images = Path(scratch) / "kodak"
        only_images.mkdir()
        for image in sorted(images.glob("*.png")):
            shutil.copy(image, only_images)
        suite = Path(scratch) / "jpeg.toml"
        suite.write_text(
            'name = "jpeg"\ndataset = "kodak"\nmetrics = ["psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv"]\n'
            f'[[codec]]\nname = "jpeg"\npoints = {QUALITIES}\n'
        )
        times: dict[str, list[float]] = {"compressai": [], "ours": []}
        for number in range(repetitions):
            out = Path(scratch) / f"out{number}"
            ours = [sys.executable, "-m", "benchmark", "run", "suite", str(suite), "--out", str(out)]
            times["compressai"].append(timed(peer_command(only_images)))
            times["ours"].append(timed([*ours, "--jobs", str(JOBS)]))
            rows = pd.read_parquet(out / "jpeg")
            assert len(rows) == 24 * len(QUALITIES)
            assert (rows["status"] == "ok").all()
            last = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in times.items())
            print(f"run {number + 1}: {last}", flush=True)
        peer, own = (statistics.median(seconds) for seconds in times.values())
        print(f"median: compressai {peer:.2f} s, ours {own:.2f} s, {own / peer:.2f} of it (target 0.50)")
        print("where our time goes:")
        subprocess.run([sys.executable, "-c", PROFILE.format(suite=str(suite))], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
