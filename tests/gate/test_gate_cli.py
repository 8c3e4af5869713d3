"""The gate's command line: references of every kind, exit codes, formats, promotion."""

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic import frame_of
from typer.testing import CliRunner, Result

from benchmark.cli import build_app
from benchmark.errors import AnalysisError, BenchError, StoreError
from benchmark.gate.check import check
from benchmark.gate.findings import Limits
from benchmark.gate.formats import to_annotations, to_json, to_junit, to_markdown
from benchmark.gate.reference import load_reference, promote
from benchmark.results.store import SCHEMA_VERSION, read_results, table_schema

EVIL = "<script>|`x`\n::error::y"
Bench = Callable[..., Result]


def store(frame: pd.DataFrame, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(
        frame.assign(schema_version=SCHEMA_VERSION), schema=table_schema(frame.columns), preserve_index=False
    )
    pq.write_table(table, folder / "results.parquet")
    return folder


def worse(frame: pd.DataFrame) -> pd.DataFrame:
    hit = frame["codec"] == "webp"
    changed = frame.copy()
    changed.loc[hit, "bpp"] *= 1.03
    changed.loc[hit, "bitstream_sha256"] += "'"
    return changed


@pytest.fixture
def frame() -> pd.DataFrame:
    return frame_of(images=6)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return lambda *arguments: CliRunner().invoke(build_app(), list(arguments))


def test_a_run_of_one_codec_is_checked_alone(bench: Bench, frame: pd.DataFrame) -> None:
    store(frame, Path("before/smoke"))
    store(frame[frame["codec"] == "webp"], Path("results/smoke"))
    whole = bench("check", "smoke", "--against", "before")
    assert whole.exit_code == 1
    assert "jpeg: codec vanished" in whole.output
    alone = bench("check", "smoke", "--against", "before", "--codec", "webp")
    assert alone.exit_code == 0, alone.output
    assert "jpeg" not in alone.output
    assert "30 rows against 30" in alone.output
    typo = bench("check", "smoke", "--against", "before", "--codec", "wepb")
    assert isinstance(typo.exception, AnalysisError)
    assert "did you mean 'webp'?" in str(typo.exception)
    gone = bench("check", "smoke", "--against", "before", "--codec", "jpeg")
    assert str(gone.exception) == "the results of jpeg in smoke hold no rows; run the suite first"


def test_exit_codes(bench: Bench, frame: pd.DataFrame) -> None:
    store(frame, Path("results/smoke"))
    store(frame, Path("before/smoke"))
    assert bench("check", "smoke", "--against", "before").exit_code == 0
    store(worse(frame), Path("results/smoke"))
    failed = bench("check", "smoke", "--against", "before/smoke/results.parquet")
    assert failed.exit_code == 1
    assert "regression" in failed.output
    assert bench("check", "smoke", "--against", "before/smoke", "--max-regression", "5").exit_code == 0
    store(frame.assign(protocol="{}"), Path("results/smoke"))
    changed = frame.assign(protocol="{}", bitstream_sha256="x")
    store(changed, Path("results/smoke"))
    assert bench("check", "smoke", "--against", "before").exit_code == 3
    assert bench("check", "smoke", "--against", "before", "--allow-inconclusive").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "smoke", "--against", "nowhere"), "no such folder or file"),
        (("check", "smoke", "--against", "git:nosuchrevision"), "must hold results/reference/smoke"),
        (("check", "smoke", "--against", "git:--output=x"), "no revision"),
        (("check", "nosuite", "--against", "results"), "bench run suite"),
        (("check", "smoke", "--against", "results", "--metric", "vmaf"), "unknown metric 'vmaf'"),
        (("reference", "update", "smoke", "-m", " "), "say why"),
    ],
)
def test_bad_input_is_an_error_that_names_it(
    bench: Bench, frame: pd.DataFrame, arguments: tuple[str, ...], message: str
) -> None:
    store(frame, Path("results/smoke"))
    result = bench(*arguments)
    assert isinstance(result.exception, BenchError)
    assert message in str(result.exception)
    assert not Path("x").exists()


def test_reference_from_a_git_revision(bench: Bench, frame: pd.DataFrame) -> None:
    store(frame, Path("results/smoke"))
    assert bench("reference", "update", "smoke", "-m", "the first").exit_code == 0
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "results/reference"], ["commit", "-q", "-m", "reference"]):
        subprocess.run([*git, *command], check=True)
    store(worse(frame), Path("results/smoke"))
    assert bench("reference", "update", "smoke", "-m", "worse").exit_code == 0
    assert bench("check", "smoke", "--against", "git:HEAD").exit_code == 1
    assert bench("check", "smoke", "--against", "results/reference").exit_code == 0
    pd.testing.assert_frame_equal(
        load_reference("git:HEAD", "smoke").sort_values("bpp", ignore_index=True),
        read_results(store(frame, Path("again"))).sort_values("bpp", ignore_index=True),
    )
    Path("results/reference/smoke/results.parquet").write_text("no parquet")
    subprocess.run([*git, "commit", "-q", "-a", "-m", "broken"], check=True)
    with pytest.raises((AnalysisError, StoreError), match=r"results\.parquet"):
        load_reference("git:HEAD", "smoke")


