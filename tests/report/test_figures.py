"""The contract of figures, over all in the registry, and figures that other packages add."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import bench_in, doc_block, install_package
from report_small_run import SmallRun

from benchmark.report.figures import FIGURES
from benchmark.report.figures.picture import picture
from benchmark.report.figures.plan import plan_plots
from benchmark.report.style import DOUBLE_COLUMN_INCHES, SINGLE_COLUMN_INCHES

figures = pytest.mark.parametrize("name", FIGURES.names())


@figures
def test_a_figure_draws_in_every_width_and_says_how_it_was_made(name: str, small_run: SmallRun) -> None:
    assert FIGURES.find(name).title
    plots = [plot for plot in plan_plots(small_run.summary) if plot.figure == name]
    assert {plot.wide for plot in plots} == {False, True}
    for plot in plots:
        canvas = picture(small_run.summary, plot)
        assert canvas.get_figwidth() == (DOUBLE_COLUMN_INCHES if plot.wide else SINGLE_COLUMN_INCHES)
        assert canvas.axes
        assert all(ax.has_data() and ax.get_xlabel() and ax.get_title() for ax in canvas.axes)
        assert "4 images" in plot.caption
        assert plot.stem.startswith(name)


@figures
def test_a_figure_without_data_says_that_it_does_not_apply(name: str, small_run: SmallRun) -> None:
    figure, metrics = FIGURES.find(name), small_run.summary.metrics
    nothing: dict[str, dict[str, Any]] = {metric: {} for metric in metrics}
    bare = replace(
        small_run.summary, curves=nothing, published={}, comparisons=nothing, savings=nothing, speeds={}
    )
    assert figure.applies(small_run.summary, metrics[0])
    assert not any(figure.applies(bare, metric) for metric in metrics)
    assert not figure.variants(bare)


def test_planning_loads_no_drawing_library() -> None:
    code = (
        "import sys; from benchmark.report.figures import FIGURES, draw, plan\n"
        "assert dict(FIGURES.items()) and not FIGURES.faults\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder where packages are installed for commands (see `harness.bench_in`)."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


def test_the_documented_figure_of_another_package_is_drawn_and_shown(site: Path, small_run: SmallRun) -> None:
    project = tomllib.loads(doc_block("toml", "bench.figures"))["project"]
    (entry,) = project["entry-points"]["bench.figures"].items()
    lines = ["[bench.figures]", " = ".join(entry), "gone = quality_bars:GONE", "rd = quality_bars:BARS"]
    install_package(site, "quality_bars", doc_block("python", "class QualityBars"), "\n".join(lines))
    results, report = str(small_run.results.parent), site.parent / "report"
    formats = ["--format", "svg", "--format", "html"]
    done = bench_in(site, "report", "small", "--results", results, "--out", str(report), *formats)
    said = " ".join((done.stdout + done.stderr).split())
    assert "figure 'gone': entry point gone = quality_bars:GONE of quality_bars cannot be loaded" in said
    assert "figure 'rd of quality_bars': entry point rd = quality_bars:BARS" in said
    stems = {f"bd-quality-{end}" for end in ("psnr", "ms-ssim", "wide")}
    drawn = {path.stem for path in (report / "plots").glob("*.svg")}
    assert drawn == {path.stem for path in (small_run.report / "plots").glob("*.svg")} | stems
    captions = (report / "plots" / "captions.txt").read_text()
    page = (report / "index.html").read_text()
    caption = captions.split("bd-quality-wide\n")[1].splitlines()[0]
    assert caption.startswith("BD-quality against jpeg")
    pictures = [name for name, figure in FIGURES.items() if not figure.interactive]
    assert page.count("<img ") == len(pictures) + 1
    assert '<img src="plots/bd-quality-wide.svg" alt="BD-quality">' in page
    assert f"<figcaption>{caption}</figcaption>" in page.replace("&lt;", "<").replace("&gt;", ">")
