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
from benchmark.report.figures.rd import RD, rd_window
from benchmark.report.savings import Savings
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
    said = RD.said(small_run.summary, ["psnr_rgb", "ms_ssim_rgb"])
    assert "4 images" in said[0]
    assert any("arithmetic mean over images" in sentence for sentence in said)
    assert any("-10 log10(1 - x)" in sentence for sentence in said)
    assert any("fewer than ten images" in sentence for sentence in said)


def test_captions_have_three_lines_and_the_notes_have_the_rest() -> None:
    asked = request.find("kodak", Path(__file__).parents[2] / "results" / "reference")
    summary = request.summarize_suite(asked, request.read(asked))
    plots = plan_plots(summary)
    assert max(len(plot.caption) for plot in plots) <= 330
    for plot in plots:
        assert plot.caption.removesuffix(" More in notes.txt.").startswith(plot.notes[0])
    wide = next(plot for plot in plots if plot.stem == "rd-wide")
    assert "https://" not in wide.caption
    assert sum("https://github.com/InterDigitalInc/CompressAI" in note for note in wide.notes) == 2


def test_captions_say_of_which_curves_a_doubt_is() -> None:
    asked = request.find("kodak", Path(__file__).parents[2] / "results" / "reference")
    rows = request.read(asked, ["baseline", "baseline-rdoq"])
    moved = rows["codec"] == "baseline-rdoq"
    nine, three = (moved & (rows["image"].astype(str) <= f"kodim{n:02}.png") for n in (9, 3))
    rows.loc[nine, "psnr_rgb"] -= 1.5
    rows.loc[three, "ms_ssim_rgb"] = 1 - (1 - rows.loc[three, "ms_ssim_rgb"]) * 10**0.25
    summary = request.summarize_suite(asked, rows, "baseline", published=["none"])
    metrics = ["psnr_rgb", "ms_ssim_rgb"]
    assert "75 %" not in " ".join(RD.said(summary, metrics))
    said = " ".join(PER_IMAGE.said(summary, metrics))
    assert "baseline-rdoq (PSNR: 9 of 24 images); baseline-rdoq (MS-SSIM: 3 of 24 images): the two" in said
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


def test_the_axis_ends_where_curves_can_be_compared() -> None:
    def until(end: float) -> Curve:
        return curve(str(end), [0.1, end / 2, end], [28, 33, 36])

    short = [until(1.0) for _ in range(3)]
    long = curve("long", [0.2, 1.0, 4.0], [26, 32, 42])
    window = layout.rd_window([*short, long])
    assert window.rate == (0.0, pytest.approx(1.04))
    assert window.beyond(long) == 1
    assert layout.rd_window([*short, long], (0, 5)).beyond(long) == 0
    assert layout.rd_window([*short, long], (0.5, 1), (30, 40)).quality == (30, 40)
    # jpeg, webp, avif, bpg, vtm and two learned codecs as measured on Kodak: these are not squeezed
    seven = [until(end) for end in (3.39, 2.93, 4.42, 4.70, 1.43, 0.75, 0.68)]
    assert layout.rd_window(seven).rate[1] == pytest.approx(1.04 * 1.43)
    assert layout.rd_window([until(4.70), until(0.94)]).rate[1] == pytest.approx(1.04 * 0.94)


def test_an_rd_plot_starts_where_its_data_start(small_run: SmallRun) -> None:
    for metric in ("psnr_rgb", "ms_ssim_rgb"):
        window = rd_window(small_run.summary, metric)
        drawn = [layout.dense(c) for c in small_run.summary.drawn(metric).values()]
        least = min(q[r <= window.rate[1]].min() for r, q in drawn)
        height = window.quality[1] - window.quality[0]
        assert 0 < least - window.quality[0] < 0.05 * height


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

    quality = layout.rd_window([curve("a", [0.1, 0.5, 1.0], [28, 33, 38])]).quality
    view = layout.savings_view({"near": saving(-3), "nearer": saving(-5), "off": saving(250)}, quality)
    assert view.outside == ("off",)
    assert view.rate[1] - view.rate[0] < 20
    whole = layout.savings_view({"near": saving(20), "far": saving(30)}, quality)
    assert whole.outside == whole.in_part == ()
    assert whole.rate[0] < 0
    assert whole.rate[1] > 30
