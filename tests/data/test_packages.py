"""Datasets that other packages add: the example of the docs, found, measured, titled; broken ones named."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import harness
import pytest
from harness import bench_in, doc_block, install_package

from benchmark.data.find import find_dataset
from benchmark.data.manifests import DATASETS, title_of
from benchmark.errors import DatasetError, UsageError
from benchmark.results.store import read_results

PAGE = "docs/datasets.md"
HEADER = "# title: Photographs\n# summary: two images\n# homepage: http://toy.example/\n"
SUITE = """
name = "mine"
dataset = "photographs"
metrics = ["psnr_rgb"]
[[codec]]
name = "jpeg"
points = [20, 40, 60, 80]
[[codec]]
name = "webp"
points = [20, 40, 60, 80]
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The images of the dataset, in a data folder; nothing else is at hand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    return harness.make_images(tmp_path / "data" / "photographs", 2)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry_points() -> str:
    lines = tomllib.loads(doc_block("toml", "bench.datasets", PAGE))["project"]["entry-points"]
    return "[bench.datasets]\n" + "".join(f"{n} = {v}\n" for n, v in lines["bench.datasets"].items())


def install(site: Path, images: Path, points: str) -> None:
    """Install the documented package, whose manifest is of `images`."""
    install_package(site, "photographs", doc_block("python", "photographs.sha256", PAGE), points)
    lines = [f"{sha256(path)}  {path.name}  96x80\n" for path in sorted(images.iterdir())]
    (site / "photographs.sha256").write_text(HEADER + "# url: http://127.0.0.1:9/{name}\n" + "".join(lines))


def test_the_documented_dataset_is_listed_measured_and_titled(
    site: Path, images: Path, tmp_path: Path
) -> None:
    install(site, images, entry_points())
    (tmp_path / "mine.toml").write_text(SUITE)
    assert re.search(r"^photographs +2 +two images$", bench_in(site, "list", "datasets").stdout, re.MULTILINE)
    doctor = bench_in(site, "doctor").stdout
    assert re.search(rf"^  ok  photographs +2 of 2 images in {images}$", doctor, re.MULTILINE)
    bench_in(site, "run", "suite", "mine.toml")
    rows = read_results(tmp_path / "results" / "mine")
    assert set(rows["status"]) == {"ok"}
    assert set(rows["dataset"]) == {"photographs"} and set(rows["dataset_size"]) == {2}
    bench_in(site, "report", "mine", "--out", "report", "--format", "html")
    assert "Photographs, 2 images" in (tmp_path / "report" / "index.html").read_text()


def test_the_entry_point_names_the_dataset(site: Path, images: Path) -> None:
    install(site, images, "[bench.datasets]\nmine = photographs:MANIFEST\n")
    images.rename(images.with_name("mine"))
    assert find_dataset("mine").images[0].path.parent == images.with_name("mine")
    assert DATASETS.find("mine").name == "mine"
    assert title_of("mine") == "Photographs"
    with pytest.raises(UsageError, match="did you mean 'mine'"):
        find_dataset("mines")


def test_the_entry_point_may_give_the_manifest_itself(site: Path) -> None:
    source = (
        "from benchmark.data.manifests import Expected, Manifest\n"
        "MANIFEST = Manifest('other', (Expected('a.png', 8, 8, None),), 'one', 'http://a.example', url='u')\n"
    )
    install_package(site, "given", source, "[bench.datasets]\nmine = given:MANIFEST\n")
    assert dict(DATASETS.items())["mine"].name == "mine"
    assert title_of("mine") == "mine"


@pytest.mark.parametrize("source", ["MANIFEST = 3", "def MANIFEST(): ..."])
def test_what_is_no_manifest_is_refused(site: Path, source: str) -> None:
    install_package(site, "given", source + "\n", "[bench.datasets]\nmine = given:MANIFEST\n")
    with pytest.raises(DatasetError, match=r"of given is no .*\.Manifest, nor the path of a manifest"):
        find_dataset("mine")


def test_the_images_may_lie_in_the_package(site: Path) -> None:
    source = "from pathlib import Path\nMANIFEST = Path(__file__).with_name('harbour.sha256')\n"
    install_package(site, "harbour", source, "[bench.datasets]\nharbour = harbour:MANIFEST\n")
    photographs = harness.make_images(site / "harbour" / "photos", 2)
    (site / "harbour.py").rename(site / "harbour" / "__init__.py")
    lines = "".join(f"{sha256(path)}  {path.name}  96x80\n" for path in sorted(photographs.iterdir()))
    header = HEADER + "# package: harbour\n# member: photos/{name}\n"
    (site / "harbour" / "harbour.sha256").write_text(header + lines)
    assert {image.path.parent for image in find_dataset("harbour").images} == {photographs}
    (photographs / "image1.png").write_bytes(b"altered")
    with pytest.raises(DatasetError, match=r"(?s)image1\.png.*the installed harbour carries other files"):
        find_dataset("harbour")


def test_an_altered_image_of_a_packages_dataset_is_found(site: Path, images: Path) -> None:
    install(site, images, entry_points())
    (images / "image1.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"image1\.png': sha256 expected .* \(the file is empty\)"):
        find_dataset("photographs")


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [(None, "No such file"), (HEADER, "needs images, summary"), (HEADER + "x  y\n", "line 4: expected")],
)
def test_a_package_with_a_broken_manifest_is_named(
    site: Path, images: Path, manifest: str | None, reason: str
) -> None:
    install(site, images, entry_points())
    (site / "photographs.sha256").unlink()
    if manifest is not None:
        (site / "photographs.sha256").write_text(manifest)
    said = rf"'photographs': entry point .* of photographs cannot be loaded .*{reason}.*uninstall"
    with pytest.raises(DatasetError, match=said):
        find_dataset("photographs")
    assert [name for name, _ in DATASETS.items()] == ["demo", "kodak", "machines", "tecnick"]
    listed = bench_in(site, "list", "datasets").stdout
    assert re.search(rf"^photographs +not available: .*{said}", listed, re.MULTILINE)
    assert title_of("photographs") == "photographs"


def test_a_package_cannot_take_the_name_of_a_dataset(site: Path, images: Path) -> None:
    install(site, images, "[bench.datasets]\nkodak = photographs:MANIFEST\n")
    assert len(DATASETS.find("kodak").images) == 24
    with pytest.raises(DatasetError, match="adds the dataset 'kodak', which exists already; rename it"):
        find_dataset("kodak of photographs")


def test_titles_are_those_of_the_manifests() -> None:
    assert [title_of(name) for name in ("kodak", "tecnick", "demo")] == ["Kodak", "TecNick", "Demo"]
    assert title_of("folder:photos") == "folder:photos"
