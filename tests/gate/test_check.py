"""The gate on synthetic results: it fails for what is worse, and only for that."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import frame_of

from benchmark.errors import AnalysisError
from benchmark.gate.check import GateReport, check
from benchmark.gate.findings import Limits
from benchmark.metrics.base import Metric

ARMS = ("baseline", "jpeg")


def results(**changes: object) -> pd.DataFrame:
    return frame_of(ARMS, images=12, **changes)  # type: ignore[arg-type]


def recoded(frame: pd.DataFrame, rows: "pd.Series[bool]") -> pd.DataFrame:
    """Give these rows other bits and pixels, as a changed codec does."""
    frame = frame.copy()
    for column in ("bitstream_sha256", "decoded_sha256"):
        frame.loc[rows, column] = frame.loc[rows, column] + "'"
    return frame


def kinds(report: GateReport) -> set[tuple[str, str]]:
    return {(f.kind, f.severity) for f in report.findings}


def test_equal_results_pass_as_identical() -> None:
    report = check(results(), results())
    assert report.verdict == "pass"
    assert report.exit_code == 0
    assert report.findings == ()
    assert [(v.codec, v.metric, v.identical) for v in report.verdicts] == [
        (codec, metric, True) for codec in ARMS for metric in ("psnr_rgb", "ms_ssim_rgb")
    ]


def test_a_metric_where_lower_is_better_regresses_when_it_rises() -> None:
    metric = Metric("error", "1", "1", "s", "E", "E", lambda a, b: 1.0, better="lower", identical=0.0)
    before = results().assign(error=lambda frame: 100 - frame["psnr_rgb"])
    for change, verdict in ((0.5, "regression"), (-0.5, "improvement")):
        now = recoded(before, before["codec"] == "jpeg")
        now.loc[now["codec"] == "jpeg", "error"] += change
        report = check(now, before, metrics=[metric])
        assert {v.codec: v.verdict for v in report.verdicts} == {"baseline": "pass", "jpeg": verdict}


def test_a_metric_that_one_side_lacks_is_judged_inconclusive_or_left_out() -> None:
    with_error = results().assign(error=1.0)
    assert check(with_error, results()).verdict == "pass"
    assert check(results(), with_error).verdict == "pass"
    without = results().drop(columns="ms_ssim_rgb")
    assert [v.metric for v in check(without, without).verdicts] == ["psnr_rgb", "psnr_rgb"]
    alone = without.assign(psnr_rgb=np.nan, psnr_yuv=np.nan)
    assert [v.metric for v in check(alone, alone).verdicts] == ["psnr_y", "psnr_y"]


@pytest.mark.parametrize(
    ("percent", "verdict", "exit_code"),
    [
        (2, "regression", 1),
        (0.6, "regression", 1),
        (0.3, "pass", 0),
        (-0.3, "pass", 0),
        (-3, "improvement", 0),
    ],
)
def test_a_uniform_change_of_rate(percent: float, verdict: str, exit_code: int) -> None:
    changed = results(savings_percent=[percent, 0])
    report = check(recoded(changed, changed["codec"] == "baseline"), results())
    assert {v.verdict for v in report.verdicts if v.codec == "baseline"} == {verdict}
    assert {v.verdict for v in report.verdicts if v.codec == "jpeg"} == {"pass"}
    assert report.exit_code == exit_code


def test_noise_is_never_a_regression_whatever_its_mean() -> None:
    reference = results()
    verdicts = []
    for seed in range(10):
        changed = recoded(reference, reference["codec"] == "baseline")
        rng = np.random.default_rng(seed)
        hit = changed["codec"] == "baseline"
        per_image = rng.normal(1, 0.03, 12)[np.arange(hit.sum()) % 12]
        changed.loc[hit, "bpp"] *= per_image
        report = check(changed, reference, metrics=["psnr_rgb"], limits=Limits(max_image_rate_percent=50))
        verdicts += [v.verdict for v in report.verdicts if v.codec == "baseline"]
    assert verdicts.count("regression") <= 1
    assert verdicts.count("inconclusive") > 6


def test_inconclusive_has_its_own_exit_code_and_a_switch() -> None:
    reference = results()
    changed = recoded(reference, reference["codec"] == "baseline")
    changed.loc[changed["codec"] == "baseline", "bpp"] *= np.tile(np.linspace(0.96, 1.04, 12), 5)
    report = check(changed, reference)
    assert report.verdict == "inconclusive"
    assert report.exit_code == 3
    assert replace(report, allow_inconclusive=True).exit_code == 0
    assert check(changed, reference, allow_inconclusive=True).exit_code == 0


def test_a_codec_that_slides_along_its_own_curve_is_seen() -> None:
    # BD-rate is blind to it: both points and curve stay on one line
    changed = results()
    hit = changed["codec"] == "baseline"
    slopes = changed[hit].groupby("image")["psnr_rgb"].transform(np.ptp) / 4.0
    changed.loc[hit, "psnr_rgb"] -= 0.03 * slopes
    changed.loc[hit, "bpp"] *= 2**-0.03
    report = check(recoded(changed, hit), results(), metrics=["psnr_rgb"])
    (verdict,) = (v for v in report.verdicts if v.codec == "baseline")
    assert verdict.bd_rate.value == pytest.approx(0, abs=0.05)
    assert verdict.verdict == "regression"
    assert "points moved" in verdict.reason


def test_one_image_much_worse_while_the_mean_is_flat() -> None:
    reference = results()
    hit = (reference["codec"] == "jpeg") & (reference["image"] == "image03.png") & (reference["point"] == 50)
    changed = recoded(reference, hit)
    changed.loc[hit, "psnr_rgb"] -= 1
    report = check(changed, reference, metrics=["psnr_rgb"])
    (finding,) = (f for f in report.findings if f.kind == "image worse")
    assert finding.severity == "fail"
    assert "image03.png at 50" in finding.message
    assert report.exit_code == 1


def test_single_images_of_an_improved_codec_are_noted_only() -> None:
    changed = results(savings_percent=[-8, 0])
    changed.loc[(changed["codec"] == "baseline") & (changed["image"] == "image03.png"), "bpp"] *= 1.2
    report = check(recoded(changed, changed["codec"] == "baseline"), results(), metrics=["psnr_rgb"])
    assert ("image worse", "note") in kinds(report)
    assert report.verdict == "improvement"


def test_vanished_things_fail() -> None:
    reference = results()
    no_point = reference[~((reference["codec"] == "jpeg") & (reference["point"] == 50))]
    no_codec = reference[reference["codec"] != "jpeg"]
    no_row = reference.drop(index=3)
    for changed, kind in (
        (no_point, "point vanished"),
        (no_codec, "codec vanished"),
        (no_row, "image vanished"),
    ):
        report = check(changed, reference)
        assert (kind, "fail") in kinds(report)
        assert report.exit_code == 1
        assert kinds(check(reference, changed)) <= {("new point", "note"), ("new codec", "note")}


def test_failed_images_fail_unless_they_failed_before() -> None:
    reference = results()
    broken = reference.copy()
    broken.loc[7, "status"] = "failed"
    broken["error"] = broken["error"].astype(object)
    broken.loc[7, "error"] = "codec exploded\nat line 3"
    report = check(broken, reference)
    assert ("evaluation failed", "fail") in kinds(report)
    assert any("codec exploded" in f.message and "line 3" not in f.message for f in report.findings)
    assert report.exit_code == 1
    assert kinds(check(broken, broken)) == {("evaluation failed", "note")}
    assert check(broken, broken).exit_code == 0


def test_equal_bits_that_decode_differently_fail() -> None:
    changed = results()
    changed.loc[5, "decoded_sha256"] = "other"
    changed.loc[5, "psnr_rgb"] -= 0.003
    report = check(changed, results())
    assert ("decoder drift", "fail") in kinds(report)
    assert report.exit_code == 1


def test_equal_bits_that_decode_to_another_rounding_are_noted() -> None:
    # networks add up floats in an order that depends on the number of threads: single pixels flip by a level
    changed = results()
    changed.loc[5, "decoded_sha256"] = "other"
    changed.loc[5, "psnr_rgb"] -= 1e-5
    report = check(changed, results())
    assert kinds(report) == {("decoder drift", "note")}
    assert report.exit_code == 0


def test_equal_pixels_that_measure_differently_fail() -> None:
    changed = results()
    changed.loc[5, "psnr_rgb"] += 0.01
    assert ("metric drift", "fail") in kinds(check(changed, results()))
    changed.loc[5, "psnr_rgb"] = np.nan  # cannot be computed any more
    assert ("metric drift", "fail") in kinds(check(changed, results()))
    changed["metric_versions"] = '{"psnr_rgb": "2"}'
    assert check(changed, results()).findings == ()


def test_times_are_compared_between_equal_machines_only() -> None:
    slow = results()
    slow.loc[slow["codec"] == "jpeg", "decode_seconds"] *= 1.6
    strict = Limits(slowdown_fails=True)
    assert kinds(check(slow, results(), limits=strict)) == {("slower decoding", "fail")}
    assert kinds(check(slow, results())) == {("slower decoding", "note")}
    assert check(slow, results(), limits=replace(strict, max_slowdown_percent=100)).findings == ()
    for column, value in (("machine", "other"), ("jobs", 4), ("threads", 2)):
        other = slow.assign(**{column: value})
        assert kinds(check(other, results(), limits=strict)) == {("times not compared", "note")}


def test_what_slows_every_codec_alike_is_the_machine() -> None:
    busy = results()
    busy["encode_seconds"] *= 1.9
    report = check(busy, results(), limits=Limits(slowdown_fails=True))
    assert kinds(report) == {("slower encoding", "note")}
    assert report.exit_code == 0


def test_codecs_with_one_point_are_judged_by_it() -> None:
    reference = frame_of(("null",), points=(8,), images=5)
    assert check(recoded(reference, reference["point"] > 0), reference).verdict == "pass"
    worse = recoded(reference, reference["point"] > 0)
    worse["psnr_rgb"] -= 0.4
    report = check(worse, reference, metrics=["psnr_rgb"])
    assert report.verdicts[0].verdict == "regression"
    better = recoded(reference, reference["point"] > 0)
    better["psnr_rgb"] += 0.4
    assert check(better, reference, metrics=["psnr_rgb"]).verdict == "improvement"


def test_other_protocols_are_inconclusive() -> None:
    changed = recoded(results(), results()["point"] > 0)
    changed["protocol"] = "{}"
    report = check(changed, results())
    assert report.verdict == "inconclusive"
    assert "different protocols" in report.verdicts[0].reason


def test_nothing_to_compare_is_an_error() -> None:
    frame = results()
    with pytest.raises(AnalysisError, match="hold no rows"):
        check(frame.iloc[:0], frame)
    with pytest.raises(AnalysisError, match="no codec in common"):
        check(frame[frame["codec"] == "jpeg"], frame[frame["codec"] != "jpeg"])
    with pytest.raises(AnalysisError, match="unknown metric 'warmth'; known: "):
        check(frame, frame, metrics=["warmth"])
    empty = frame.assign(psnr_yuv=np.nan)
    with pytest.raises(AnalysisError, match="neither side holds"):
        check(empty, empty, metrics=["psnr_yuv"])
