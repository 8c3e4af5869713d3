"""`--published FILE` for report, compare and verify: labelled as given; bad files are found first."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from harness import ROOT
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.errors import AnalysisError
from benchmark.report import read as request
from benchmark.report.figures.plan import plan_plots
from benchmark.report.published import Beside, anchors, published_curves
from benchmark.report.verifying import verify_results

REFERENCE = ROOT / "results" / "reference"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """BPG's published curve as somebody else's, with four fifths of its rate: BD-rate of BPG +25 %."""
    shipped = ROOT / "benchmark" / "analysis" / "published" / "kodak-compressai-bpg.csv"
    frame = pd.read_csv(shipped, comment="#").assign(bpp=lambda f: f["bpp"] * 0.8)
    path = tmp_path / "rival.csv"
    path.write_text("# label: Rival\n" + frame.to_csv(index=False), encoding="utf-8")
    return path


def _bench(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(), list(arguments))
    return done.exit_code, " ".join(done.output.split())


def test_a_table_is_drawn_under_its_label_and_the_caption_says_its_file(table: Path) -> None:
    asked = request.find("kodak", REFERENCE)
    frame = request.read(asked, ["jpeg", "bpg"])
    summary = request.summarize_suite(asked, frame, str(table), published=[str(table)], all_anchors=False)
    assert summary.anchor == "Rival"
    assert list(summary.published["psnr_rgb"]) == ["Rival"]
    assert summary.styles["Rival"].published
    for plot in plan_plots(summary):
        if plot.figure == "rd":
            assert any("Rival: published at rival.csv, sha256 " in note for note in plot.notes)
    (bpg,) = [c for c in summary.against("psnr_rgb") if c.codec == "bpg"]
    assert bpg.headline_rate.value == pytest.approx(25, abs=0.01)


def test_compare_takes_a_file_or_a_label_in_one(table: Path) -> None:
    code, said = _bench("compare", "bpg", str(table), "--results", str(REFERENCE), "--metric", "psnr_rgb")
    assert code == 0
    assert "+25.00 %" in said
    assert "Rival: published at rival.csv, sha256 " in said
    arguments = ("compare", "bpg", "Rival", "--published", str(table), "--results", str(REFERENCE))
    assert _bench(*arguments, "--metric", "psnr_rgb") == (code, said)


def test_verify_compares_with_the_curve_that_is_given(table: Path) -> None:
    rows = request.read(request.find("kodak", REFERENCE), ["bpg", "jpeg"])
    with pytest.raises(AnalysisError, match="does not say which codec here 'Rival' is of; name"):
        verify_results(rows, [str(table)])
    found = verify_results(rows[rows["codec"] == "bpg"], [str(table)])
    (check,) = [c for c in found.checks if c.curve.metric == "psnr_rgb"]
    assert check.verdict == "not judged"
    assert check.deviations["bpp_deviation_percent"].to_numpy() == pytest.approx(25, abs=0.01)
    head = "# codec: bpg\n# psnr_rgb_within: 24 26 % -5 5 dB\n# within_because: four fifths of the rate\n"
    table.write_text(head + table.read_text())
    code, said = _bench("verify", "kodak", "--published", str(table), "--results", str(REFERENCE))
    assert code == 0
    assert "four fifths of the rate" in said
    table.write_text(head.replace("26 %", "24.5 %") + table.read_text().removeprefix(head))
    assert _bench("verify", "kodak", "--published", str(table), "--results", str(REFERENCE))[0] == 1


@pytest.mark.parametrize(
    "command",
    [
        ("report", "none-here", "--published", "FILE"),
        ("report", "none-here", "--anchor", "FILE"),
        ("compare", "a", "b", "--published", "FILE"),
        ("compare", "a", "FILE"),
        ("verify", "none-here", "--published", "FILE"),
    ],
)
def test_a_bad_file_is_refused_before_any_work(tmp_path: Path, command: tuple[str, ...]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("bpp,psnr\n0.1,thirty\n")
    more = ("--results", str(tmp_path))
    done = CliRunner().invoke(
        build_app(), [*(str(bad) if word == "FILE" else word for word in command), *more]
    )
    assert isinstance(done.exception, AnalysisError)
    assert "bad.csv, line 2, psnr: 'thirty' is no finite number" in str(done.exception)


def test_labels_that_are_taken_and_files_of_several_curves(tmp_path: Path) -> None:
    several = tmp_path / "two.csv"
    several.write_text("label,bpp,psnr\na,0.1,28\nbpg,0.2,30\n")
    with pytest.raises(AnalysisError, match="'bpg' too; change the label"):
        published_curves(Beside("kodak", 24, codecs=("bpg",)), [str(several)])
    with pytest.raises(AnalysisError, match=r"has several curves; .* name one: 'a', 'bpg'"):
        anchors(Beside("kodak", 24), str(several))


def test_the_curves_that_ship_are_listed_and_a_template_written() -> None:
    code, said = _bench("list", "curves")
    assert code == 0
    assert "kodak-elic kodak psnr_rgb, ms_ssim_rgb ELIC" in said
    assert "# label: My codec point,bpp,psnr_rgb,ms_ssim_rgb" in _bench("list", "curves", "--template")[1]
