"""What a suite asks for now decides what is shown of its results, wherever the command was given."""

from __future__ import annotations

from pathlib import Path

import harness
import pytest
from test_cli import bench, environment

from benchmark.errors import StoreError, SuiteError
from benchmark.metrics import METRICS
from benchmark.report import read as request
from benchmark.results.plan import PLAN, read_plan
from benchmark.results.store import SCHEMA, read_results

__all__ = ["environment"]

CODECS = """
name = "mine"
dataset = "folder:photos"
metrics = ["psnr_rgb"]
[[codec]]
name = "webp"
points = [20, 40, 60, 80]
[[codec]]
name = "jpeg"
points = {points}
"""


def write(folder: Path, points: list[int]) -> Path:
    path = folder / "mine.toml"
    path.write_text(CODECS.format(points=points))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    harness.make_images(tmp_path / "own" / "photos", count=3)
    return tmp_path / "own"


def test_a_folder_is_one_dataset_from_wherever_the_command_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, out = write(folder, [20, 40, 60, 80]), folder / "results"
    assert "24 measured" in bench("run", "suite", suite, "--out", out)
    monkeypatch.chdir(folder)
    assert "nothing to do: all 24" in bench("run", "suite", suite.name, "--out", "results")
    assert set(read_results(out / "mine")["dataset"]) == {"folder:photos"}
    plan = read_plan(out / "mine")
    assert plan is not None and plan.folder == folder / "photos"


def test_the_first_codec_of_ones_own_suite_is_the_anchor_everywhere(folder: Path) -> None:
    suite = write(folder, [20, 40, 60, 80])
    ran = bench("run", "suite", suite, "--out", folder / "results")
    assert "BD-rate against webp" in ran
    for named in ("mine", suite):
        shown = bench(
            "report", named, "--results", folder / "results", "--format", "csv", "--out", folder / "r"
        )
        assert "against webp" in shown


def test_rows_that_the_suite_no_longer_asks_for_are_left_out_and_counted(folder: Path) -> None:
    out = folder / "results"
    bench("run", "suite", write(folder, [20, 40, 60, 80]), "--out", out, "--keep")
    (folder / "photos" / "image2.png").unlink()
    said = bench("run", "suite", write(folder, [20, 40, 80]), "--out", out)
    assert "nothing to do: all 14" in said
    assert " 60 " not in said.split("webp")[-1]
    assert len(read_results(out / "mine")) == 24  # the rows stay
    shown = bench("report", "mine", "--results", out, "--out", folder / "r", "--format", "html")
    assert f"{out / 'mine'}: 10 rows that the suite no longer asks for are excluded" in shown.replace(
        "\n", ""
    )
    assert "image1.png" in (folder / "r" / "index.html").read_text()
    asked = request.find("mine", out)
    frame = request.read(asked)
    assert set(frame["image"]) == {"image0.png", "image1.png"}
    assert sorted(set(frame.loc[frame["codec"] == "jpeg", "point"])) == [20, 40, 80]


def test_a_selection_leaves_the_whole_plan(folder: Path) -> None:
    suite, out = write(folder, [20, 40, 60, 80]), folder / "results"
    bench("run", "suite", suite, "--out", out)
    bench("run", "suite", suite, "--out", out, "--codec", "jpeg", "--image", "image0")
    plan = read_plan(out / "mine")
    assert plan is not None and list(plan.points) == ["webp", "jpeg"]
    frame = read_results(out / "mine")
    assert plan.select(frame) is frame


def test_a_damaged_plan_and_results_elsewhere_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(StoreError, match=r"_plan\.json: is damaged .*delete it"):
        read_plan(tmp_path)
    (tmp_path / "results" / "reference" / "kodak").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"results of record are in .*: add --results results/reference"):
        monkeypatch.chdir(tmp_path)
        request.find("kodak")
    (tmp_path / "wrong.toml").write_text("name = 1")
    with pytest.raises(SuiteError, match=r"wrong\.toml: "):
        request.find(str(tmp_path / "wrong.toml"))


def test_every_column_is_documented() -> None:
    documented = {
        name.strip()
        for line in (Path(__file__).parents[2] / "docs" / "results.md").read_text().splitlines()
        if line.startswith("| ")
        for name in line.split("|")[1].split(",")
    }
    assert {*SCHEMA.names, *METRICS.builtin} <= documented
