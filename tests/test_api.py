"""The interface for Python: the page's examples run, short reprs, mistakes named."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import ROOT, make_images
from synthetic import frame_of

from benchmark import api
from benchmark.codecs import CODECS
from benchmark.errors import AnalysisError, UsageError
from benchmark.metrics import METRICS
from benchmark.metrics.base import Metric
from benchmark.metrics.psnr import PSNR_RGB

ANCHOR = [(0.1 * 2**step, 28.0 + 3 * step) for step in range(5)]
"""3 dB for twice the rate, a straight line over its logarithm."""


@pytest.fixture(autouse=True)
def _registries_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for registry in (CODECS, METRICS):
        monkeypatch.setattr(registry, "_added", {})
    yield


@pytest.fixture
def results() -> api.Results:
    return api.Results("kodak", frame_of(savings_percent=[0, -10]), ("jpeg", "webp"))


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").symlink_to(ROOT / "results")
    make_images(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```pycon\n(.*?)```", text, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, "docs/python.md", None, 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    found = runner.run(test, out=said.append)
    assert found.failed == 0, "".join(said)
    assert found.attempted > 20


def test_ten_percent_fewer_bits_are_ten_percent(results: api.Results) -> None:
    fewer = [(0.9 * bpp, quality) for bpp, quality in ANCHOR]
    found = api.bd_rate(fewer, ANCHOR)
    assert float(found) == pytest.approx(-10)
    assert repr(found) == "BdRate(test against anchor, psnr_rgb: \u221210.00 %)"
    assert found.quotable
    measured = results.bd_rate("webp", "jpeg")
    assert measured.percent == pytest.approx(-10)
    assert measured.low is not None
    assert measured.low <= -10 <= measured.high  # type: ignore[operator]


def test_ms_ssim_is_compared_in_decibels() -> None:
    points = [(bpp, 1 - 10 ** (-quality / 20)) for bpp, quality in ANCHOR]
    fewer = [(0.8 * bpp, value) for bpp, value in points]
    assert float(api.bd_rate(fewer, points, "ms_ssim_rgb")) == pytest.approx(-20)
    with pytest.raises(AnalysisError, match="test: ms_ssim_rgb is at best 1, the file has 28; is it in dB"):
        api.bd_rate(ANCHOR, points, "ms_ssim_rgb")


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(0.1, 28.0)], "test: has 1 points; give at least four"),
        ([(0.1, 28.0), (0.0, 30.0)], r"test, point 2: \(0.0, 30.0\) is no \(bpp above 0, psnr_rgb\)"),
        ([(0.1, 28.0), (0.2, float("nan"))], "test, point 2"),
        ([0.1, 0.2], "test, point 1: 0.1 is no"),
        ([("a", "b"), (1, 2)], "test, point 1"),
    ],
)
def test_points_that_are_none_are_named(points: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        api.bd_rate(points, ANCHOR)


def test_a_published_curve_stands_for_points(tmp_path: Path) -> None:
    bpg, elic = api.published("kodak-compressai-bpg"), api.published("kodak-elic")
    assert float(api.bd_rate(elic, bpg)) == pytest.approx(-26.6, abs=0.06)
    with pytest.raises(AnalysisError, match="is of psnr_rgb, not of ms_ssim_rgb"):
        api.bd_rate(elic, bpg, "ms_ssim_rgb")
    two = tmp_path / "two.csv"
    two.write_text("label,bpp,psnr\na,0.1,28\nb,0.2,30\n")
    with pytest.raises(AnalysisError, match=r"two.csv: has 2 curves; give a file with one"):
        api.published(two)


def test_failures_are_told_in_a_line(results: api.Results) -> None:
    assert repr(results) == "Results(kodak: 2 codecs, 24 images, 4 metrics, 240 rows)"
    frame = results.frame.copy()
    frame.loc[0, "status"] = "failed"
    assert repr(api.Results("k", frame)) == "Results(k: 2 codecs, 24 images, 4 metrics, 240 rows, 1 failed)"


def test_a_picture_is_a_png_of_that_metric_alone(results: api.Results, tmp_path: Path) -> None:
    picture = results.plot("psnr_y", published=["kodak-tfc-bpg444"])
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.figure.axes[0].get_ylabel() == METRICS.find("psnr_y").axis
    assert "published at https://github.com/tensorflow/compression" in picture.caption
    with pytest.raises(UsageError, match="cannot be written as 'jpg'"):
        picture.save(tmp_path / "x.jpg")
    with pytest.raises(AnalysisError, match="no figure 'none' of psnr_rgb"):
        results.plot(figure="none")
    with pytest.raises(AnalysisError, match="has no values of psnr_yuv; it has psnr_rgb"):
        api.Results("k", results.frame.assign(psnr_yuv=np.nan)).plot("psnr_yuv")


class Copy:
    """A codec that stores the pixels."""

    def encode(self, image: np.ndarray, point: float) -> bytes:  # type: ignore[type-arg]
        return np.array(image.shape[:2], ">u2").tobytes() + image.tobytes()[:: int(point)]

    def decode(self, data: bytes) -> np.ndarray:  # type: ignore[type-arg]
        height, width = np.frombuffer(data[:4], ">u2")
        return np.frombuffer(data[4:], np.uint8).reshape(height, width, 3)


def test_a_codec_of_a_notebook_is_measured_and_its_failures_are_rows(tmp_path: Path) -> None:
    api.register_codec("copy", Copy, points=[1])
    found = api.measure({"copy": [1, 2]}, make_images(tmp_path / "photos", count=1))
    assert found.frame["bpp"].tolist()[0] == pytest.approx(24 + 8 * found_header(found) / (80 * 96))
    assert found.failed["point"].tolist() == [2]
    assert "reshape" in found.failed["error"].iloc[0]


def found_header(found: api.Results) -> int:
    return int(found.frame["bitstream_bytes"].iloc[0]) - 3 * 80 * 96


def test_registering_again_takes_the_place_but_not_of_what_there_is(tmp_path: Path) -> None:
    photos = make_images(tmp_path / "photos", count=1)
    api.register_codec("mine", Copy, points=[1])
    first = api.measure({"mine": [1]}, photos).frame

    class Other(Copy):
        def decode(self, data: bytes) -> np.ndarray:  # type: ignore[type-arg]
            return 255 - super().decode(data)

    api.register_codec("mine", Other, points=[1])
    second = api.measure({"mine": [1]}, photos).frame
    assert first["codec_version"].tolist() != second["codec_version"].tolist()
    assert first["decoded_sha256"].tolist() != second["decoded_sha256"].tolist()
    with pytest.raises(UsageError, match="codec 'jpeg' exists already; give another name"):
        api.register_codec("jpeg", Copy, points=[1])
    with pytest.raises(UsageError, match="metric 'psnr_rgb' exists already"):
        api.register_metric(PSNR_RGB)
    with pytest.raises(UsageError, match="metric 'x': str is no instance of benchmark"):
        METRICS.add("x", "no metric")  # type: ignore[arg-type]


def test_a_metric_of_a_notebook_is_plotted(results: api.Results) -> None:
    api.register_metric(Metric("mine", "1", "1", "", "Mine", "Mine", lambda a, b: 1.0))
    mine = api.Results("k", results.frame.assign(mine=results.frame["psnr_rgb"]))
    assert isinstance(mine.frame, pd.DataFrame)
    assert mine.bd_rate("webp", "jpeg", "mine").percent == pytest.approx(-10)
    assert repr(mine.plot("mine")) == "Picture(rd-mine: kodak, webp, jpeg)"
