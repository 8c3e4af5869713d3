"""Operations in reports: read from rows, in tables, and the figure that is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import frame_of

from benchmark.operations import FACT, Operations, Part, kept_fact
from benchmark.report.figures.complexity import COMPLEXITY
from benchmark.report.summary import summarize
from benchmark.report.tables.frames import bd_frame
from benchmark.report.tables.tidy import tidy
from benchmark.results.store import Store, read_results, table_schema
from benchmark.runs.count import add_operations

THOUSAND_PER_PIXEL = 256 * 256 * 1000


def fact(encode: int, decode: int) -> str:
    """Return the extra of a row whose networks take so many kMAC per pixel."""
    counted = Operations((Part("g_s", encode * THOUSAND_PER_PIXEL, decode * THOUSAND_PER_PIXEL, 5),))
    return json.dumps({FACT: counted.fact()})


def test_rows_say_what_networks_take() -> None:
    frame = frame_of(("small", "large", "jpeg"), images=3, savings_percent=(0, -20, 50))
    frame["extra"] = "{}"
    for point, kmac in zip((10.0, 30.0, 50.0, 70.0, 90.0), (100, 100, 100, 400, 400), strict=True):
        frame.loc[(frame["codec"] == "large") & (frame["point"] == point), "extra"] = fact(1, kmac)
    frame.loc[frame["codec"] == "small", "extra"] = fact(3, 20)
    summary = summarize(frame, anchor="small")
    assert (summary.costs["large"].decode.median, summary.costs["large"].decode.high) == (100.0, 400.0)
    assert "jpeg" not in summary.costs
    table = bd_frame(summary).set_index(["codec", "metric"])["decode_kmac_per_pixel"]
    assert table["large", "psnr_rgb"] == 100.0
    assert table.isna()["jpeg", "psnr_rgb"]
    kept = tidy(summary).query("kind == 'operations' and codec == 'small'").set_index("figure")["value"]
    assert kept.to_dict() == {"encode_kmac_per_pixel": 3.0, "decode_kmac_per_pixel": 20.0}
    assert COMPLEXITY.applies(summary, "psnr_rgb")
    assert not COMPLEXITY.applies(summarize(frame.assign(extra="{}")), "psnr_rgb")


def test_operations_counted_otherwise_are_not_compared() -> None:
    counted = json.loads(fact(1, 2))
    counted[FACT]["version"] = "0"
    assert kept_fact(json.dumps(counted)) is None
    assert kept_fact(fact(1, 2)) is not None
    assert kept_fact(None) is None


def test_old_rows_are_given_operations(tmp_path: Path) -> None:
    """Rows of the codec that is here gain them and change in nothing else; those of another do not."""
    import pyarrow as pa

    frame = read_results(Path(__file__).parents[2] / "results/reference/kodak")
    some = frame[frame["codec"].isin(["baseline", "jpeg"]) & (frame["image"] == "kodim01.png")]
    some = some.assign(extra="{}")  # as rows were before they had operations
    other = some[some["codec"] == "baseline"].assign(
        codec="old", codec_version="format 1, scalar, models 1:00"
    )
    table = pa.concat_tables(
        pa.Table.from_pandas(part, table_schema(frame.columns), preserve_index=False)
        for part in (some, other)
    )
    with Store(tmp_path / "in") as store:
        store.put(table)
    remarks: list[str] = []
    added = add_operations(tmp_path / "in", tmp_path / "out", remarks.append)
    found = read_results(tmp_path / "out")
    assert added == (some["codec"] == "baseline").sum() == 4
    assert len(remarks) == 4 and all("format 1, scalar" in remark for remark in remarks)
    facts = found.groupby("codec")["extra"].agg(lambda texts: {str(kept_fact(text)) for text in texts})
    assert facts["jpeg"] == facts["old"] == {"None"}
    last = found[(found["codec"] == "baseline") & (found["point"] == 0.025)]["extra"].iloc[0]
    assert (kept_fact(last) or {})["decode_kmac_per_pixel"] == pytest.approx(14.106)
    before = read_results(tmp_path / "in")
    assert found.drop(columns="extra").equals(before.drop(columns="extra"))
