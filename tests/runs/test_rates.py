"""Suites that ask for rates: the point is searched on each image, and the headline of several metrics."""

from __future__ import annotations

import json
from pathlib import Path

import harness
import pytest
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.data.manifests import suites_folder
from benchmark.errors import SuiteError
from benchmark.metrics import METRICS
from benchmark.results.plan import read_plan
from benchmark.results.records import recorded_search, same_identity
from benchmark.results.store import read_results
from benchmark.runs.suite import parse_suite

SUITE = """
name = "rates"
dataset = "folder:images"
metrics = ["psnr_rgb", "psnr_y"]
headline = ["psnr_rgb", "psnr_y"]
bpp = [0.8, 1.2, 1.6, 2, 99]

[[codec]]
name = "jpeg"

[[codec]]
name = "webp"
"""


def run(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(), list(arguments))
    assert done.exit_code in (0, 1), done.output + repr(done.exception)
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rates")
    harness.make_images(folder / "images", 2, (96, 128))
    (folder / "rates.toml").write_text(SUITE)
    run("run", "suite", str(folder / "rates.toml"), "--out", str(folder / "results"))
    return folder


def test_rates_are_met_on_each_image_or_the_row_says_why_not(measured: Path) -> None:
    frame = read_results(measured / "results" / "rates")
    good = frame[frame["status"] == "ok"]
    assert set(good["point"]) == {0.8, 1.2, 1.6, 2.0}
    assert ((good["bpp"] / good["point"] - 1).abs() <= 0.1).all()
    assert set(good["point_name"]) == {"bpp"}
    assert {recorded_search(text) for text in good["protocol"]} == {"bpp"}
    found = [json.loads(extra)["operating_point"] for extra in good["extra"]]
    assert all(0 <= point <= 100 for point in found) and len(set(found)) > 4
    failed = frame[frame["point"] == 99.0]
    assert failed["error"].str.contains("no point gives 99 bpp within 10%: the nearest, ").all()


def test_a_run_resumes_and_a_point_is_no_rate(measured: Path) -> None:
    again = run("run", "suite", str(measured / "rates.toml"), "--out", str(measured / "results"))
    assert "0 measured, 16 reused, 4 failed" in again
    searched, own = json.dumps({"searched": "bpp"}), "{}"
    assert not same_identity(("jpeg", "{}", "1", "00", searched), ("jpeg", "{}", "1", "00", own))


def test_the_headline_is_printed_and_on_the_page(measured: Path) -> None:
    plan = read_plan(measured / "results" / "rates")
    assert plan is not None and plan.headline == ("psnr_rgb", "psnr_y")
    where = ["--results", str(measured / "results")]
    formats = ["--format", "markdown", "--format", "html", "--format", "parquet"]
    said = run("report", "rates", *where, *formats, "--out", str(measured / "report"))
    assert "webp against jpeg, mean BD-rate of 2 metrics: " in said
    for name in ("tables/bd-rate.md", "index.html"):
        assert "mean BD-rate of 2 metrics" in (measured / "report" / name).read_text()
    compared = run("compare", "webp", "jpeg", "--suite", "rates", *where)
    assert "webp against jpeg, mean BD-rate of 2 metrics: " in compared


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bpp = [0.8, 1.2, 1.6, 2, 99]", "bpp = [0.5, 0.5]|a rate is given twice"),
        ("bpp = [0.8, 1.2, 1.6, 2, 99]", "bpp = [-1]|bpp: -1 is no rate; give numbers above 0"),
        ('headline = ["psnr_rgb"', 'headline = ["psnr_yuv"|headline: .psnr_yuv. is not among the metrics'),
    ],
)
def test_what_is_wrong_is_named(line: str, said: str, tmp_path: Path) -> None:
    new, message = said.split("|")
    (tmp_path / "rates.toml").write_text(SUITE.replace(line, new))
    with pytest.raises(SuiteError, match=message):
        parse_suite(tmp_path / "rates.toml")


def test_the_suite_of_jpeg_ai_has_its_metrics_and_rates() -> None:
    """Seven metrics of its quality framework, at five rates, all quoted in one figure."""
    suite = parse_suite(suites_folder() / "jpeg-ai.toml")
    assert suite.bpp == (0.06, 0.12, 0.25, 0.5, 0.75)
    shorts = {METRICS.find(name).short.split()[0] for name in suite.metrics}
    assert shorts == {"MS-SSIM", "FSIMc", "VIF", "VMAF", "PSNR-HVS", "IW-SSIM", "NLPD"}
    assert suite.headline == suite.metrics
