"""Figures: what is drawn where, deterministically, and nothing hidden."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_small_run import EVIL, SmallRun

from benchmark.analysis import Curve
from benchmark.analysis.grid import Coverage
from benchmark.report import read as request
from benchmark.report.figures import layout
from benchmark.report.figures.draw import draw_all
from benchmark.report.figures.per_image import MAX_DOTS, PER_IMAGE, swarm, thinned
from benchmark.report.figures.picture import picture
from benchmark.report.figures.plan import plan_plots
from benchmark.report.figures.rd import RD
from benchmark.report.savings import Savings
from benchmark.report.style import COLOURS, MARKERS, styles
from benchmark.report.tables.rows import rows as table_rows


def curve(label: str, rates: list[float], qualities: list[float]) -> Curve:
    columns = (np.arange(len(rates), dtype=float), np.array(rates), np.array(qualities), np.array(qualities))
    return Curve(label, "kodak", "psnr_rgb", "bpp", "per_image", *columns, Coverage(24, 24), ("ok",))


def test_every_figure_is_written_in_every_format_and_again_the_same(
    small_run: SmallRun, tmp_path: Path
) -> None:
    stems = {"rd-psnr", "rd-ms-ssim", "rd-wide", "savings-wide", "per-image-psnr", "time", "time-wide"}
    plots = small_run.report / "plots"
    assert {path.stem for path in plots.glob("*.png")} >= stems
    again = draw_all(small_run.summary, tmp_path)
    assert len(again) == len(list(plots.glob("*.pdf"))) == len(list(plots.glob("*.svg")))
    for path in sorted(tmp_path.iterdir()):
        digests = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, plots / path.name)}
        assert len(digests) == 1, f"{path.name} differs between two runs over the same results"


def test_figures_have_the_width_of_a_column(small_run: SmallRun) -> None:
    for stem, inches in (("rd-psnr", 3.5), ("rd-wide", 7.16)):
        with Image.open(small_run.report / "plots" / f"{stem}.png") as picture:
            assert picture.width == pytest.approx(inches * 300, abs=1)


def test_captions_say_images_averaging_and_doubts(small_run: SmallRun) -> None:
    caption = RD.caption(small_run.summary, ["psnr_rgb", "ms_ssim_rgb"])
    assert "4 images" in caption
    assert "arithmetic mean over images" in caption
    assert "-10 log10(1 - x)" in caption
    assert "fewer than ten images" in caption


def test_captions_say_of_which_curves_a_doubt_is() -> None:
    asked = request.find("kodak", Path(__file__).parents[2] / "results" / "reference")
    rows = request.read(asked, ["baseline", "continued"])
    moved = rows["codec"] == "continued"
    nine, three = (moved & (rows["image"].astype(str) <= f"kodim{n:02}.png") for n in (9, 3))
    rows.loc[nine, "psnr_rgb"] -= 1.5
    rows.loc[three, "ms_ssim_rgb"] = 1 - (1 - rows.loc[three, "ms_ssim_rgb"]) * 10**0.25
    summary = request.summarize_suite(asked, rows, "baseline", published=["none"])
    metrics = ["psnr_rgb", "ms_ssim_rgb"]
    assert "75 %" not in RD.caption(summary, metrics)
    said = PER_IMAGE.caption(summary, metrics)
    assert "continued (PSNR: 9 of 24 images); continued (MS-SSIM: 3 of 24 images): the two" in said
    (row,) = table_rows(summary, "psnr_rgb")
    assert row.statuses == "little overlap (9 of 24 images)"


def test_on_the_results_of_record_doubts_are_rare() -> None:
    asked = request.find("kodak", Path(__file__).parents[2] / "results" / "reference")
    summary = request.summarize_suite(asked, request.read(asked), "bpg", published=["none"])
    doubtful = [
        row for metric in summary.metrics for row in table_rows(summary, metric) if row.statuses != "ok"
    ]
    assert len(doubtful) <= sum(len(table_rows(summary, metric)) for metric in summary.metrics) / 10
    vtm = next(row for row in table_rows(summary, "psnr_rgb") if row.codec == "vtm")
    assert (vtm.statuses, vtm.shared) == ("ok", "28.54 to 40.75")


def test_styles_differ_for_up_to_121_codecs() -> None:
    names = [f"codec {i}" for i in range(121)]
    assert len({(s.colour, s.marker) for s in styles(names).values()}) == len(names)
    looks = styles(["a"], ["a (published)"])
    assert looks["a"].line["linestyle"] == "-"
    assert looks["a (published)"].line["linestyle"] == "--"
    assert len(set(COLOURS)) == len(set(MARKERS)) == 11
    looks = styles(names[:16])
    lines = {(s.line["color"], str(s.line["linestyle"])) for s in looks.values()}
    assert len(lines) == 16, "no two of sixteen codecs share both colour and dashes"


def test_a_far_outlier_does_not_squeeze_the_others() -> None:
    short = [curve(str(i), [0.1, 0.5, 1.0], [28, 33, 36]) for i in range(3)]
    long = curve("long", [0.2, 1.0, 4.0], [26, 32, 42])
    window = layout.rd_window([*short, long])
    assert window.rate == (0.0, pytest.approx(1.1))
    assert window.beyond(long) == 1
    assert layout.rd_window([*short, long], max_bpp=5).beyond(long) == 0
    assert layout.rd_window(short).rate[1] == pytest.approx(1.04)


def test_a_legend_never_hides_a_curve(small_run: SmallRun) -> None:
    for plot in plan_plots(small_run.summary):
        canvas = picture(small_run.summary, plot)
        for legend in canvas.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(ax.get_tightbbox()) for ax in canvas.axes), plot.stem
            assert canvas.bbox.y0 <= box.y0, plot.stem
        assert all(ax.get_legend() is None for ax in canvas.axes)


def test_dots_do_not_cover_one_another_until_the_strip_is_full() -> None:
    values = np.linspace(0, 1, 10)
    assert (swarm(values, 3.5) == 0).all()
    heaped = np.zeros(3)
    assert len(set(swarm(np.append(heaped, 1.0), 3.5)[:3])) == 3
    many = np.random.default_rng(0).normal(size=5000)
    assert len(thinned(many)) == MAX_DOTS
    assert np.median(thinned(many)) == pytest.approx(np.median(many), abs=0.02)


def test_a_formula_in_a_name_is_drawn_as_text(small_run: SmallRun) -> None:
    svg = (small_run.report / "plots" / "rd-psnr.svg").read_text(encoding="utf-8")
    assert "<script" not in svg
    assert EVIL in small_run.summary.styles


def test_a_codec_far_off_does_not_press_the_savings_of_the_others_together() -> None:
    qualities = np.linspace(28, 38, 100)

    def saving(rate: float) -> Savings:
        rates = np.full(100, rate)
        return Savings(qualities, rates, rates - 1, rates + 1)

    curves = [curve("a", [0.1, 0.5, 1.0], [28, 33, 38])]
    view = layout.savings_view({"near": saving(-3), "nearer": saving(-5), "off": saving(250)}, curves)
    assert view.outside == ("off",)
    assert view.rate[1] - view.rate[0] < 20
    whole = layout.savings_view({"near": saving(20), "far": saving(30)}, curves)
    assert whole.outside == whole.in_part == ()
    assert whole.rate[0] < 0
    assert whole.rate[1] > 30
