"""What every metric must hold, over all in the registry, and metrics that other packages add."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import harness
import numpy as np
import pandas as pd
import pytest
from harness import bench_in, doc_block, install_package
from usable_metrics import usable

import benchmark
from benchmark.arrays import Image
from benchmark.data.find import find_dataset
from benchmark.errors import BenchError, UsageError
from benchmark.images import load_image
from benchmark.metrics import DEFAULT, METRICS, in_figures
from benchmark.metrics.base import IDENTICAL, Metric
from benchmark.metrics.measure import measure
from benchmark.results.records import COLUMNS
from benchmark.results.store import read_results

metrics = pytest.mark.parametrize("name", METRICS.names())


def scene() -> Image:
    y, x, channel = np.ogrid[:180, :200, :3]
    return (127.5 + 100 * np.sin(x / 17 + channel) * np.cos(y / 11)).astype(np.uint8)


def content(name: str) -> Image:
    """Return what there is something to find in, for metrics that find things, such as bar codes."""
    if not METRICS.find(name).in_steps:
        return scene()
    return load_image(find_dataset("machines").images[0].path).pixels


def noisy(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(3).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


@metrics
def test_a_metric_says_what_it_is(name: str) -> None:
    metric = METRICS.find(name)
    assert metric.name == name
    assert all((metric.version, metric.unit, metric.summary, metric.label, metric.short))
    assert metric.label in metric.axis
    assert name not in COLUMNS


@metrics
def test_identical_images_are_lossless(name: str) -> None:
    usable(name)
    values, notes = measure(content(name), content(name), [name])
    value = values[name]
    if METRICS.find(name).in_steps:
        assert value == 1
    elif value is None:
        assert notes[name].startswith(IDENTICAL)
    else:
        assert METRICS.find(name).lossless(np.array([value])).all()


@metrics
def test_quality_falls_with_noise_and_is_finite(name: str) -> None:
    metric, image = usable(name), content(name)
    values = np.array([metric.compute(image, noisy(image, sigma)) for sigma in (1, 3, 9, 27, 81)])
    assert np.isfinite(values).all()
    assert not metric.lossless(values).any()
    qualities = metric.quality(values)
    assert qualities.shape == values.shape
    assert np.isfinite(qualities).all()
    steps = np.diff(qualities)
    assert (steps <= 0).all() and qualities[-1] < qualities[0] if metric.in_steps else (steps < 0).all()


@metrics
def test_a_metric_leaves_the_images_as_they_are(name: str) -> None:
    image, other = content(name), noisy(content(name), 5)
    kept = image.copy(), other.copy()
    usable(name).compute(image, other)
    assert np.array_equal(image, kept[0])
    assert np.array_equal(other, kept[1])


def test_metrics_are_named_nowhere_but_in_their_room() -> None:
    package = Path(benchmark.__file__).parent
    suffixes = {".py", ".js", ".j2", ".json"}
    rooms = [
        path
        for path in package.rglob("*")
        if path.suffix in suffixes and "metrics" not in path.relative_to(package).parts
    ]
    assert len(rooms) > 100
    named = {path: name for path in rooms for name in METRICS.builtin if name in path.read_text()}
    assert not named


def test_there_is_a_metric_to_show() -> None:
    assert not METRICS.faults
    assert DEFAULT in in_figures()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder in which the example of docs/extending.md is installed."""
    points = tomllib.loads(doc_block("toml", "bench.metrics"))["project"]["entry-points"]["bench.metrics"]
    lines = ["[bench.metrics]", *(f"{name} = {value}" for name, value in points.items())]
    site = tmp_path / "site"
    install_package(site, "absolute_error", doc_block("python", "MAE_RGB = Metric"), "\n".join(lines) + "\n")
    return site


def write_suite(folder: Path, metrics: str) -> None:
    harness.make_images(folder / "images", 3, (120, 160))
    (folder / "mine.toml").write_text(
        f'name = "mine"\ndataset = "folder:images"\nmetrics = {metrics}\n'
        + "".join(f'[[codec]]\nname = "{codec}"\npoints = [10, 30, 50, 70]\n' for codec in ("jpeg", "webp"))
    )


