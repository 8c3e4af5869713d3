"""Plant twelve faults in turn and count how many the gate catches; then repeat unchanged and count false
alarms.

Run: PYTHONPATH=. python tests/gate/plant_faults.py [--repetitions 50] [--images 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numba
import pandas as pd
import torch
from faulty import FAULTS, HARDER, IMAGES, POINTS, Fault, measure, planted, write_images

from benchmark.gate.check import GateReport, check
from benchmark.gate.formats import in_words


def caught_by(report: GateReport) -> str:
    """Say in a few words what failed the gate."""
    verdicts = [f"{v.metric} {in_words(v)}" for v in report.verdicts if v.verdict == "regression"]
    findings = [f.kind for f in report.findings if f.severity == "fail"]
    return "; ".join([*dict.fromkeys(findings), *verdicts[:1]]) or "-"


def check_fault(fault: Fault, images: dict[str, Path], clean: pd.DataFrame) -> GateReport:
    """Measure the spoiled codec anew, the others as they were, and ask the gate."""
    with planted(fault):
        spoiled = measure(images, [fault.codec])
    frame = pd.concat([clean[clean["codec"] != fault.codec], spoiled], ignore_index=True)
    return check(frame, clean, suite="smoke", against="clean")


def main() -> None:
    """Print both tables and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--images", type=int, default=len(IMAGES), help="how many for the repetitions")
    arguments = parser.parse_args()
    repetitions: int = arguments.repetitions
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(Path(folder))
        torch.set_num_threads(1)
        start = time.perf_counter()
        clean = measure(images, list(POINTS))
        print(f"{len(clean)} evaluations in {time.perf_counter() - start:.0f} s\n", flush=True)
        caught = 0
        for fault in (*FAULTS, *HARDER):
            report = check_fault(fault, images, clean)
            caught += report.exit_code == 1 and fault in FAULTS
            print(f"{fault.name:32} exit {report.exit_code}  {caught_by(report)[:150]}", flush=True)
        print(f"\ncaught: {caught} of {len(FAULTS)}\n", flush=True)
        alarms = 0
        few = dict(list(images.items())[: arguments.images])
        clean = clean[clean["image"].isin(list(few))]
        for i in range(repetitions):
            threads = 1 + i % 2
            torch.set_num_threads(threads)
            numba.set_num_threads(threads)
            report = check(measure(few, list(POINTS)), clean, suite="smoke", against="clean")
            alarms += report.exit_code != 0
            if report.exit_code:
                print(
                    f"false alarm, {threads} threads: exit {report.exit_code}, {caught_by(report)}",
                    flush=True,
                )
            if i % 10 == 9:
                print(f"{i + 1} repetitions, {alarms} false alarms", flush=True)
        print(f"false alarms: {alarms} of {repetitions} unchanged repetitions, 1 and 2 threads in turn")
        print(f"({len(clean)} evaluations each, times included)")


if __name__ == "__main__":
    main()
