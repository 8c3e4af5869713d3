"""`bench verify`: the results of record lie within, known faults outside, and the docs say the same."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import ROOT
from synthetic import frame_of
from typer.testing import CliRunner

from benchmark.cli import build_app
from benchmark.errors import AnalysisError
from benchmark.report.verifying import verify_results
from benchmark.results.store import read_results, table_schema

RECORD = ROOT / "results" / "reference"
DOCS = ROOT / "docs" / "codecs.md"


@pytest.fixture(scope="module")
def record() -> pd.DataFrame:
    return read_results(RECORD / "kodak")


def _verify(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(), ["verify", *arguments])
    return done.exit_code, done.output


def test_every_traditional_codec_of_record_is_within_its_bound(record: pd.DataFrame) -> None:
    found = verify_results(record)
    assert {check.codec for check in found.checks} == {"avif", "bpg", "jpeg", "jpeg2000", "vtm", "webp"}
    assert {check.verdict for check in found.checks} == {"within"}
    assert not {"avif", "bpg", "jpeg", "jpeg2000", "vtm", "webp"} & set(found.without)
    code, said = _verify("kodak", "--results", str(RECORD))
    assert code == 0
    assert "Another set-up: its QPs mean other rates" in said
    assert "37.46" not in said


@pytest.mark.parametrize(
    ("codec", "lost_db", "rate"),
    [("jpeg2000", 3.1, 1.0), ("avif", 0.6, 1.0), ("vtm", 0.5, 1.0), ("bpg", 0.0, 1.01), ("jpeg", 0.2, 1.0)],
)
def test_a_fault_of_the_known_size_lies_outside(
    record: pd.DataFrame, codec: str, lost_db: float, rate: float
) -> None:
    """3.1 dB: JPEG 2000 without its colour transform; 0.5 dB: VTM whose planes are truncated, not rounded."""
    hurt = record[record["codec"] == codec].copy()
    hurt["psnr_rgb"] -= lost_db
    hurt["bpp"] *= rate
    found = verify_results(hurt)
    assert found.outside
    assert list(found.text())[-1] == f"outside: {codec}"


def test_verify_exits_1_and_shows_the_points_of_what_lies_outside(
    record: pd.DataFrame, tmp_path: Path
) -> None:
    hurt = record[record["codec"].isin(["jpeg2000", "webp"])].copy()
    hurt.loc[hurt["codec"] == "jpeg2000", "psnr_rgb"] -= 3.1
    file = tmp_path / "hurt.parquet"
    pq.write_table(pa.Table.from_pandas(hurt, schema=table_schema(hurt.columns), preserve_index=False), file)
    code, said = _verify(str(file))
    assert code == 1
    assert "outside: jpeg2000" in said
    assert "jpeg2000, PSNR: here and published by" in said
    assert "webp, PSNR: here and published by" not in said
    assert "webp, PSNR: here and published by" in _verify(str(file), "--points")[1]


def test_what_is_no_evidence_is_not_judged(record: pd.DataFrame) -> None:
    some = record[(record["codec"] == "webp") & (record["image"] <= "kodim03.png")].copy()
    found = verify_results(some)
    assert {check.unjudged for check in found.checks} == {"3 of 24 images"}
    assert not found.outside
    other = record[record["codec"] == "jpeg"].copy()
    other["codec_options"] = '{"subsampling": "4:4:4"}'
    other["psnr_rgb"] += 1
    found = verify_results(other)
    assert {check.verdict for check in found.checks} == {"not judged"}
    assert "jpeg is not judged: options of the suite's own" in list(found.text())


def test_without_any_yardstick_there_is_an_error() -> None:
    with pytest.raises(AnalysisError, match="none of these codecs"):
        verify_results(frame_of(codecs=("baseline",)))


def test_the_table_of_the_docs_is_the_output_of_the_command() -> None:
    command = "bench verify kodak --results results/reference --markdown"
    _, rest = DOCS.read_text().split(f"<!-- {command} -->\n")
    table, _ = rest.split("<!-- end -->")
    code, said = _verify("kodak", "--results", str(RECORD), "--markdown")
    assert code == 0
    assert table == said, f"docs/codecs.md: replace its table by the output of `{command}`"
