"""Studies: rows that resume, failures that cost their own rows, what is wrong is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import PIL.Image
import pytest
from harness import bench_in, install_package, make_images
from pydantic import Field

from benchmark.cli import main
from benchmark.errors import CodecError, LockedError, StoreError, UsageError
from benchmark.report.figures.base import Panel
from benchmark.studies import STUDIES, make_study, run
from benchmark.studies.base import Job, Row, Study, Subject
from benchmark.studies.rows import opened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CALLS: list[str] = []


@dataclass(frozen=True)
class Toy(Study):
    name = "toy"
    title = "A toy"
    summary = "for tests"
    version = "1"
    uses_codecs = False

    most: Annotated[int, Field(ge=1)] = 3
    fails: str = ""

    def jobs(self, subject: Subject) -> Iterable[Job]:
        for codec in ("null", "jpeg"):
            yield Job({"codec": codec}, self._work(codec), steps=self.most)

    def _work(self, codec: str) -> Callable[[Callable[[], None]], list[Row]]:
        def work(step: Callable[[], None]) -> list[Row]:
            CALLS.append(codec)
            if codec == self.fails:
                raise CodecError("it refuses")
            for _ in range(self.most):
                step()
            return [{"x": i, "y": i / 3} for i in range(self.most)]

        return work

    def panels(self, rows: pd.DataFrame) -> Sequence[Panel]:
        def draw(ax: Axes) -> None:
            ax.plot(rows["x"], rows["y"], label="y")

        return [Panel("One", draw), Panel("Two", draw)]

    def said(self, rows: pd.DataFrame) -> Sequence[str]:
        return [f"{len(rows)} rows.", "No more."]


SUBJECT = Subject("none", (), 0)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_a_study_resumes_and_its_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "toy.csv"
    heard: list[tuple[int, int]] = []
    with opened(path) as kept:
        first = run.measure(Toy(), SUBJECT, kept, lambda done, total: heard.append((done, total)))
    assert (first.done, first.reused, first.failed) == (2, 0, [])
    assert heard == [(done, 6) for done in range(7)]
    with opened(path) as kept:
        second = run.measure(Toy(), SUBJECT, kept)
    assert (second.done, second.reused) == (0, 2)
    assert CALLS == ["null", "jpeg"]
    assert list(second.rows["codec"]) == ["null"] * 3 + ["jpeg"] * 3  # null is a name, not a missing value
    pd.testing.assert_frame_equal(second.rows, first.rows)
    with opened(path) as kept:
        assert len(run.measure(Toy(most=2), SUBJECT, kept).rows) == 4
        assert run.measure(Toy(), SUBJECT, kept).reused == 2


def test_a_job_that_fails_costs_its_own_rows_and_is_tried_again(tmp_path: Path) -> None:
    with opened(tmp_path / "toy.csv") as kept:
        outcome = run.measure(Toy(fails="null"), SUBJECT, kept)
        assert outcome.failed == ["null: it refuses"]
        assert set(outcome.rows["codec"]) == {"jpeg"}
        run.measure(Toy(fails="null"), SUBJECT, kept)
    assert CALLS == ["null", "jpeg", "null"]


def test_figure_and_caption_are_written_alike_each_time(tmp_path: Path) -> None:
    with opened(tmp_path / "toy.csv") as kept:
        rows = run.measure(Toy(), SUBJECT, kept).rows
    assert run.write(Toy(), rows, tmp_path / "toy") == "6 rows. No more."
    assert (tmp_path / "toy.txt").read_text() == "6 rows. No more.\n"
    with PIL.Image.open(tmp_path / "toy.png") as picture:
        assert picture.width == 2148  # 7.16 inches at 300 dpi: a page's width
    before = [(tmp_path / f"toy.{suffix}").read_bytes() for suffix in run.FORMATS]
    run.write(Toy(), rows, tmp_path / "toy")
    assert before == [(tmp_path / f"toy.{suffix}").read_bytes() for suffix in run.FORMATS]
    with pytest.raises(UsageError, match="nothing was measured"):
        run.write(Toy(), rows.iloc[:0], tmp_path / "none")


def test_files_that_are_no_rows_are_refused_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "toy.csv"
    for text in ("a,b\n1,2\n", "", '"'):
        path.write_text(text)
        with pytest.raises(StoreError, match=r"toy\.csv: .*move it away"), opened(path):
            pass
        assert path.read_text() == text
    path.unlink()
    with opened(path), pytest.raises(LockedError), opened(path):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"round": 3}, r"^study 'generations' has no option 'round'; did you mean 'rounds'\?$"),
        ({"rounds": 1}, r"^study 'generations', option rounds: input should be greater than or equal to 2$"),
        ({"rounds": "many"}, "option rounds: input should be a valid integer"),
        ({"bpp": -1.0}, "option bpp: input should be greater than 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_study("generations", options)
    with pytest.raises(UsageError, match="unknown study 'generation'; did you mean 'generations'"):
        make_study("generation", options)


def test_every_study_has_a_default_for_each_option_and_a_line() -> None:
    for name, kind in STUDIES.items():
        made = make_study(name, {})
        assert made.name == name
        assert kind.summary
        assert kind.title


@pytest.mark.parametrize(
    "arguments",
    [
        ("generation", "s.toml"),
        ("generations", "t.toml"),
        ("generations", "s.toml", "--codec", "jpg"),
        ("generations", "s.toml", "--image", "imag"),
        ("generations", "s.toml", "--option", "rounds"),
    ],
)
def test_the_command_names_what_is_wrong(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_images(tmp_path / "images", 1)
    (tmp_path / "s.toml").write_text(
        'name = "s"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n[[codec]]\nname = "jpeg"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["bench", "study", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("bench: ")
    assert said.count("\n") == 1


def test_the_command_studies_any_codec_and_lists_a_packages_study(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 2)
    (tmp_path / "s.toml").write_text(
        'name = "s"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n[[codec]]\nname = "jpeg"\n'
    )
    site = tmp_path / "site"
    source = (
        "from dataclasses import dataclass\nfrom benchmark.studies.generations import Generations\n"
        "@dataclass(frozen=True)\nclass Mine(Generations):\n    name = 'mine'\n    summary = 'of a package'\n"
    )
    install_package(site, "mystudy", source, "[bench.studies]\nmine = mystudy:Mine\n")
    assert "of a package" in bench_in(site, "list", "studies").stdout
    arguments = ["mine", "s.toml", "--image", "image0", "--codec", "webp", "--option", "rounds=3"]
    done = bench_in(site, "study", *arguments)
    assert "1 measured, 0 reused, 0 failed" in done.stdout
    rows = pd.read_csv(tmp_path / "reports" / "s" / "studies" / "mine.csv")
    assert list(rows["round"]) == [1, 2, 3]
    assert set(rows["codec"]) == {"webp"}
