"""The published curves: every file reads, says where it is from, and gives the figures of its source."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import frame_of

from benchmark.analysis import bd_of_curves, mean_curves, published
from benchmark.errors import AnalysisError
from benchmark.metrics import in_figures


def test_every_file_reads_and_names_its_source() -> None:
    found = published.list_curves()
    assert len(found) == 108
    for about in found:
        assert about.source.startswith("https://github.com/"), about.name
        assert len(about.commit) == 40, about.name
        assert len(about.date) == 10, about.name
        assert about.protocol
        assert about.averaging
        assert about.metrics
        for metric in about.metrics:
            curve = published.load(about.name, metric)
            assert curve.source == "published"
            assert curve.statuses == ("published",)
            assert "published" in curve.label
            assert (np.diff(curve.rates) >= 0).all()
            assert np.isfinite(curve.qualities).all(), about.name
            assert np.isfinite(curve.points).all() == (about.point_name != "unknown"), about.name


@pytest.mark.parametrize(
    ("name", "point", "bpp", "psnr"),
    [
        # source: the notes on published points: bpp / PSNR-RGB on Kodak
        ("kodak-compressai-jpeg", 5, 0.2212, 23.780),
        ("kodak-compressai-jpeg", 50, 0.9060, 32.059),
        ("kodak-compressai-jpeg", 95, 3.4013, 40.557),
        ("kodak-compressai-bpg", 37, 0.351554, 31.5947),
        ("kodak-compressai-mbt2018-mean-mse", 0.0018, 0.1239, 27.696),
        ("kodak-compressai-mbt2018-mean-mse", 0.18, 1.6191, 40.569),
    ],
)
def test_known_points(name: str, point: float, bpp: float, psnr: float) -> None:
    curve = published.load(name)
    where = list(curve.points).index(point)
    assert curve.rates[where] == pytest.approx(bpp, abs=5e-5)
    assert curve.qualities[where] == pytest.approx(psnr, abs=6e-4)


@pytest.mark.parametrize(
    ("name", "against_bpg"),
    [
        # source: the notes on published points
        ("kodak-shallow-ntc-linear", 21.6),
        ("kodak-shallow-ntc-two-layer", 5.9),
        ("kodak-shallow-ntc-two-layer-sga", -4.9),
        ("kodak-evc-small", -13.8),
        ("kodak-dpict", 4.0),  # 3.8 there: BPG against DPICT, with the sign turned
        ("kodak-msinn-anchors-8", -23.4),
        ("kodak-elic", -26.6),
    ],
)
def test_bd_rates_of_bundled_curves_are_those_of_the_notes(name: str, against_bpg: float) -> None:
    found = bd_of_curves(published.load("kodak-compressai-bpg"), published.load(name))
    assert found.rate_percent == pytest.approx(against_bpg, abs=0.06)


def test_ms_ssim_that_a_source_gives_in_decibels_is_the_same_quality_here() -> None:
    """DPICT's last truncation point: 2.643238139 dB in its file."""
    assert published.load("kodak-dpict-ms-ssim", "ms_ssim_rgb").qualities[0] == pytest.approx(2.643238139)


def test_lists_by_dataset_and_metric() -> None:
    assert {p.dataset for p in published.list_curves("tecnick")} == {"tecnick"}
    assert all("ms_ssim_rgb" in p.metrics for p in published.list_curves("kodak", "ms_ssim_rgb"))
    assert [p.name for p in published.yardsticks("bpg", "kodak")] == [
        "kodak-compressai-bpg",
        "kodak-tfc-bpg444",
    ]


def test_unknown_names_and_metrics_are_errors() -> None:
    with pytest.raises(AnalysisError, match="kodak-compressai-vtm"):
        published.load("kodak-compressai-vtmm")
    with pytest.raises(AnalysisError, match="reports psnr_rgb"):
        published.load("kodak-lossy-vae-vtm18.0", "ms_ssim_rgb")


