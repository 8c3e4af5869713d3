"""The time left of a run: each codec at its own speed."""

from __future__ import annotations

import pytest

from benchmark.cli.progress import Pace


def test_a_slow_codec_is_not_predicted_from_fast_ones() -> None:
    pace = Pace({"jpeg": 100, "vtm": 10}, {"vtm": 60.0})
    for _ in range(50):
        pace.hear("jpeg", 0.01)
    # 50 evaluations took 5 s: 0.01 s of coding and 0.09 s of what all have in common
    assert pace.seconds_left(5.0) == pytest.approx(50 * 0.1 + 10 * 60.09)
    assert pace.unknown() == []


def test_what_this_run_measures_replaces_what_was_known() -> None:
    pace = Pace({"vtm": 10}, {"vtm": 60.0})
    pace.hear("vtm", 20.0)
    assert pace.seconds_left(20.0) == pytest.approx(9 * 20)


def test_jobs_share_the_work() -> None:
    pace = Pace({"a": 20}, {}, jobs=4)
    for _ in range(8):
        pace.hear("a", 1.0)
    assert pace.seconds_left(2.0) == pytest.approx(12 / 4)


def test_codecs_of_unknown_speed_are_named() -> None:
    pace = Pace({"jpeg": 1, "new": 3}, {})
    pace.hear("jpeg", 0.1)
    assert pace.unknown() == ["new"]
    assert pace.seconds_left(1.0) == pytest.approx(3 * 0.9)
