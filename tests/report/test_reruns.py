"""Runs that were interrupted, begun anew or cut down: what the commands say of such results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from report_small_run import photograph
from typer.testing import CliRunner, Result

from benchmark.analysis import compare, compare_all, comparison_table
from benchmark.cli import build_app
from benchmark.errors import AnalysisError
from benchmark.gate.check import check
from benchmark.gate.reference import promote
from benchmark.report import read as request
from benchmark.report.comparing import compare_text
from benchmark.report.figures.plan import plan_plots
from benchmark.report.figures.time import TIME, time_points
from benchmark.report.page.kept import viewer_data
from benchmark.results.store import read_results

JPEG = '[[codec]]\nname = "jpeg"\npoints = [10, 30, 50, 70, 90]\n'
WEBP = '[[codec]]\nname = "webp"\npoints = [5, 30, 60, 90]\n'


class Bench:
    """The command line over three images, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir()
        for seed, name in enumerate("abc"):
            photograph(seed).save(folder / "images" / f"{name}.png")

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(build_app(), list(arguments))

    def run(self, codecs: str, *arguments: str) -> Path:
        """Run a suite of these codecs; return the folder of its results."""
        suite = self.folder / "s.toml"
        head = f'name = "s"\ndataset = "folder:{self.folder / "images"}"\n'
        suite.write_text(f'{head}metrics = ["psnr_rgb", "ms_ssim_rgb"]\n{codecs}')
        done = self("run", "suite", str(suite), "--out", str(self.folder / "results"), *arguments)
        assert done.exit_code == 0, done.output + repr(done.exception)
        return self.folder / "results" / "s"

    def compare(self, *arguments: str) -> str:
        """Return what `bench compare` prints."""
        done = self("compare", *arguments, "--suite", "s", "--results", str(self.folder / "results"))
        assert done.exit_code == 0, done.output + repr(done.exception)
        return " ".join(done.output.split())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_rows_of_several_options_make_no_figure(bench: Bench) -> None:
    bench.run(JPEG + WEBP)
    before = read_results(bench.folder / "results" / "s")
    results = bench.run(
        f'{JPEG}options = {{ subsampling = "4:4:4" }}\n{WEBP}', "--codec", "jpeg", "--image", "a"
    )
    frame = read_results(results)
    found = compare(frame, "jpeg", "webp")
    assert "mixed_versions" in found.statuses
    assert found.headline_rate.value is None
    assert compare(frame, "jpeg", "webp", allow_mixed=True).headline_rate.value is not None
    only_new = frame[frame["image"] == "a.png"]
    assert "mixed_versions" not in compare(only_new, "jpeg", "webp").statuses
    said = bench.compare("jpeg", "webp")
    assert "several versions or options of one codec" in said
    assert "--allow-mixed" in said
    summary = request.summarize_suite(request.find("s", results.parent), frame, "webp")
    assert summary.against("psnr_rgb")[0].headline_rate.value is None
    assert summary.savings["psnr_rgb"]["webp"] == {}
    verdicts = {v.codec: v.verdict for v in check(frame, before).verdicts}
    assert verdicts == {"jpeg": "inconclusive", "webp": "pass"}
    with pytest.raises(
        AnalysisError, match=r"jpeg has rows of several versions: .*4:2:0.*4:4:4.*bench run suite s"
    ):
        promote("s", results, "why", bench.folder / "reference")


def test_versions_of_rows_that_are_left_out_do_not_count(bench: Bench) -> None:
    frame = read_results(bench.run(JPEG + WEBP))
    other = (frame["codec"] == "jpeg") & (frame["image"] == "a.png")
    frame.loc[other, "codec_version"] = "another"
    frame.loc[other & (frame["point"] == 10), "status"] = "failed"
    (found,) = compare_all(frame, "webp")
    assert "mixed_versions" not in found.statuses
    assert comparison_table([found])["headline_bd_rate_percent"].notna().all()