def test_verify_gives_the_deviation_at_each_shared_point() -> None:
    yardstick = published.load("kodak-compressai-jpeg")
    measured = mean_curves(frame_of(points=(5, 50, 52, 95)))["jpeg"]
    table = published.verify(measured, yardstick)
    assert table["point"].tolist() == [5, 50, 95]
    row = table.iloc[0]
    assert row["measured_bpp"] == pytest.approx(measured.rates[0])
    assert row["bpp_deviation_percent"] == pytest.approx((measured.rates[0] / yardstick.rates[0] - 1) * 100)
    assert row["quality_deviation_db"] == pytest.approx(measured.qualities[0] - yardstick.qualities[0])


def test_verify_refuses_what_cannot_be_compared() -> None:
    yardstick = published.load("kodak-compressai-jpeg")
    with pytest.raises(AnalysisError, match="share no operating points"):
        published.verify(mean_curves(frame_of(points=(1, 2, 3, 4)))["jpeg"], yardstick)
    with pytest.raises(AnalysisError, match="dataset 'kodak'"):
        published.verify(mean_curves(frame_of(dataset="tecnick"))["jpeg"], yardstick)
    with pytest.raises(AnalysisError, match="metric 'psnr_rgb'"):
        published.verify(mean_curves(frame_of(), "ms_ssim_rgb")["jpeg"], yardstick)


def test_every_yardstick_says_how_near_a_right_setup_comes() -> None:
    yardsticks = [about for about in published.list_curves() if about.codec]
    assert {about.codec for about in yardsticks} == {"avif", "bpg", "hm", "jpeg", "jpeg2000", "vtm", "webp"}
    for about in yardsticks:
        assert about.bound is not None, about.name
        assert set(about.bound.limits) == set(about.metrics) & set(in_figures()), about.name
        assert len(about.bound.because) > 20, about.name
        for limits in about.bound.limits.values():
            assert limits.rate_percent[0] < limits.rate_percent[1], about.name
            assert limits.quality_db[0] < limits.quality_db[1], about.name
    assert all(about.bound is None for about in published.list_curves() if not about.codec)


def test_along_a_curve_a_known_factor_in_rate_is_found() -> None:
    """1.25 times the rate of every published point is +25 % at equal quality, whatever the points mean."""
    yardstick = published.load("kodak-compressai-jpeg2000")
    measured = replace(yardstick, label="mine", rates=yardstick.rates * 1.25, points=np.arange(19.0))
    table = published.verify_along(measured, yardstick)
    assert len(table) == 18  # the best point costs more than the published curve reaches
    assert table["bpp_deviation_percent"].to_numpy() == pytest.approx(25)
    assert (table["quality_deviation_db"] < -0.5).all()
    assert table["published_bpp"].to_numpy() == pytest.approx(yardstick.rates[:18])


def test_curves_of_another_setup_are_compared_along_the_curve() -> None:
    """BPG of tensorflow/compression costs 16 to 27 % less at the same QP, on nearly the same curve."""
    about = published.publication("kodak-tfc-bpg444")
    measured = published.load("kodak-compressai-bpg")
    at_points = published.verify(measured, published.load(about.name))["bpp_deviation_percent"]
    assert at_points.min() > 19
    assert at_points.max() == pytest.approx(37.46, abs=0.01)
    assert about.other_setup
    assert about.deviations(measured)["bpp_deviation_percent"].abs().max() < 2
    assert about.bound is not None
    assert about.bound.holds(about.deviations(measured), "psnr_rgb")


def test_nothing_is_judged_at_points_that_a_bound_is_not_for() -> None:
    about = published.publication("kodak-compressai-vtm")
    measured = published.load("kodak-lossy-vae-vtm18.0")
    assert about.bound is not None
    assert about.bound.judged(about.deviations(measured))["point"].tolist() == [22, 27, 32, 37, 42]


def test_along_a_curve_without_a_common_range_is_refused() -> None:
    yardstick = published.load("kodak-compressai-jpeg2000")
    far = replace(yardstick, label="far", rates=yardstick.rates * 100)
    with pytest.raises(AnalysisError, match="far share no range of rate and quality"):
        published.verify_along(far, yardstick)
