"""Suites and result files of strangers: right, or refused with file and field before work begins."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import StoreError, SuiteError
from benchmark.report.read import find
from benchmark.results.records import JSON_COLUMNS, Record
from benchmark.results.store import SCHEMA, TABLE, Store, read_results
from benchmark.runs.runner import find_codecs
from benchmark.runs.suite import load_suite, parse_suite

SUITE: dict[str, object] = {
    "name": "s",
    "dataset": "folder:images",
    "metrics": ["psnr_rgb"],
    "crop": 64,
    "codec": [{"name": "jpeg", "points": [50], "options": {"subsampling": "4:4:4"}}],
}

REFUSED = {
    'name = "s"\ndataset = "folder:a\\u0000b"': "dataset: .* zero byte",
    'name = "s"\ndataset = "folder:~no-such-user/x"': "dataset: .*~no-such-user is no user",
    'name = "s"\nx = ' + "[" * 3000 + "]" * 3000: "nested too deeply",
    'name = "s"\nx = ' + "9" * 5000: "is no TOML: .*digits",
    'name = "s"\ncrop = 99999999999999999999\ndataset = "demo"': "crop: 9+ is not a number of pixels",
}


@pytest.mark.parametrize("head", REFUSED)
def test_a_suite_that_cannot_be_is_refused_by_field(head: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'{head}\nmetrics = ["psnr_rgb"]\n[[codec]]\nname = "jpeg"\n')
    with pytest.raises(SuiteError, match=rf"s\.toml: .*{REFUSED[head]}|s\.toml: {REFUSED[head]}"):
        parse_suite(path)


@pytest.mark.parametrize(
    ("codec", "options", "message"),
    [
        ("baseline", "quantizer = [1]", r"option quantizer: \[1\] is no str"),
        ("cjxl", "timeout_seconds = inf", "timeout_seconds is inf; give a number above 0"),
        ("cjxl", "timeout_seconds = 'long'", "option timeout_seconds: 'long' is no finite number"),
        ("cjxl", "timeout_seconds = 1e300", "timeout_seconds is 1e\\+300; .* at most a year"),
        ("jpegxl", "effort = 3.0", "option effort: 3.0 is no int"),
        ("jpegxl", "effort = true", "option effort: True is no int"),
    ],
)
def test_an_option_of_another_type_is_refused_before_work(
    codec: str, options: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        'name = "s"\ndataset = "demo"\nmetrics = ["psnr_rgb"]\n'
        f'[[codec]]\nname = "{codec}"\noptions = {{ {options} }}\n'
    )
    with pytest.raises(SuiteError, match=message):
        find_codecs(parse_suite(path))


CODE = {
    'codec = "spy.py:Spy"': "codec: 'spy.py:Spy' is code to run",
    'command = { encode = ["./spy", "{input}", "{output}"], decode = ["./spy", "{input}", "{output}"] }': (
        "command: is code to run"
    ),
    'codec = "command"\noptions = { encode = ["./spy"] }': "options: encode is code to run",
    'codec = "compressai"\noptions = { factory = "spy.py:make" }': "options: factory is code to run",
}


@pytest.mark.parametrize("names", CODE)
def test_no_code_refuses_a_suite_that_names_code_and_runs_none(
    names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spy.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    path = tmp_path / "s.toml"
    path.write_text(f'name = "s"\ndataset = "demo"\nmetrics = ["psnr_rgb"]\n[[codec]]\nname = "a"\n{names}\n')
    with pytest.raises(SuiteError, match=rf"s\.toml: codec\[1\] \('a'\) {CODE[names]}"):
        load_suite(str(path), code=False)
    with pytest.raises(StoreError, match="no results of"):  # a report knows the suite by its name alone
        find(str(path), tmp_path)
    assert not (tmp_path / "ran").exists()
    assert load_suite("smoke", code=False) == load_suite("smoke")


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(st.characters(codec="utf-8"), max_size=9),
        st.sampled_from(["jpeg", "jpegxl", "cjxl", "baseline", "folder:", "folder:~x", "psnr_rgb", ".."]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PLACES = st.sampled_from(
    [
        *[(key,) for key in (*SUITE, "more")],
        *[("codec", 0, key) for key in ("name", "codec", "points", "options", "more")],
        *[("codec", 0, "options", key) for key in ("subsampling", "effort", "quantizer", "timeout_seconds")],
    ]
)


def toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return f"[{', '.join(toml(v) for v in value if v is not None)}]"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=2))
def test_any_suite_is_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    suite = json.loads(json.dumps(SUITE))
    for (*way, last), value in changes:
        place = suite
        for step in way:
            inside = isinstance(place, list) and isinstance(step, int) and len(place) > step
            place = place[step] if inside or (isinstance(place, dict) and step in place) else {}
        if isinstance(place, dict):
            place[last] = value
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("".join(f"{key} = {toml(v)}\n" for key, v in suite.items() if v is not None))
    try:
        find_codecs(parse_suite(path))
    except SuiteError as error:
        assert str(path) in str(error) or "suite " in str(error)


ROW = Record("s", "d", 2, 2, "jpeg", "jpeg", "{}", 5.0, "a.png", "0" * 64, "ok", bpp=1.5, width=3)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    folder = tmp_path_factory.mktemp("results")
    with Store(folder) as store:
        store.append([ROW])
    return pq.read_table(folder / TABLE)


COLUMNS_OF = {
    "numbers": pa.array([7]),
    "words": pa.array(["seven"]),
    "halves": pa.array([7.5]),
    "truth": pa.array([True]),
    "lists": pa.array([[7]]),
    "bytes": pa.array([b"\xff"]),
    "nothing": pa.array([None], pa.string()),
    "broken": pa.array(["{"]),
    "array": pa.array(["[]"]),
    "deep": pa.array(["[" * 100_000]),
    "no UTF-8": pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")),
}


@pytest.mark.parametrize("what", COLUMNS_OF)
def test_a_table_with_wrong_columns_is_read_or_refused_by_column(
    what: str, table: pa.Table, tmp_path: Path
) -> None:
    for column in SCHEMA.names:
        at = table.schema.get_field_index(column)
        pq.write_table(table.set_column(at, column, COLUMNS_OF[what]), tmp_path / TABLE)
        try:
            assert len(read_results(tmp_path)) == 1
            assert what not in ("lists", "bytes", "truth", "no UTF-8")
            assert column not in JSON_COLUMNS or what in ("array", "nothing")
        except StoreError as error:
            assert "results.parquet: " in str(error)
            assert column in str(error) or "UTF8" in str(error)
