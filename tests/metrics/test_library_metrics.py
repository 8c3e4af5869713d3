"""Metrics of libraries: against second implementations and published values, and where one is missing."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import second_implementations
import skimage.data
import skimage.filters
from usable_metrics import USABLE, usable

from benchmark.arrays import Image
from benchmark.cli.inspect import _metric_health, _metrics
from benchmark.errors import SuiteError, UsageError
from benchmark.metrics import METRICS, in_figures, libraries, perceptual
from benchmark.metrics.base import MetricUndefined
from benchmark.metrics.ciede2000 import difference
from benchmark.metrics.measure import measure
from benchmark.runs.runner import check_metrics
from benchmark.runs.suite import parse_suite
from benchmark.torchvision_stub import make_compressai_importable

FIRST = ("psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv")
FURTHER = tuple(name for name, metric in METRICS.items() if name not in FIRST and not metric.in_steps)
"""The metrics that are added to the first four, which tests of their own cover, as they do task metrics."""
further = pytest.mark.parametrize("name", FURTHER)


def photograph() -> Image:
    """Return 240 rows and 280 columns of a photograph that comes with scikit-image."""
    found: Image = np.ascontiguousarray(skimage.data.astronaut()[:240, 100:380])  # type: ignore[no-untyped-call]
    return found


def as_jpeg(image: Image, quality: float) -> Image:
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "JPEG", quality=int(quality))
    return np.asarray(PIL.Image.open(file))


def blurred(image: Image, sigma: float) -> Image:
    found: Image = np.rint(
        skimage.filters.gaussian(image, sigma, channel_axis=2, preserve_range=True)
    ).astype(np.uint8)
    return found


def noisy(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(5).normal(0, sigma, image.shape)
    found: Image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return found


GROWING: dict[str, tuple[Callable[[Image, float], Image], tuple[float, ...]]] = {
    "noise": (noisy, (2, 5, 12, 30)),
    "blur": (blurred, (0.5, 1, 2, 4)),
    "JPEG": (as_jpeg, (95, 70, 35, 10)),
}


@further
@pytest.mark.parametrize("distortion", GROWING)
def test_quality_of_a_photograph_falls_with_growing_distortion(name: str, distortion: str) -> None:
    metric, image = usable(name), photograph()
    distort, strengths = GROWING[distortion]
    values = np.array([metric.compute(image, distort(image, strength)) for strength in strengths])
    assert (np.diff(metric.quality(values)) < 0).all()
    assert not metric.lossless(values).any()


@further
def test_the_value_is_the_same_with_any_number_of_threads(name: str) -> None:
    import torch

    metric, image = usable(name), photograph()
    decoded, before = as_jpeg(image, 30), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(metric.compute(image, decoded))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("gmsd_y", second_implementations.gmsd),
        ("vif_y", second_implementations.vif),
        ("haarpsi_rgb", second_implementations.haarpsi),
    ],
)
@pytest.mark.parametrize("distortion", GROWING)
def test_piq_equals_a_second_implementation(
    name: str, peer: Callable[[Image, Image], float], distortion: str
) -> None:
    distort, strengths = GROWING[distortion]
    image = photograph()
    decoded = distort(image, strengths[2])
    assert usable(name).compute(image, decoded) == pytest.approx(peer(image, decoded), abs=1e-10)


def test_psnr_hvs_m_equals_the_librarys_other_implementation() -> None:
    """Its C++ part computes the DCT by FFTW; both have the values of TID2013, by the library's tables."""
    image, decoded = photograph(), as_jpeg(photograph(), 40)
    values = [usable(name).compute(image, decoded) for name in ("psnr_hvs_y", "psnr_hvs_m_y")]
    import psnr_hvsm

    lumas = [psnr_hvsm.numpy.bt601ycbcr(pixels)[0] for pixels in (image, decoded)]
    assert values == pytest.approx(psnr_hvsm.BACKENDS["cpp"]["psnr_hvs_hvsm"](*lumas), abs=1e-6)
    assert values[0] < values[1]


def test_psnr_hvs_of_sides_that_are_no_multiple_of_eight() -> None:
    image = photograph()[:234, :275]
    whole = np.pad(image, ((0, 6), (0, 5), (0, 0)), mode="edge")
    metric = usable("psnr_hvs_y")
    decoded = np.pad(noisy(image, 9), ((0, 6), (0, 5), (0, 0)), mode="edge")
    assert metric.compute(image, noisy(image, 9)) == metric.compute(whole, decoded)


def test_an_invisible_difference_has_no_finite_psnr_hvs_m() -> None:
    usable("psnr_hvs_m_y")
    grey = np.full((64, 64, 3), 100, np.uint8)
    values, notes = measure(grey, grey + np.array([0, 0, 1], np.uint8), ["psnr_hvs_m_y"])
    assert values == {"psnr_hvs_m_y": None}
    assert notes == {"psnr_hvs_m_y": "no visible difference of luma: PSNR-HVS-M is infinite"}


