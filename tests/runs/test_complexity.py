"""What a codec costs: measured in-process, as a table, as columns of rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark import stopwatch
from benchmark.cli import build_app
from benchmark.codecs import make_codec
from benchmark.images import save_png
from benchmark.runs.complexity import measure
from benchmark.runs.complexity_table import lines, to_csv
from benchmark.stopwatch import phase, watching

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_a_phase_inside_another_stops_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 2.0, 7.0, 8.0, 10.0, 13.0])
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: next(times))
    with watching() as watch:
        with phase("outer"), phase("inner"):
            pass
        with phase("outer"):
            pass
    assert watch.seconds == {"outer": 2.0 + 1.0 + 3.0, "inner": 5.0}


def test_phases_cost_nothing_unwatched() -> None:
    with phase("unseen"), watching() as watch:
        pass
    assert not watch.seconds


def test_a_learned_codec_has_all_figures() -> None:
    found = measure(make_codec("baseline"), 0.013, IMAGE, 2)
    assert found.operations is not None
    assert found.operations.decode_kmac_per_pixel == pytest.approx(14.106)
    assert {"network", "entropy coder", "quantizer"} == found.encode.phases.keys()
    assert sum(found.encode.phases.values()) <= found.encode.seconds.high * 1.01
    assert found.decode.peak_mib is None or found.decode.peak_mib > 50
    assert found.decode.seconds.low <= found.decode.seconds.median <= found.decode.seconds.high


def test_a_codec_without_networks_has_times_alone() -> None:
    found = measure(make_codec("jpeg"), 50, IMAGE, 3)
    assert found.operations is None
    assert not found.encode.phases
    table = {(line.unit, line.part): line for line in lines(found)}
    assert table["kMAC/pixel", "total"].encode is None
    assert table["s", "total"].decode is not None


def test_csv_has_a_line_a_figure() -> None:
    found = measure(make_codec("baseline"), 0.013, IMAGE, 1)
    rows = list(csv.DictReader(io.StringIO(to_csv({"codec": "baseline, it's"}, found))))
    total = next(row for row in rows if row["unit"] == "kMAC/pixel" and row["part"] == "total")
    assert total["codec"] == "baseline, it's"
    assert float(total["decode"]) == pytest.approx(14.106)
    assert {row["part"] for row in rows} >= {"g_a", "network", "entropy coder", "other", "peak memory"}


def test_command(tmp_path: Path) -> None:
    save_png(IMAGE, tmp_path / "in.png")
    arguments = ["complexity", "jpeg", str(tmp_path / "in.png"), "--repeat", "2", "--point", "40"]
    done = CliRunner().invoke(build_app(), [*arguments, "--csv", str(tmp_path / "out.csv")])
    assert done.exit_code == 0, done.output
    assert "jpeg at 40 on in.png, 96x64" in done.output
    (first, *_) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert (first["codec"], first["point"], first["encode"]) == ("jpeg", "40", "")
