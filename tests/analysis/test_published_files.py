"""Curves from files of users: they are read as they are, and bad ones are refused with line or field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.analysis import published
from benchmark.analysis.published_files import beside, find, metric_named, read_file, template
from benchmark.errors import AnalysisError

TABLE = """# label: Ours, submitted
# dataset: kodak
# source: https://example.org/paper
bpp,PSNR,ms-ssim,_lpips
0.5,33.1,0.97,0.3
0.1,28.25,0.92,0.4
"""


def written(folder: Path, text: str, name: str = "my.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_a_curve_labelled_as_given_with_name_and_digest(tmp_path: Path) -> None:
    path = written(tmp_path, TABLE)
    (about,) = read_file(path)
    curve = about.curve("psnr_rgb")
    assert curve.label == "Ours, submitted"
    assert curve.rates.tolist() == [0.1, 0.5]
    assert curve.qualities.tolist() == [28.25, 33.1]
    assert about.metrics == ("psnr_rgb", "ms_ssim_rgb")
    # source of the digest: sha256sum of the file
    assert curve.provenance == "my.csv, sha256 9ffee5d09092797f, https://example.org/paper"
    assert beside(about, "kodak", 24).curve().coverage.images_used == 24
    assert beside(about, "kodak", 24).called(with_images=True) == "Ours, submitted (24 images)"


def test_what_a_file_does_not_say_is_that_of_the_results(tmp_path: Path) -> None:
    (about,) = read_file(written(tmp_path, "bpp,psnr\n0.5,33\n0.2,30\n", "theirs.csv"))
    assert about.label == "theirs"
    there = beside(about, "tecnick", 100)
    assert (there.dataset, there.dataset_size) == ("tecnick", 100)
    assert "taken to be of tecnick" in there.provenance
    (other,) = read_file(written(tmp_path, TABLE))
    with pytest.raises(AnalysisError, match=r"of kodak, not of tecnick.*correct its line"):
        beside(other, "tecnick", 100)
    (more,) = read_file(written(tmp_path, "# dataset_size: 60\nbpp,psnr\n0.5,33\n"))
    with pytest.raises(AnalysisError, match="means of 60 images, kodak has 24"):
        beside(more, "kodak", 24)


def test_a_column_of_labels_keeps_curves_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "label,bpp,psnr\na,0.1,28\nb,0.2,30\na,0.3,31\n")
    assert [(c.label, len(c.columns["bpp"])) for c in read_file(path)] == [("a", 2), ("b", 1)]


def test_the_template_is_a_file_that_reads(tmp_path: Path) -> None:
    (about,) = read_file(written(tmp_path, template()))
    assert (about.label, about.metrics, about.dataset) == ("My codec", ("psnr_rgb", "ms_ssim_rgb"), "")
    assert "## dataset:" in template()


def test_a_file_that_ships_reads_as_its_name_does(tmp_path: Path) -> None:
    """The columns of a bundled curve, read as a user's file, are the bundled curve."""
    name = "kodak-compressai-jpeg"
    text = (Path(published.__file__).parent / "published" / f"{name}.csv").read_text()
    (about,) = find(str(written(tmp_path, text)))
    shipped = published.publication(name)
    assert about.metrics == shipped.metrics
    assert all(np.array_equal(about.columns[c], shipped.columns[c]) for c in about.columns)
    assert about.bound == shipped.bound


