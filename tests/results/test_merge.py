"""`bench merge`: rows once, versions and protocols kept, disagreements named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from harness import ROOT
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.errors import StoreError
from benchmark.results.merge import merge
from benchmark.results.plan import Plan, read_plan, write_plan
from benchmark.results.store import Record, Store, read_results

RECORD = ROOT / "results" / "reference" / "kodak"
ROW = Record(
    *("s", "d", 2, 2, "jpeg", "jpeg", "{}", 5.0, "a.png", "0" * 64, "ok"),
    codec_version="1",
    bpp=1.5,
    bitstream_sha256="b",
    metrics={"psnr_rgb": 30.0},
    metric_versions='{"psnr_rgb": "1"}',
    protocol='{"reference": "8-bit RGB"}',
    encode_seconds=1.0,
)


def stored(folder: Path, *rows: Record) -> Path:
    with Store(folder) as store:
        store.append(rows)
    return folder


def two(tmp_path: Path, **changes: Any) -> list[Path]:  # noqa: ANN401
    return [stored(tmp_path / "a", ROW), stored(tmp_path / "b", replace(ROW, **changes))]


def test_halves_of_a_set_merge_into_the_set(tmp_path: Path) -> None:
    """In folders, in a file of pandas, and with some rows in both."""
    record = read_results(RECORD)
    half = record["image"] < "kodim13.png"
    record[half].to_parquet(tmp_path / "half.parquet")
    record[~half | (record["codec"] == "bpg")].to_parquet(tmp_path / "rest.parquet")
    done = merge([tmp_path / "half.parquet", tmp_path / "rest.parquet"], tmp_path / "c")
    repeated = int((half & (record["codec"] == "bpg")).sum())
    assert (done.rows, done.repeated, done.conflicts) == (len(record), repeated, ())
    keys = ["codec", "point", "image"]
    found = read_results(tmp_path / "c").sort_values(keys, ignore_index=True)
    wanted = record.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found[wanted.columns], wanted)
    assert len(pd.read_parquet(tmp_path / "c")) == len(record)


def test_a_row_that_was_measured_twice_alike_is_the_first_one(tmp_path: Path) -> None:
    done = merge(two(tmp_path, encode_seconds=9.0, machine="other"), tmp_path / "c")
    assert (done.rows, done.repeated) == (1, 1)
    assert read_results(tmp_path / "c")["encode_seconds"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"codec_version": "2"}, "codec_version"),
        ({"image_sha256": "1" * 64}, "image_sha256"),
        ({"codec_options": '{"speed": 1}'}, "codec_options"),
        ({"protocol": '{"reference": "8-bit RGB", "crop": 64}'}, "protocol"),
        ({"bitstream_sha256": "c"}, "bitstream_sha256"),
        ({"metrics": {"psnr_rgb": 31.0}}, "psnr_rgb"),
        ({"metric_versions": '{"psnr_rgb": "2"}'}, "metric_versions"),
        ({"metrics": {"psnr_y": 31.0}}, "psnr_rgb, psnr_y"),
    ],
)
def test_rows_that_disagree_are_named_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    sets = two(tmp_path, **changes)
    with pytest.raises(StoreError, match=rf"in 1 rows: jpeg at 5 on a.png \(d\): {named}\. .*--last-wins"):
        merge(sets, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    done = merge(sets, tmp_path / "c", last_wins=True)
    assert [conflict.columns for conflict in done.conflicts] == [tuple(named.split(", "))]
    kept, last = read_results(tmp_path / "c"), read_results(sets[1])
    pd.testing.assert_frame_equal(kept[last.columns], last)


def test_a_good_row_stands_before_a_failed_one_and_more_metrics_before_fewer(tmp_path: Path) -> None:
    failed = replace(ROW, status="failed", error="why", bpp=None, metrics={})
    more = replace(ROW, image="b.png", metrics={"psnr_rgb": 30.0, "psnr_y": 31.0})
    a = stored(tmp_path / "a", failed, replace(more, metrics=ROW.metrics))
    b = stored(tmp_path / "b", ROW, more)
    for order in ([a, b], [b, a]):
        out = tmp_path / f"of-{order[0].name}"
        assert not merge(order, out).conflicts
        found = read_results(out).set_index("image")
        assert found["status"].tolist() == ["ok", "ok"]
        assert found.loc["b.png", "psnr_y"] == 31


def test_versions_that_name_the_models_of_all_points_are_the_same_as_one_of_them(tmp_path: Path) -> None:
    sets = [
        stored(tmp_path / "a", replace(ROW, codec_version="f 1, models 1:aa(1) 2:bb(1)")),
        stored(tmp_path / "b", replace(ROW, codec_version="f 1, models 1:aa(1)")),
    ]
    assert merge(sets, tmp_path / "c").rows == 1


def test_plans_are_joined_and_rows_outside_them_left_out(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", ROW, replace(ROW, point=9.0))
    b = stored(tmp_path / "b", replace(ROW, codec="webp", codec_id="webp"))
    write_plan(a, Plan("d", {"jpeg": (5.0,)}, ("a.png",), None))
    write_plan(b, Plan("d", {"webp": (5.0,)}, ("a.png", "b.png"), None))
    done = merge([a, b], tmp_path / "c")
    assert any("1 rows that the suite no longer asks for are left out" in remark for remark in done.remarks)
    plan = Plan("d", {"jpeg": (5.0,), "webp": (5.0,)}, ("a.png", "b.png"), None)
    assert read_plan(tmp_path / "c") == plan
    assert read_results(tmp_path / "c")["codec"].tolist() == ["jpeg", "webp"]


def test_the_command(tmp_path: Path) -> None:
    sets = [str(path) for path in two(tmp_path, image="b.png")]
    done = CliRunner().invoke(build_app(), ["merge", *sets, "--out", str(tmp_path / "c")])
    assert done.exit_code == 0
    assert "2 rows in" in done.output
    again = CliRunner().invoke(build_app(), ["merge", *sets, "--out", str(tmp_path / "c")])
    assert "has results already; give another --out" in str(again.exception)
