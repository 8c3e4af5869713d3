"""Tables that pandas wrote again are read, and pandas reads a folder of results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from harness import ROOT

from benchmark.errors import StoreError
from benchmark.results.store import read_results

RECORD = ROOT / "results" / "reference"


@pytest.fixture(scope="module")
def record() -> pd.DataFrame:
    return read_results(RECORD / "kodak")


def test_pandas_reads_the_results_of_record(record: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(RECORD / "kodak"), record)


@pytest.mark.parametrize("words_as_categories", [False, True])
def test_a_concatenation_that_pandas_wrote_reads_as_its_parts(
    record: pd.DataFrame, tmp_path: Path, words_as_categories: bool
) -> None:
    """Its index is a column, its columns are of other types (whole numbers with gaps are floating), it has no
    digest and no version but that of its rows."""
    a, b = (record[record["codec"] == codec].copy() for codec in ("bpg", "webp"))
    b["of_a_package"] = 1
    b.loc[b.index[0], ["status", "error", "width"]] = ["failed", "why", None]
    both = pd.concat([a, b])
    both.to_parquet(tmp_path / "both.parquet")
    found = read_results(tmp_path / "both.parquet", words_as_categories=words_as_categories)
    assert set(found.columns) == set(both.columns)
    for name in both.columns:
        left, right = found[name].astype(object), both[name].reset_index(drop=True).astype(object)
        assert (left.eq(right) | (left.isna() & right.isna())).all(), name
    assert found["jobs"].dtype == "int64"
    assert found["of_a_package"].dtype == "float64"


def test_categories_that_are_concatenated_read_too(tmp_path: Path) -> None:
    parts = [read_results(RECORD / name, words_as_categories=True) for name in ("kodak", "smoke")]
    pd.concat(parts, ignore_index=True).to_parquet(tmp_path / "c.parquet")
    found = read_results(tmp_path / "c.parquet", ["codec", "machine"])
    assert found["codec"].tolist() == [name for part in parts for name in part["codec"]]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("jobs", 1.5, "column jobs holds what none of its type is.*truncated"),
        ("codec", None, "column codec has 1 nulls"),
        ("schema_version", "99", "has schema version 99, this bench reads 1 and 2"),
        ("note", "by hand", r"foreign ones \(\['note'\]\)"),
        ("protocol", "{", "column protocol: '{' is no JSON"),
    ],
)
def test_what_pandas_wrote_is_checked_like_any_table(
    record: pd.DataFrame, tmp_path: Path, column: str, value: object, said: str
) -> None:
    frame = record.head(5).copy()
    frame[column] = frame[column].astype(object) if column in frame else None
    frame.loc[0, column] = value
    if column == "jobs":
        frame[column] = frame[column].astype(float)
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(StoreError, match=said):
        read_results(tmp_path / "x.parquet")


def test_a_table_whose_rows_say_no_version_is_refused(record: pd.DataFrame, tmp_path: Path) -> None:
    record.drop(columns="schema_version").to_parquet(tmp_path / "x.parquet")
    with pytest.raises(StoreError, match=r"has schema version \?"):
        read_results(tmp_path / "x.parquet")