def test_promotion_keeps_rows_and_says_where_from(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame["environment"] = '{"commit": "00060d1"}'
    (tmp_path / "reference" / "smoke").mkdir(parents=True)
    (tmp_path / "reference" / "smoke" / "reference.json").write_text("{}")  # of an older bench
    done = promote("smoke", store(frame, tmp_path / "run"), "why\n", tmp_path / "reference")
    assert done.rows == len(frame) == len(pd.read_parquet(tmp_path / "reference" / "smoke"))
    assert len(read_results(tmp_path / "reference" / "smoke")) == len(frame)
    about = json.loads((tmp_path / "reference/smoke/_reference.json").read_text())
    assert about["message"] == "why"
    assert about["codecs"] == {"jpeg": "1", "webp": "1"}
    assert about["commits"] == ["00060d1"]
    assert {p.name for p in (tmp_path / "reference/smoke").iterdir()} == {
        "results.parquet",
        "_reference.json",
    }


@pytest.mark.parametrize("trouble", ["failed", "partial", "holes"])
def test_promotion_refuses_what_is_not_whole(tmp_path: Path, frame: pd.DataFrame, trouble: str) -> None:
    if trouble == "failed":
        frame.loc[3, "status"] = "failed"
    elif trouble == "partial":
        frame["dataset_size"] = 24
    else:
        frame = frame.drop(index=3)
    with pytest.raises(AnalysisError, match="not promoted"):
        promote("smoke", store(frame, tmp_path / "run"), "why", tmp_path / "reference")
    assert not (tmp_path / "reference" / "smoke" / "results.parquet").exists()


def test_json_obeys_its_schema(frame: pd.DataFrame) -> None:
    schema = json.loads((files("benchmark.gate") / "check.schema.json").read_text())
    broken = worse(frame)
    broken.loc[0, "status"] = "failed"
    for current, limits in ((frame, Limits()), (broken, Limits(slowdown_fails=True))):
        text = to_json(check(current, frame, suite="smoke", against="git:main", limits=limits))
        jsonschema.validate(json.loads(text), schema)
    found = json.loads(text)
    assert found["exit_code"] == 1
    assert {v["codec"]: v["verdict"] for v in found["verdicts"]}["webp"] == "regression"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "verdict": "maybe"}, schema)


def test_junit_counts_failures(frame: pd.DataFrame) -> None:
    report = check(worse(frame), frame, suite="smoke")
    suite = ElementTree.fromstring(to_junit(report)).find("testsuite")
    assert suite is not None
    failures = [case for case in suite if case.find("failure") is not None]
    assert suite.get("failures") == str(len(failures)) != "0"
    assert {case.get("classname") for case in failures} == {"webp"}
    assert suite.get("tests") == str(len(list(suite)))


def test_names_from_data_stay_text(frame: pd.DataFrame) -> None:
    frame["codec"] = frame["codec"].replace("webp", EVIL)
    changed = frame.copy()
    hit = changed["codec"] == EVIL
    changed.loc[hit, "bpp"] *= 1.03
    changed.loc[hit, "bitstream_sha256"] += "'"
    report = check(changed, frame, suite=EVIL, against="\x00\ud800")
    lines = to_annotations(report).splitlines()
    assert lines
    assert all(line.startswith(("::error title=", "::warning title=", "::notice title=")) for line in lines)
    markdown = to_markdown(report)
    assert "<script>" not in markdown.replace(f'title "{EVIL.splitlines()[0]}', "")
    assert ElementTree.fromstring(to_junit(report)) is not None
    assert json.loads(to_json(report))["suite"] == EVIL


def test_github_writes_annotations_and_the_job_summary(
    bench: Bench, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(worse(frame), Path("results/smoke"))
    store(frame, Path("before/smoke"))
    Path("summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    result = bench("check", "smoke", "--against", "before", "--format", "github")
    assert result.exit_code == 1
    assert "::error title=webp%3A psnr_rgb regression::" in result.output
    summary = Path("summary.md").read_text()
    assert summary.startswith("before\n## ❌ regression")
    assert "```mermaid" in summary
    assert "jpeg" in summary


@pytest.mark.parametrize("kind", ["terminal", "junit", "json"])
def test_reports_go_to_a_file_on_request(bench: Bench, frame: pd.DataFrame, kind: str) -> None:
    store(frame, Path("results/smoke"))
    result = bench("check", "smoke", "--against", "results", "--format", kind, "--out", "report")
    assert result.exit_code == 0
    assert result.output == ""
    assert "webp" in Path("report").read_text()
