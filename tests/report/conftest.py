"""A small real run, shared by the tests of the report: four images, three codecs, decoded images kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from report_small_run import SUITE, SmallRun, photograph

from benchmark.operations import FACT, Operations, Part
from benchmark.report import read as request
from benchmark.report import write
from benchmark.results.store import Store, read_results, read_rows


@pytest.fixture(scope="session")
def small_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the small suite through the command line; return the folder of its results."""
    from typer.testing import CliRunner

    from benchmark.cli import build_app

    folder = tmp_path_factory.mktemp("small")
    images = folder / "images"
    images.mkdir()
    for seed in range(4):
        photograph(seed).save(images / f"image {seed}.png")
    suite = folder / "small.toml"
    suite.write_text(SUITE.format(folder=images))
    command = ["run", "suite", str(suite), "--out", str(folder / "results"), "--keep"]
    done = CliRunner().invoke(build_app(), command)
    assert done.exit_code == 0, done.output + repr(done.exception)
    _give_operations(folder / "results" / "small")
    return folder / "results" / "small"


def _give_operations(results: Path) -> None:
    """Say of codecs without networks what networks would take, for the figure of it."""
    counted = Operations((Part("g_s", 10**9, 10**10, 1),))
    with Store(results) as store:
        table = read_rows(results)
        facts = [
            json.dumps({**json.loads(extra), FACT: counted.fact()}) for extra in table["extra"].to_pylist()
        ]
        at = table.schema.get_field_index("extra")
        store.put(table.set_column(at, table.schema.field(at), pa.array(facts)))


@pytest.fixture(scope="session")
def small_run(small_results: Path) -> SmallRun:
    """Report on the small run, in every format."""
    asked = request.find("small", small_results.parent)
    frame = read_results(asked.path)
    summary = request.summarize_suite(asked, request.read(asked), "jpeg")
    folder = small_results.parent.parent / "report"
    written = write.write_report(summary, folder, results=small_results)
    return SmallRun(small_results, folder, frame, summary, written)