def test_others_names_of_metrics_are_understood() -> None:
    assert {metric_named(n) for n in ("psnr", "PSNR", "psnr-rgb", "PSNR_RGB")} == {"psnr_rgb"}
    assert {metric_named(n) for n in ("ms-ssim", "msssim", "MS-SSIM RGB")} == {"ms_ssim_rgb"}
    assert metric_named("psnr-y") == "psnr_y"
    assert metric_named("encoding_time") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"my.csv: has no line of column names; `bench list curves --template`"),
        ("bpp,psnr\n", "has no points below"),
        ("psnr,ms-ssim\n30,0.9\n", r"line 1: has no column bpp; `bench list curves"),
        ("bpp,pnsr\n0.1,30\n", "line 1: column 'pnsr' is no metric here; .*begin its name with _"),
        ("bpp,_x\n0.1,30\n", "has no metric of this bench; known: psnr_rgb"),
        ("bpp,psnr,PSNR\n0.1,30,30\n", "two columns are psnr_rgb; leave one out"),
        ("# label: a\nbpp,psnr\n0.1,30\n0.2\n", "line 4: has 1 cells for 2 columns"),
        ("bpp,psnr\n0.1,30 dB\n", "line 2, psnr: '30 dB' is no finite number"),
        ("bpp,psnr\n0.1,nan\n", "line 2, psnr: 'nan' is no finite number"),
        ("bpp,psnr\n0,30\n", "bpp must be above 0"),
        ("bpp,ms-ssim\n0.1,12.5\n", r"ms_ssim_rgb is at best 1, the file has 12.5; is it in dB, -10 log10"),
        ('bpp,psnr\n0.1,"' + "1" * 200_000 + '"\n', "line 2: is no line of CSV: field larger than"),
        ("# lable: a\nbpp,psnr\n0.1,30\n", "line `# lable:` is unknown; did you mean 'label'"),
        ("# dataset_size: all\nbpp,psnr\n0.1,30\n", "no number where one belongs"),
        ("# psnr_rgb_within: 1\n# within_because: so\nbpp,psnr\n1,30\n", "no number where one belongs"),
    ],
)
def test_a_bad_table_is_refused_with_its_line_and_the_remedy(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        read_file(written(tmp_path, text))


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"none.csv: cannot be read: No such file"):
        find(str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes("# label: Ballé\n".encode("latin-1"))
    with pytest.raises(AnalysisError, match="is no text in UTF-8"):
        find(str(tmp_path / "latin.csv"))


COMPRESSAI: dict[str, Any] = {
    "name": "TinyLIC",
    "description": "Inference (ans)",
    "results": {
        "psnr": [29.13, 30.7],
        "ms-ssim": [0.9311, 0.9532],
        "bpp": [0.124, 0.203],
        "encoding_time": [1, 2],
    },
}


def test_the_json_of_compressai_is_read(tmp_path: Path) -> None:
    """TinyLIC's first two points, which the bundled curve has too."""
    (about,) = read_file(written(tmp_path, json.dumps(COMPRESSAI), "kodak.json"))
    assert (about.label, about.protocol) == ("TinyLIC", "Inference (ans)")
    bundled = published.publication("kodak-tinylic-mse")
    for column in ("bpp", "psnr_rgb", "ms_ssim_rgb"):
        assert about.columns[column].tolist() == bundled.columns[column][:2].tolist()


def batch(rows: list[list[object]]) -> dict[str, object]:
    fields = ("original_name", "width", "height", "frame_count", "quality", "encoded_size", "psnr", "ssim")
    return {
        "constant_descriptions": [{"name": "Name of this batch"}, {"codec": "Name"}, {"version": "Version"}],
        "constant_values": ["WebP m0 4:2:0", "webp", "1.6.0"],
        "field_descriptions": [{name: f"What {name} is"} for name in fields],
        "field_values": rows,
    }


ROWS: list[list[object]] = [
    ["a.png", 100, 80, 1, 50, 1000, 30.0, 8.0],
    ["b.png", 80, 100, 1, 50, 3000, 34.0, 9.0],
    ["a.png", 100, 80, 1, 90, 4000, 40.0, 9.5],
    ["b.png", 80, 100, 1, 90, 6000, 42.0, 9.6],
]


def test_a_batch_of_codec_compare_is_averaged_over_its_images(tmp_path: Path) -> None:
    """1,000 and 3,000 bytes of 8,000 pixels are 1 and 3 bits a pixel."""
    (about,) = read_file(written(tmp_path, json.dumps(batch(ROWS)), "webp.json"))
    assert (about.label, about.dataset_size, about.point_name) == ("WebP m0 4:2:0", 2, "quality")
    assert about.columns["point"].tolist() == [50, 90]
    assert about.columns["bpp"].tolist() == [2, 5]
    assert about.columns["psnr_rgb"].tolist() == [32, 41]


def test_a_batch_that_gives_bits_per_pixel_needs_no_sizes(tmp_path: Path) -> None:
    """As the batches of codec-compare's demonstration do."""
    data = batch([["a.png", 50, 0.5, 30.0], ["b.png", 50, 1.5, 32.0]])
    data["field_descriptions"] = [{name: ""} for name in ("original_name", "quality", "bpp", "psnr")]
    (about,) = read_file(written(tmp_path, json.dumps(data), "b.json"))
    assert (about.columns["bpp"].tolist(), about.columns["psnr_rgb"].tolist()) == ([1.0], [31.0])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": 1}, "neither of CompressAI"),
        ([], "neither of CompressAI"),
        ({"results": {"bpp": [1, 2], "psnr": [30]}}, "results: lists of several lengths"),
        ({"results": {"bpp": [1], "psnr": [None]}}, "results, psnr: 'None' is no finite number"),
        ({"results": {"psnr": [30]}}, "results: has no column bpp"),
        ({**batch(ROWS), "field_descriptions": [{"a": ""}]}, "field_descriptions: lacks original_name"),
        ({**batch(ROWS), "field_descriptions": 3}, "field_descriptions: is no list"),
        ({**batch(ROWS), "field_descriptions": ["psnr"]}, "field_descriptions: is no list of objects"),
        ({**batch(ROWS), "field_values": 3}, "field_values: is no list"),
        ({**batch(ROWS), "constant_values": None}, "constant_values: is no list"),
        ({"results": {"bpp": [10**400], "psnr": [30]}}, "results, bpp: .* is no finite number"),
        (batch([["a.png", 1]]), "row 1: has not one value for each of the 8 fields"),
        (batch(ROWS[:3]), "quality 90 has 1 of 2 images"),
        (batch([ROWS[0], ROWS[0]]), "row 2: a second row of a.png at this quality"),
        (batch([]), "has no points"),
    ],
)
def test_bad_json_is_refused_with_its_field(tmp_path: Path, data: object, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        read_file(written(tmp_path, json.dumps(data), "my.json"))


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="is no JSON"):
        read_file(written(tmp_path, "{", "my.json"))