def test_a_packages_metric_is_listed_measured_stored_compared_and_drawn(site: Path, tmp_path: Path) -> None:
    listed = [line.split()[:3] for line in bench_in(site, "list", "metrics").stdout.splitlines()]
    assert listed[-1] == ["mae_rgb", "1", "levels"]
    write_suite(tmp_path, '["psnr_rgb"]')
    bench_in(site, "run", "suite", "mine.toml")
    write_suite(tmp_path, '["psnr_rgb", "mae_rgb"]')
    assert "24 measured, 0 reused" in bench_in(site, "run", "suite", "mine.toml").stdout
    assert "nothing to do" in bench_in(site, "run", "suite", "mine.toml").stdout
    frame = pd.read_parquet(tmp_path / "results" / "mine" / "results.parquet")
    assert (frame["mae_rgb"] > 0).all()
    assert {json.loads(text)["mae_rgb"] for text in frame["metric_versions"]} == {"1"}

    compared = bench_in(site, "compare", "webp", "jpeg", "--suite", "mine", "--metric", "mae_rgb").stdout
    assert "MAE: webp against jpeg" in compared
    assert "levels" in compared
    shown = ("--format", "svg", "--format", "csv", "--format", "markdown", "--format", "html")
    assert "BD-rate on MAE against jpeg" in bench_in(site, "report", "mine", *shown).stdout
    out = tmp_path / "reports" / "mine"
    table = pd.read_csv(out / "tables" / "bd-rate.csv").set_index("metric")
    mae, psnr = (table.loc[metric, "mean_curve_bd_rate_percent"] for metric in ("mae_rgb", "psnr_rgb"))
    assert np.sign(mae) == np.sign(psnr)  # a codec that saves bits by one saves them by the other
    assert "## MAE" in (out / "tables" / "bd-rate.md").read_text()
    assert (out / "plots" / "rd-mae.svg").exists()
    assert '"label":"\\u2212MAE RGB (levels)"' in (out / "index.html").read_text()


def test_results_with_a_metric_that_is_not_installed_are_read_and_kept(site: Path, tmp_path: Path) -> None:
    write_suite(tmp_path, '["mae_rgb", "psnr_rgb"]')
    bench_in(site, "run", "suite", "mine.toml", "--codec", "jpeg")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_suite(tmp_path, '["psnr_rgb"]')
    assert "12 measured, 12 reused" in bench_in(elsewhere, "run", "suite", "mine.toml").stdout
    frame = read_results(tmp_path / "results" / "mine").set_index("codec")
    assert frame.loc["jpeg", "mae_rgb"].notna().all()
    assert frame.loc["webp", "mae_rgb"].isna().all()
    bench_in(elsewhere, "report", "mine", "--format", "csv")
    table = pd.read_csv(tmp_path / "reports" / "mine" / "tables" / "bd-rate.csv")
    assert set(table["metric"]) == {"psnr_rgb"}


def toy(name: str = "toy", **changes: object) -> Metric:
    known: dict[str, object] = {"version": "1", "unit": "1", "summary": "s", "label": "Toy", "short": "Toy"}
    return Metric(name=name, **{**known, "function": lambda a, b: 1.0, **changes})  # type: ignore[arg-type]


def test_a_metric_registered_under_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.metrics.psnr.PSNR_Y", toy())
    METRICS.forget()
    try:
        with pytest.raises(UsageError, match=r"metric 'psnr_y': .* is named 'toy' in itself"):
            METRICS.find("psnr_y")
    finally:
        METRICS.forget()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_null_with_a_reason(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_loaded", {"toy": toy(function=lambda a, b: value)})
    assert measure(scene(), scene(), ["toy"]) == ({"toy": None}, {"toy": f"the metric gave {value}"})


def test_a_metric_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_loaded", {"toy": toy(function=lambda a, b: 1 // 0)})
    with pytest.raises(BenchError, match="metric 'toy' failed: ZeroDivisionError"):
        measure(scene(), scene(), ["toy"])


def test_axes_name_unit_and_a_turned_sign() -> None:
    assert METRICS.find("ms_ssim_rgb").axis == "MS-SSIM RGB (dB)"
    assert toy().axis == "Toy"
    assert toy(better="lower", unit="levels").axis == "\u2212Toy (levels)"
    assert (toy(better="lower").quality(np.array([1.0, 2.0])) == [-1, -2]).all()