def test_ciede2000_gives_the_published_values_of_34_pairs() -> None:
    """Sharma, Wu and Dalal 2005, table 1, to the four decimals that it has.

    The hues of the tenth pair differ by exactly 180 degrees, where the formula jumps: rounding decides
    between the values of the pairs before and behind it.
    """
    pairs = np.loadtxt(Path(__file__).with_name("ciede2000_pairs.txt"))
    assert pairs.shape == (34, 7)
    found, published = difference(pairs[:, :3], pairs[:, 3:6]), pairs[:, 6]
    assert min(abs(found[9] - published[[8, 10]])) < 5.1e-5
    assert np.delete(found, 9) == pytest.approx(np.delete(published, 9), abs=5.1e-5)


def test_ciede2000_of_a_grey_step_is_that_of_its_lightness() -> None:
    """White against black: L* 100 against 0, of which the formula makes 100."""
    black = np.zeros((4, 4, 3), np.uint8)
    assert METRICS.find("ciede2000").compute(black, black + np.uint8(255)) == pytest.approx(100, abs=1e-3)


def boxed(image: Image) -> Image:
    """Return the means of 8x8 samples, rounded down, the sides continued."""
    padded = np.pad(image.astype(np.int64), ((4, 3), (4, 3), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(0, 1))  # type: ignore[call-overload]
    found: Image = (windows.sum((-1, -2)) // 64).astype(np.uint8)
    return found


def test_ssimulacra2_gives_the_scores_of_libjxl() -> None:
    """Scores of its C++ program, which works in float32, from imazen/fast-ssim2, src/reference_data.rs.

    Checked by hand on that repository's four JPEGs of a photograph too: 57.146, 68.627, 79.388, 90.852 there,
    57.189, 68.650, 79.473, 91.051 here.
    """
    edge = np.repeat(np.uint8([0, 255]), 32)[None, :, None] * np.ones((64, 1, 3), np.uint8)
    assert hashlib.sha256(edge.tobytes()).hexdigest().startswith("f0d003b6007c958d")
    assert hashlib.sha256(boxed(edge).tobytes()).hexdigest().startswith("cbe40f4a1c43e661")
    assert METRICS.find("ssimulacra2").compute(edge, boxed(edge)) == pytest.approx(24.27333552, abs=0.05)
    for side, step, score in ((64, 20, 56.05855584), (64, 50, -8.75942256), (128, 50, -9.82383315)):
        grey = np.full((side, side, 3), 128, np.uint8)
        found = METRICS.find("ssimulacra2").compute(grey, grey + np.uint8(step))
        assert found == pytest.approx(score, abs=0.11)


def test_ssimulacra2_of_odd_and_of_the_smallest_sides() -> None:
    metric, image = METRICS.find("ssimulacra2"), photograph()
    for height, width in ((8, 8), (9, 15), (131, 77)):
        cut = image[:height, :width]
        assert 0 < metric.compute(cut, noisy(cut, 3)) < 100
    with pytest.raises(MetricUndefined, match="SSIMULACRA2 needs 8 pixels"):
        metric.compute(image[:7], image[:7])


def test_nlpd_gives_the_numbers_of_pyiqa() -> None:
    """NLPD of pyiqa 0.1.16 in float64, with its float32 constants, on even and on odd sides."""
    image = photograph()
    found = [
        METRICS.find("nlpd_y").compute(cut, decoded)
        for cut in (image, image[:237, :201])
        for decoded in (noisy(cut, 12), (cut // 16 * 16 + 7).astype(np.uint8))
    ]
    published = [0.20901346305082494, 0.10637679846525559, 0.2024137709519378, 0.10031167555200345]
    assert found == pytest.approx(published, abs=2e-9)


def test_a_flat_image_has_no_information_to_weight_by() -> None:
    metric, flat = usable("iw_ssim_y"), np.full((180, 180, 3), 90, np.uint8)
    with pytest.raises(MetricUndefined, match="IW-SSIM: the image has too little content"):
        metric.compute(flat, noisy(flat, 5))


@pytest.mark.parametrize(("name", "pixels"), [("vif_y", 41), ("haarpsi_rgb", 16), ("iw_ssim_y", 161)])
def test_images_that_are_too_small_have_no_value(name: str, pixels: int) -> None:
    image = photograph()[: pixels - 1]
    with pytest.raises(
        MetricUndefined, match=f"needs {pixels} pixels on the short side, here are {pixels - 1}"
    ):
        usable(name).compute(image, noisy(image, 5))
    assert np.isfinite(METRICS.find(name).compute(photograph()[:pixels], noisy(photograph()[:pixels], 5)))


def test_the_numbers_of_this_version() -> None:
    """If these change with the same libraries, so must the versions in METRICS.

    Checked by hand on the pair goldhill.gif, goldhill_jpeg.gif of piq's tests against the authors' MATLAB
    programs: FSIM .89691 (here .896913), IW-SSIM .886297251093 (.886297251093), VIF .2665 (.26647), GMSD
    .1380126 (.1380115); on I01 and i01_01_5 of TID2013: FSIMc .92587 (.92590), HaarPSI .71707 (.71704),
    PSNR-HVS 25.826092938687275 and PSNR-HVS-M 29.354118108132738 of psnr_hvsm's tables (the same).
    """
    image = photograph()
    decoded = (image // 16 * 16 + 7).astype(np.uint8)
    assert {name: METRICS.find(name).compute(image, decoded) for name in GOLDEN if name in USABLE} == (
        pytest.approx({name: value for name, value in GOLDEN.items() if name in USABLE}, abs=1e-9)
    )


GOLDEN: dict[str, float] = {
    "fsim_rgb": 0.9654680662628379,
    "vif_y": 0.7310283548835942,
    "gmsd_y": 0.02651422251837674,
    "haarpsi_rgb": 0.9462801647247012,
    "iw_ssim_y": 0.9884917213073304,
    "psnr_hvs_y": 36.619777375360435,
    "psnr_hvs_m_y": 38.51988447885348,
    "ssimulacra2": 54.05691325539263,
    "ciede2000": 4.1906485042130335,
    "nlpd_y": 0.10637679780619669,
}


def test_metrics_further_are_computed_only_where_they_are_asked_for() -> None:
    assert not set(FURTHER) & set(in_figures())


# Networks: random ones stand for the trained ones, which are not at hand


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    make_compressai_importable()
    import torch
    import torchvision

    for name in ("alexnet-owt-7be5be79.pth", "vgg16-397923af.pth"):
        path = tmp_path / "hub" / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    layers = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
    vgg = torchvision.models.vgg.make_layers(list(layers))
    alexnet = torchvision.models.alexnet
    monkeypatch.setattr(torchvision.models, "alexnet", lambda pretrained: alexnet())
    monkeypatch.setattr(torchvision.models, "vgg16", lambda pretrained: SimpleNamespace(features=vgg))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield
    perceptual._lpips_network.cache_clear()
    perceptual._dists_network.cache_clear()


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("name", ["lpips_alex", "dists_vgg"])
def test_distances_of_networks(name: str) -> None:
    metric, image = usable(name), photograph()[:96, :96]
    values = [metric.compute(image, noisy(image, sigma)) for sigma in (3, 12, 40)]
    assert 0 < values[0] < values[1] < values[2]
    assert metric.compute(image, image.copy()) == 0
    with pytest.raises(MetricUndefined, match="needs 32 pixels"):
        metric.compute(image[:31], image[:31])


@pytest.mark.parametrize("name", ["lpips_alex", "dists_vgg"])
def test_a_network_that_is_missing_is_named_with_its_address(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(libraries, "installed", lambda library: "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"hub/checkpoints/\w+-.*\.pth, which is missing: put https://.*\.pth"
    ):
        METRICS.find(name).check()


# Where a library is missing


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "installed", lambda library: None)


@pytest.mark.usefixtures("bare")
def test_a_suite_that_asks_for_a_missing_library_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ndataset = "demo"\nmetrics = ["psnr_rgb", "vif_y"]\n'
        '[[codec]]\nname = "jpeg"\npoints = [50]\n'
    )
    suite = parse_suite(path)  # reading it, as reports do, asks for no library
    with pytest.raises(SuiteError, match=r"suite mine, metrics: 'vif_y' needs piq, .*bench-codec\[metrics\]"):
        check_metrics(suite)


@pytest.mark.usefixtures("bare")
def test_list_and_doctor_say_what_is_missing() -> None:
    listed = {row[0]: row for row in _metrics()}
    assert listed["psnr_hvs_m_y"][3].startswith("not available: needs psnr_hvsm")
    health = {row[1]: row for row in _metric_health()}
    assert health["fsim_rgb"][0] == "  --"
    assert libraries.REMEDY in health["fsim_rgb"][2]
    assert health["psnr_rgb"] == ("  ok", "psnr_rgb", "1")


@pytest.mark.parametrize(
    ("distort", "strength", "vmaf", "flip"),
    [(noisy, 5, 94.5869, 0.0557248), (noisy, 20, 79.9168, 0.1626885), (blurred, 1.0, 68.3075, 0.0474047)],
)
def test_vmaf_and_flip_are_those_of_their_authors_programs(
    distort: Callable[[Image, float], Image], strength: float, vmaf: float, flip: float
) -> None:
    """One frame by ffmpeg's libvmaf (vmaf_v0.6.1, integer features); NVIDIA's flip_loss.py of PyTorch."""
    image = photograph()
    other = distort(image, strength)
    assert usable("vmaf_y").compute(image, other) == pytest.approx(vmaf, abs=0.08)
    assert usable("flip_rgb").compute(image, other) == pytest.approx(flip, abs=3e-6)