def test_a_record_does_not_shrink_unless_that_is_asked_for(bench: Bench) -> None:
    record = bench.folder / "record"
    update = ("reference", "update", "s", "-m", "why", "--to", str(record))
    update += ("--results", str(bench.folder / "results"))
    bench.run(JPEG + WEBP)
    assert bench(*update).exit_code == 0
    bench.run(JPEG, "--fresh")
    refused = bench(*update)
    assert isinstance(refused.exception, AnalysisError)
    assert "webp: 12 rows in the reference, none now" in str(refused.exception)
    assert "--allow-removed" in str(refused.exception)
    assert len(read_results(record / "s")) == 27
    bench.run(JPEG.replace("10, ", "") + WEBP, "--fresh")
    refused = bench(*update)
    assert "jpeg: point 10 is in the reference" in str(refused.exception)
    assert bench(*update, "--allow-removed").exit_code == 0
    assert len(read_results(record / "s")) == 24
    (record / "s" / "results.parquet").write_text("of another time")
    assert "--allow-removed" in str(bench(*update).exception)
    assert bench(*update, "--allow-removed").exit_code == 0
    (bench.folder / "images" / "c.png").unlink()
    bench.run(JPEG.replace("10, ", "") + WEBP, "--fresh")
    assert "jpeg: 4 rows missing: c.png at 30" in str(bench(*update).exception)


def test_images_that_come_back_unchanged_are_lossless_not_missing(bench: Bench) -> None:
    results = bench.run(JPEG + '[[codec]]\nname = "null"\npoints = [8, 10, 12, 16]\n')
    for metric in ("psnr_rgb", "ms_ssim_rgb"):
        found = compare(read_results(results), "null", "jpeg", metric)
        assert {"lossless_values", "dropped_points"} <= set(found.statuses)
        assert "missing_values" not in found.statuses
        assert found.coverage.lossless_values == 9
        assert found.coverage.points_left_out == (10, 12, 16)
    asked = request.find("s", results.parent)
    summary = request.summarize_suite(asked, request.read(asked), "jpeg")
    assert all("lossless_values" in summary.curves[m]["null"].statuses for m in summary.metrics)


def test_a_report_of_one_codec_says_that_there_is_nothing_to_compare(bench: Bench) -> None:
    results = bench.run(JPEG)
    report = bench.folder / "report"
    done = bench("report", "s", "--results", str(results.parent), "--out", str(report))
    assert done.exit_code == 0, repr(done.exception)
    texts = [done.output, *(p.read_text() for p in sorted((report / "tables").glob("bd-rate*.[mt]*")))]
    assert len(texts) == 4
    for text in texts:
        assert "nothing to compare with" in text
        assert "resamples" not in text


def test_a_codec_without_a_bd_rate_is_named_below_the_time_plot(bench: Bench) -> None:
    results = bench.run(JPEG + WEBP + '[[codec]]\nname = "null"\npoints = [8]\n')
    asked = request.find("s", results.parent)
    summary = request.summarize_suite(asked, request.read(asked), "jpeg")
    assert set(time_points(summary, "psnr_rgb")) == {"jpeg", "webp"}
    assert "No BD-rate, not shown: null." in TIME.said(summary, ["psnr_rgb"])
    assert {"time", "time-wide"} <= {plot.stem for plot in plan_plots(summary)}


def test_the_hint_stands_only_where_it_helps(bench: Bench) -> None:
    results = bench.run(JPEG + WEBP)
    frame = read_results(results)
    frame.loc[frame["codec"] == "webp", "protocol"] = "{}"
    hint = "  --allow-mixed gives figures all the same."

    def said(rows: pd.DataFrame, **options: bool) -> list[object]:
        return list(compare_text((rows, None), ("webp", "jpeg"), ["psnr_rgb"], **options))

    assert hint in said(frame)
    assert hint not in said(frame, allow_mixed=True)
    apart = frame[(frame["codec"] == "webp") == (frame["image"] == "a.png")]
    assert hint not in said(apart)


def test_the_viewer_leaves_out_pictures_of_an_earlier_measurement(bench: Bench) -> None:
    results = bench.run(JPEG, "--keep")
    bench.run(JPEG + 'options = { subsampling = "4:4:4" }\n', "--image", "a")
    asked = request.find("s", results.parent)
    shown, remarks = viewer_data(request.read(asked), results, bench.folder / "page")
    assert shown is not None and not remarks
    assert {name: len(points) for name, points in shown["codecs"]["jpeg"].items()} == {"b.png": 5, "c.png": 5}
