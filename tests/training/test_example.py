"""The script of examples/, from a CompressAI checkpoint to a report with TCQ, in a shortened form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT

from benchmark import api

SCRIPT = ROOT / "examples" / "compressai_to_tcq.py"


@pytest.mark.slow
def test_the_example_runs_from_training_to_the_report(photographs: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--data", str(photographs), "--out", "made", "--quick"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ bench import" in done.stdout and "$ bench finetune" in done.stdout
    rows = api.load(tmp_path / "made" / "results" / "compressai-to-tcq").frame
    learned = rows[~rows["codec"].isin(["bpg", "jpeg"])]
    assert set(learned["codec"]) == {
        "CompressAI",
        "imported, rounding",
        "imported, TCQ",
        "finetuned, TCQ",
    }
    assert (learned["status"] == "ok").all()
    assert learned[["ssimulacra2", "nlpd_y", "ciede2000"]].notna().all().all()
    assert any((tmp_path / "made" / "report").rglob("*.md"))
    assert json.loads((tmp_path / "made" / "weights" / "manifest.json").read_text())["files"]
