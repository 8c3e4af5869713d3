"""Tables, commands and the numbers behind them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_small_run import EVIL, SmallRun
from rich.console import Console
from synthetic import frame_of
from typer.testing import CliRunner

from benchmark.analysis import compare, mean_curves, rate_savings
from benchmark.analysis.intervals import number
from benchmark.cli import build_app
from benchmark.errors import AnalysisError, StoreError, UsageError
from benchmark.report import read as request
from benchmark.report import write
from benchmark.report.page import kept
from benchmark.report.savings import SAMPLES
from benchmark.report.summary import summarize
from benchmark.report.tables.latex import latex, latex_text
from benchmark.report.tables.markdown import markdown
from benchmark.report.tables.terminal import terminal
from benchmark.report.tables.write import guarded
from benchmark.results.store import SCHEMA_VERSION, read_results, table_schema


def test_numbers() -> None:
    assert number(-1.234, signed=True) == "\u22121.23"
    assert number(1.236, signed=True) == "+1.24"
    assert number(-0.001, signed=True) == "0.00"
    assert number(None) == number(float("nan")) == "\u2013"


def test_tidy_parquet_repeats_the_analysis(small_run: SmallRun) -> None:
    tidy = pd.read_parquet(small_run.report / "tables" / "report.parquet")
    expected = compare(small_run.frame, "webp", "jpeg", "ms_ssim_rgb")
    row = tidy.query("kind == 'bd' and metric == 'ms_ssim_rgb' and anchor == 'jpeg' and codec == 'webp'")
    headline = row.set_index("figure").loc["bd_rate_headline"]
    assert headline["value"] == expected.headline_rate.value
    assert (headline["low"], headline["high"]) == (expected.headline_rate.low, expected.headline_rate.high)
    assert headline["resamples"] == expected.resamples == 10_000
    curve = mean_curves(small_run.frame, "psnr_rgb")["jpeg"]
    points = tidy.query("kind == 'curve' and metric == 'psnr_rgb' and codec == 'jpeg' and figure == 'bpp'")
    assert points["value"].tolist() == curve.rates.tolist()


def test_every_table_names_codecs_images_and_averaging(small_run: SmallRun) -> None:
    folder = small_run.report / "tables"
    markdown = (folder / "bd-rate.md").read_text(encoding="utf-8")
    assert EVIL not in markdown
    assert r"\<script\>alert\(1\)\</script\>" in markdown
    latex = (folder / "bd-rate-psnr.tex").read_text(encoding="utf-8")
    assert r"\textless{}script\textgreater{}" in latex
    assert r"\toprule" in latex
    for text in (markdown, latex):
        assert "4 images" in text
        assert "mean over images" in text
        assert "10,000 resamples" in text
    csv = pd.read_csv(folder / "bd-rate.csv")
    assert set(csv["codec"]) == {EVIL, "webp"}
    assert (csv["encode_seconds_per_megapixel"] > 0).all()


@pytest.mark.parametrize(("metric", "short"), [("ms_ssim_rgb", "MS-SSIM"), ("psnr_y", "PSNR-Y")])
def test_a_metric_alone_is_shown_alone(small_run: SmallRun, tmp_path: Path, metric: str, short: str) -> None:
    images = small_run.results.parent.parent / "images"
    suite = tmp_path / "alone.toml"
    suite.write_text(
        f'name = "alone"\ndataset = "folder:{images}"\nmetrics = ["{metric}"]\n'
        "codec = [{ name = 'jpeg', points = [9, 40, 60, 80] }, { name = 'webp', points = [5, 30, 60, 90] }]\n"
    )
    results = ["--results", str(tmp_path)]
    for command in (
        ["run", "suite", str(suite), "--out", str(tmp_path)],
        ["report", "alone", *results, "--out", str(tmp_path / "report"), "--format", "csv"],
        ["compare", "webp", "jpeg", "--suite", "alone", *results],
    ):
        done = CliRunner().invoke(build_app(), command)
        assert done.exit_code == 0, done.output
        assert short in done.output
        assert not re.search({"MS-SSIM": "PSNR", "PSNR-Y": r"MS-SSIM|PSNR(?!-Y)"}[short], done.output)


def test_points_of_nearly_equal_quality_make_a_report(tmp_path: Path) -> None:
    frame = frame_of(points=(1, 2, 3, 4), savings_percent=[0, -7])
    odd = frame["codec"] == "webp"
    for name, values in (("bpp", (0.1, 0.4, 0.6, 0.8)), ("psnr_rgb", (30, 40, 40.001, 45))):
        frame.loc[odd, name] = frame.loc[odd, "point"].map(dict(zip((1, 2, 3, 4), values, strict=True)))
    summary = summarize(frame, anchor="jpeg")
    found = summary.comparisons["psnr_rgb"]["jpeg"]["webp"].mean_curve
    assert found.by_method["cubic"].rate_percent is None
    assert found.rate.value is not None
    write.write_report(summary, tmp_path, results=tmp_path, formats=["markdown", "csv", "parquet", "html"])
    table = pd.read_parquet(tmp_path / "tables" / "report.parquet")
    assert not np.isinf(table[["value", "low", "high"]].to_numpy(dtype=float)).any()
    assert "inf" not in (tmp_path / "tables" / "bd-rate.csv").read_text()
    assert "cubic \u2013" in (tmp_path / "tables" / "bd-rate.md").read_text(encoding="utf-8")


def test_cells_that_a_spreadsheet_would_compute_are_guarded() -> None:
    names = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "jpeg", "-5", "a=b"]
    frame = pd.DataFrame({"codec": names, "bpp": -1.5, "=evil()": 1, "n": [None, *"abcdefg"]})
    found = guarded(frame)
    assert found["codec"].tolist() == [*(f"'{name}" for name in names[:5]), "jpeg", "-5", "a=b"]
    assert list(found) == ["codec", "bpp", "'=evil()", "n"]
    assert set(found["bpp"]) == {-1.5}
    assert frame["codec"].tolist() == names


def test_latex_escapes() -> None:
    assert latex_text("a_b & 50% {x}\\") == r"a\_b \& 50\% \{x\}\textbackslash{}"
    assert latex_text("$#~^<>|\u2212\u2013\n") == (
        r"\$\#\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}$-$-- "
    )
    assert latex_text("é \u0142 \u03a9 \u4e2d") == r"\'e \l{} \ensuremath{\Omega} " + "\u4e2d"


@pytest.mark.parametrize("name", ["[a] | b", "*a_b", "{x} ~ ^"])
def test_a_name_stays_one_cell_of_its_row(small_run: SmallRun, name: str) -> None:
    frame = small_run.frame.copy()
    frame["codec"] = frame["codec"].replace("webp", name)
    asked = request.find("small", small_run.results.parent)
    summary = request.summarize_suite(asked, frame, "jpeg")
    lines = [line for line in latex(summary, "psnr_rgb").splitlines() if line.endswith(r"\\")]
    assert len(lines) == 3
    assert not any(line.startswith(("[", "*")) for line in lines), "an option of the line before"
    assert {line.count(" & ") for line in lines} == {6}
    assert any(line.removeprefix("{}").startswith(latex_text(name)) for line in lines)
    table = [line for line in markdown(summary).splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {15}


def test_savings_agree_with_the_analysis_and_lie_in_their_band(small_run: SmallRun) -> None:
    curves = mean_curves(small_run.frame, "psnr_rgb")
    qualities, expected = rate_savings(curves["jpeg"], curves["webp"], samples=2000)
    found = small_run.summary.savings["psnr_rgb"]["jpeg"]["webp"]
    assert 2 < len(found.qualities) <= SAMPLES
    assert np.allclose(found.rate_percent, np.interp(found.qualities, qualities, expected), atol=0.05)
    sure = np.isfinite(found.low)
    assert sure.any()
    assert (found.low[sure] <= found.rate_percent[sure] + 0.5).all()
    assert (found.high[sure] >= found.rate_percent[sure] - 0.5).all()


def test_each_codec_is_compared_with_each_other_anchor(small_run: SmallRun) -> None:
    found = small_run.summary.comparisons["psnr_rgb"]
    assert set(found) == {"jpeg", "webp", EVIL}
    there, back = found["jpeg"]["webp"].mean_curve.rate.value, found["webp"]["jpeg"].mean_curve.rate.value
    assert there is not None
    assert back is not None
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


def test_times_of_another_condition_are_left_out(small_run: SmallRun) -> None:
    frame = small_run.frame.copy()
    frame.loc[frame["codec"] == "webp", "jobs"] = 7
    frame.loc[(frame["codec"] == "jpeg") & (frame["point"] == 10), "threads"] = 9
    asked = request.find("small", small_run.results.parent)
    found = request.summarize_suite(asked, frame, "jpeg").speeds
    assert set(found) == {"jpeg", EVIL}
    assert found["jpeg"].rows_left_out == 4


def test_failures_and_partial_runs_are_said(small_run: SmallRun) -> None:
    frame = small_run.frame.copy()
    bad = (frame["codec"] == "webp") & (frame["image"] == "image 0.png")
    frame.loc[bad, "status"], frame.loc[bad, "error"] = "failed", "broke <b>down</b>"
    frame["dataset_size"] = 100
    summary = request.summarize_suite(request.find("small", small_run.results.parent), frame, "jpeg")
    assert summary.scope == "partial, 4 of 100 images"
    assert summary.failures["error"].tolist() == ["broke <b>down</b>"]
    assert summary.failures["rows"].tolist() == [4]
    assert {"failed_rows", "partial_dataset"} <= set(summary.comparisons["psnr_rgb"]["jpeg"]["webp"].statuses)
    from benchmark.report.page.html import render_page

    page = render_page(summary, library={})
    assert "partial, 4 of 100 images" in page
    assert "broke &lt;b&gt;down&lt;/b&gt;" in page


def test_kept_images_without_their_source_are_named(small_run: SmallRun, tmp_path: Path) -> None:
    frame = small_run.frame.assign(image_sha256="0" * 64)
    data, remarks = kept.viewer_data(frame, small_run.results, tmp_path)
    assert data is None
    assert "image 0.png" in remarks[0]
    assert kept.viewer_data(frame, tmp_path, tmp_path) == (None, [])


def test_inlined_images_need_no_files(small_run: SmallRun, tmp_path: Path) -> None:
    frame = small_run.frame.query("image == 'image 1.png' and codec == 'jpeg'")
    data, _ = kept.viewer_data(frame, small_run.results, tmp_path, inline=True)
    assert data is not None
    sources = [
        data["images"]["image 1.png"]["original"],
        *(p["src"] for p in data["codecs"]["jpeg"]["image 1.png"]),
    ]
    assert len(sources) == 6
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_wrong_names_get_near_ones(small_run: SmallRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'html'"):
        write.check_formats(["htm"])
    with pytest.raises(StoreError, match="bench run suite nowhere"):
        request.find("nowhere", tmp_path)
    asked = request.find("small", small_run.results.parent)
    with pytest.raises(AnalysisError, match="did you mean 'jpeg'"):
        request.summarize_suite(asked, small_run.frame, "jpg")
    with pytest.raises(AnalysisError, match="no evaluation succeeded: why"):
        request.summarize_suite(asked, small_run.frame.assign(status="failed", error="why"))


def test_a_folder_that_cannot_be_written_is_named(small_run: SmallRun, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match=r"file.*cannot be written"):
        write.write_report(small_run.summary, blocked / "report", results=small_run.results, formats=["csv"])


def test_off_a_terminal_each_row_is_one_line(small_run: SmallRun, tmp_path: Path) -> None:
    name = "a-codec-of-a-name-that-no-terminal-of-eighty-columns-has-any-room-for-" + "x" * 40
    frame = small_run.frame.copy()
    frame["codec"] = frame["codec"].replace("webp", name)
    (tmp_path / "long").mkdir()
    table = pa.Table.from_pandas(
        frame.assign(schema_version=SCHEMA_VERSION), schema=table_schema(frame.columns), preserve_index=False
    )
    pq.write_table(table, tmp_path / "long" / "results.parquet")
    command = [
        "report",
        "long",
        "--results",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--format",
        "csv",
    ]
    done = CliRunner().invoke(build_app(), [*command, "--anchor", "jpeg"])
    assert done.exit_code == 0, done.output
    rate = compare(frame, name, "jpeg").headline_rate
    rows = [line for line in done.output.splitlines() if line.strip().startswith(name)]
    assert len(rows) == 2
    assert f" {rate.figure()} " in rows[0]
    assert f" {rate.interval()} " in rows[0]
    phases = ("reading ", "averaging and comparing 3 codecs, 56 rows", "drawing and writing csv")
    assert [p for p in phases if p in done.output] == list(phases)
    same = ["check", "long", "--results", str(tmp_path), "--against", str(tmp_path)]
    assert f"\u2502 {name} \u2502 psnr_rgb" in CliRunner().invoke(build_app(), same).output


def test_at_eighty_columns_columns_go_before_names_do(small_run: SmallRun) -> None:
    frame = small_run.frame.copy()
    frame["codec"] = frame["codec"].replace("webp", "finetuned-tcq-expanded")
    summary = request.summarize_suite(request.find("small", small_run.results.parent), frame, "jpeg")
    for width, left_out in ((60, "interval"), (80, "BD-quality"), (10_000, None)):
        stream = io.StringIO()
        Console(file=stream, width=width).print(terminal(summary, "psnr_rgb", width=width))
        lines = stream.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert any(line.strip().startswith("finetuned-tcq-expanded ") for line in lines)
        assert "\u2026" not in stream.getvalue()
        assert left_out is None or left_out not in stream.getvalue()
    assert "Without a point" in stream.getvalue()


class TestCommands:
    def test_report(self, small_run: SmallRun, tmp_path: Path) -> None:
        command = ["report", "small", "--results", str(small_run.results.parent), "--out", str(tmp_path)]
        done = CliRunner().invoke(build_app(), [*command, "--format", "csv", "--anchor", "webp"])
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
            "bd-rate.csv",
            "curves.csv",
            "per-image.csv",
        ]

    def test_compare_codecs_and_result_sets(self, small_run: SmallRun) -> None:
        results = ["--suite", "small", "--results", str(small_run.results.parent)]
        done = CliRunner().invoke(build_app(), ["compare", "webp", "jpeg", *results, "--metric", "psnr_rgb"])
        assert done.exit_code == 0, done.output
        value = compare(small_run.frame, "webp", "jpeg").mean_curve.rate.value
        assert number(value, signed=True) in done.output
        same = [str(small_run.results), str(small_run.results), "--codec", "jpeg"]
        done = CliRunner().invoke(build_app(), ["compare", *same])
        assert done.exit_code == 0, done.output
        assert "[0.00, 0.00]" in done.output

    def test_compare_with_a_published_curve(self, tmp_path: Path) -> None:
        record = Path(__file__).parents[2] / "results" / "reference"
        command = ["compare", "webp", "kodak-compressai-webp", "--metric", "psnr_rgb", "--results"]
        whole = CliRunner().invoke(build_app(), [*command, str(record)])
        assert whole.exit_code == 0, whole.output
        assert "(to quote)" in whole.output
        assert "resamples" not in whole.output
        assert "no intervals: a published curve has no images to resample" in whole.output
        frame = read_results(record / "kodak")
        (tmp_path / "kodak").mkdir()
        three = frame[frame["image"] <= "kodim03.png"].assign(schema_version=SCHEMA_VERSION)
        table = pa.Table.from_pandas(three, schema=table_schema(frame.columns), preserve_index=False)
        pq.write_table(table, tmp_path / "kodak" / "results.parquet")
        part = CliRunner().invoke(build_app(), [*command, str(tmp_path)])
        assert part.exit_code == 0, part.output
        assert "15.33" not in part.output
        assert "quote" not in part.output
        assert "the published curve is of all images of the dataset, the results are of some" in part.output
        told = CliRunner().invoke(build_app(), [*command, str(tmp_path), "--allow-mixed"])
        assert "\u221214.38 %" in told.output  # WebP against WebP: that of the first three images alone
        assert "(not to be quoted)" in told.output

    def test_verify(self, small_run: SmallRun) -> None:
        done = CliRunner().invoke(build_app(), ["verify", "--list"])
        assert "kodak-compressai-vtm" in done.output
        done = CliRunner().invoke(build_app(), ["verify", str(small_run.results)])
        assert isinstance(done.exception, AnalysisError)


def test_reporting_does_not_load_torch(small_run: SmallRun, tmp_path: Path) -> None:
    code = (
        "import sys; from benchmark.cli import build_app\n"
        f"build_app()(['report', {str(small_run.results)!r}, '--out', {str(tmp_path)!r}, '--format', 'html'],"
        " standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
