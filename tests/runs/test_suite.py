from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from benchmark.codecs import CODECS
from benchmark.data.dataset import Dataset, ImageRef
from benchmark.errors import SuiteError, UsageError
from benchmark.runs.suite import builtin_suites, load_suite, parse_suite
from benchmark.runs.tasks import Task, select_images

HEAD = 'name = "mine"\ndataset = "demo"\nmetrics = ["psnr_rgb"]\n'
JPEG = '[[codec]]\nname = "jpeg"\n'


def suite_file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def dataset(*names: str, size: int | None = None) -> Dataset:
    images = tuple(ImageRef(name, Path("/images") / name, "0" * 63 + str(i)) for i, name in enumerate(names))
    return Dataset("demo", size or len(names), images)


@pytest.mark.parametrize("name", sorted(builtin_suites()))
def test_built_in_suites_are_valid_and_named_as_their_files(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.summary
    assert {spec.codec_id for spec in suite.codec} <= set(CODECS.names())


def test_plan_is_every_codec_at_every_point_on_every_image(tmp_path: Path) -> None:
    text = (
        HEAD
        + '[[codec]]\nname = "fine"\ncodec = "jpeg"\npoints = [90, 95.5]\noptions = {b = 1, a = "x"}\n'
        + JPEG
    )
    tasks = parse_suite(suite_file(tmp_path, text)).tasks(dataset("a.png", "b.png", size=3))
    default_points = CODECS.find("jpeg").points
    assert len(tasks) == 2 * 2 + 2 * len(default_points)
    assert len(set(tasks)) == len(tasks)
    assert tasks[0] == Task(
        suite="mine",
        dataset="demo",
        dataset_images=2,
        dataset_size=3,
        codec="fine",
        codec_id="jpeg",
        codec_options='{"a": "x", "b": 1}',
        point=90.0,
        image="a.png",
        image_path=Path("/images/a.png"),
        image_sha256="0" * 64,
        metrics=("psnr_rgb",),
        point_name="quality",
        codec_family="jpeg",
    )
    assert [(t.image, t.point) for t in tasks[:4]] == [
        (i, p) for i in ("a.png", "b.png") for p in (90.0, 95.5)
    ]
    assert {t.point for t in tasks if t.codec == "jpeg"} == set(default_points)


def test_learned_codecs_are_one_family_and_others_their_own(tmp_path: Path) -> None:
    labels = "".join(
        f'[[codec]]\nname = "{name}"\npoints = [0.013]\n'
        for name in ("baseline", "patch-finetuned-tcq", "jpeg", "webp")
    )
    tasks = parse_suite(suite_file(tmp_path, HEAD + labels)).tasks(dataset("a.png", size=1))
    assert [task.codec_family for task in tasks] == ["learned", "learned", "jpeg", "webp"]


FAULTS = {
    "codec id": (
        HEAD + '[[codec]]\nname = "jpg"\n',
        ["codec[1] ('jpg')", "unknown codec", "did you mean 'jpeg'"],
    ),
    "codec key": (HEAD + JPEG + "pionts = [5]\n", ["codec[1] ('jpeg') pionts", "did you mean 'points'"]),
    "suite key": ('metric = ["psnr_rgb"]\n' + HEAD + JPEG, ["unknown key metric", "did you mean 'metrics'"]),
    "missing key": ('name = "mine"\nmetrics = ["psnr_rgb"]\n' + JPEG, ["dataset is missing"]),
    "missing label": (HEAD + "[[codec]]\npoints = [1]\n", ["codec[1] name is missing"]),
    "no codecs": (HEAD, ["codec is missing"]),
    "empty codecs": (HEAD + "codec = []\n", ["codec: is empty"]),
    "empty points": (HEAD + JPEG + "points = []\n", ["codec[1] ('jpeg') points: is empty"]),
    "empty metrics": (
        'name = "mine"\ndataset = "demo"\nmetrics = []\n' + JPEG,
        ["metrics: is empty", "psnr_rgb"],
    ),
    "same label": (HEAD + JPEG + JPEG, ["codec[2] name: 'jpeg' is given twice"]),
    "same point": (HEAD + JPEG + "points = [5, 5.0]\n", ["points: 5 is given twice"]),
    "negative": (HEAD + JPEG + "points = [-5]\n", ["points: -5 is not a number from 0 up"]),
    "infinite": (HEAD + JPEG + "points = [inf]\n", ["points: inf is not"]),
    "nan": (HEAD + JPEG + "points = [nan]\n", ["points: nan is not"]),
    "text point": (HEAD + JPEG + 'points = ["5"]\n', ["codec[1] ('jpeg') points[1]", "'5'"]),
    "bool point": (HEAD + JPEG + "points = [true]\n", ["points[1]"]),
    "scalar points": (HEAD + JPEG + "points = 5\n", ["codec[1] ('jpeg') points"]),
    "metric": (HEAD.replace("psnr_rgb", "psnr_rbg") + JPEG, ["unknown metric 'psnr_rbg'", "'psnr_rgb'"]),
    "same metric": (HEAD.replace('["psnr_rgb"]', '["psnr_y", "psnr_y"]') + JPEG, ["'psnr_y' is given twice"]),
    "dataset": (HEAD.replace("demo", "kodack") + JPEG, ["dataset", "'kodack'", "'kodak'"]),
    "crop": ("crop = 0\n" + HEAD + JPEG, ["crop: 0 is not a number of pixels"]),
    "name": (HEAD.replace("mine", "../mine") + JPEG, ["name '../mine'", "folder"]),
    "control characters": (HEAD + '[[codec]]\nname = "a\\u0007"\ncodec = "jpeg"\n', ["printable"]),
    "no TOML": ("name = \n", ["is no TOML", "line 1"]),
    "key twice": (HEAD + 'name = "x"\n' + JPEG, ["is no TOML", "line 4"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_file_and_field_and_what_was_meant(case: str, tmp_path: Path) -> None:
    text, expected = FAULTS[case]
    path = suite_file(tmp_path, text)
    with pytest.raises(SuiteError) as caught:
        load_suite(str(path))
    for part in (str(path), *expected):
        assert part in str(caught.value)


def test_several_faults_are_all_named(tmp_path: Path) -> None:
    path = suite_file(tmp_path, "colour = 1\n" + HEAD + JPEG + 'points = "x"\n')
    with pytest.raises(SuiteError, match=r"colour.*points|points.*colour"):
        parse_suite(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SuiteError, match="is no TOML"):
        parse_suite(path)


def test_unknown_suite_offers_the_near_name() -> None:
    with pytest.raises(SuiteError, match="did you mean 'kodak'"):
        load_suite("kodakk")
    with pytest.raises(SuiteError, match="no such suite file"):
        load_suite("./nowhere.toml")


def test_folder_datasets_are_seen_from_the_suite_file(tmp_path: Path) -> None:
    path = suite_file(tmp_path, HEAD.replace('"demo"', '"folder:images"') + JPEG)
    assert parse_suite(path).dataset == "folder:images"


def test_only_keeps_the_named_codecs(tmp_path: Path) -> None:
    suite = parse_suite(suite_file(tmp_path, HEAD + JPEG + '[[codec]]\nname = "webp"\n'))
    assert [spec.name for spec in suite.only(["webp"]).codec] == ["webp"]
    assert suite.only([]) == suite
    with pytest.raises(UsageError, match="did you mean 'webp'"):
        suite.only(["web"])


def test_images_are_selected_by_name_stem_or_glob(tmp_path: Path) -> None:
    suite = parse_suite(suite_file(tmp_path, HEAD + JPEG + "points = [5]\n"))
    tasks = suite.tasks(dataset("kodim01.png", "kodim02.png", "it's [1].png"))

    def chosen(*patterns: str) -> list[str]:
        return [task.image for task in select_images(tasks, patterns)]

    assert chosen() == ["kodim01.png", "kodim02.png", "it's [1].png"]
    assert chosen("kodim02.png") == ["kodim02.png"]
    assert chosen("kodim01", "it's [1]") == ["kodim01.png", "it's [1].png"]
    assert chosen("kodim*", "kodim01") == ["kodim01.png", "kodim02.png"]
    with pytest.raises(UsageError, match=r"--image 'kodim03' matches no image.*did you mean"):
        chosen("kodim01", "kodim03")


def test_tasks_are_values() -> None:
    task = Task("s", "d", 1, 1, "c", "c", "{}", 1.0, "i", "0", Path("i"))
    assert hash(task) == hash(Task("s", "d", 1, 1, "c", "c", "{}", 1.0, "i", "0", Path("i")))
    assert math.isfinite(task.point)


def test_a_byte_order_mark_is_no_part_of_a_suite(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(HEAD + JPEG)
    plain = parse_suite(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert parse_suite(path) == plain


def test_a_name_too_long_for_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(re.sub('name = "[^"]*"', f'name = "{"n" * 101}"', HEAD, count=1) + JPEG)
    with pytest.raises(SuiteError, match=r"name 'n+': must be at most 100"):
        parse_suite(path)
