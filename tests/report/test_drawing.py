"""Figures drawn by other processes, and reports of some codecs alone."""

from __future__ import annotations

import pickle
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path

import pandas as pd
from report_small_run import SmallRun
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.report.figures.draw import Drawing
from benchmark.report.write import drawing_processes


def test_other_processes_draw_the_same_figures(small_run: SmallRun, tmp_path: Path) -> None:
    with (
        drawing_processes(["svg"]) as executor,
        Drawing(small_run.summary, tmp_path, ["svg"], executor=executor) as drawing,
    ):
        pass
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(plot.stem for plot in drawing.plots)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (small_run.report / "plots" / path.name).read_bytes()


def test_figures_are_drawn_here_where_the_processes_die(small_run: SmallRun, tmp_path: Path) -> None:
    class Dead(Executor):
        def submit(self, *_: object) -> Future[None]:  # type: ignore[override]
            job: Future[None] = Future()
            job.set_exception(BrokenExecutor("killed"))
            return job

    with Drawing(small_run.summary, tmp_path, ["png"], executor=Dead()) as drawing:
        sent = pickle.dumps(drawing._lean)
    assert len(list(tmp_path.iterdir())) == len(drawing.plots) > 5
    assert len(sent) < 300_000


def test_no_processes_without_figures() -> None:
    with drawing_processes(["csv", "html"]) as executor:
        assert executor is None


def test_a_report_of_some_codecs_holds_the_anchor_too(small_run: SmallRun, tmp_path: Path) -> None:
    command = ["report", "small", "--results", str(small_run.results.parent), "--out", str(tmp_path)]
    narrowed = ["--codec", "webp", "--anchor", "jpeg", "--format", "csv"]
    done = CliRunner().invoke(build_app(), [*command, *narrowed])
    assert done.exit_code == 0, done.output
    assert set(pd.read_csv(tmp_path / "tables" / "curves.csv")["codec"]) == {"webp", "jpeg"}
    assert set(pd.read_csv(tmp_path / "tables" / "bd-rate.csv")["codec"]) == {"webp"}
