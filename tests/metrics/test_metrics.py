"""Metrics against independent implementations, against laws, and at the edges."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import numba
import numpy as np
import pytest
import skimage.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from usable_metrics import USABLE, usable

from benchmark.arrays import Image
from benchmark.errors import CodecError, UsageError
from benchmark.images import luma_chroma
from benchmark.jit import compile_kernel
from benchmark.metrics import METRICS, ms_ssim
from benchmark.metrics.base import MetricUndefined
from benchmark.metrics.measure import measure

GOLDEN = {
    "psnr_rgb": 37.947543091176705,
    "ms_ssim_rgb": 0.9990768089721646,
    "psnr_y": 39.90019244426324,
    "psnr_yuv": 40.49714487479329,
}
PSNRS = ("psnr_rgb", "psnr_y", "psnr_yuv")
OWN = tuple(GOLDEN)
"""The metrics that are computed here; those of libraries have tests of their own."""


def scene(height: int, width: int, seed: int = 0) -> Image:
    """Return an image with smooth parts, edges, flat parts and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (7 + 5 * c) + seed) + np.cos(y / (11 + 3 * c)) for c in range(3)]
    image = 128 + 55 * np.stack(waves, axis=-1)
    image[height // 4 : height // 2, width // 3 : width // 2] = (250, 252, 249)
    image[height // 2 :, : width // 3] += random.normal(0, 20, (height - height // 2, width // 3, 3))
    clipped: Image = np.clip(image, 0, 255).astype(np.uint8)
    return clipped


def add_noise(image: Image, sigma: float, seed: int = 1) -> Image:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    noisy: Image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return noisy


DISTORTIONS: dict[str, Callable[[Image], Image]] = {
    "noise": lambda image: add_noise(image, 8),
    "strong noise": lambda image: add_noise(image, 90),
    "coarse steps": lambda image: image // np.uint8(32) * np.uint8(32) + np.uint8(16),
    "shift": lambda image: np.roll(image, 2, axis=1),
    "darker": lambda image: image // np.uint8(2),
    "negative": lambda image: np.uint8(255) - image,
    "other channels": lambda image: image[..., ::-1],
    "one level": lambda image: image ^ np.uint8(1),
    "black": lambda image: image * np.uint8(0),
}


def torch_ms_ssim(a: Image, b: Image, dtype: str) -> float:
    """The peer: pytorch_msssim 1.0.0 on 8-bit RGB as floating point numbers."""
    import pytorch_msssim
    import torch

    torch.set_num_threads(1)
    x, y = (
        torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(getattr(torch, dtype))
        for image in (a, b)
    )
    return float(pytorch_msssim.ms_ssim(x, y, data_range=255, size_average=False)[0])


# MS-SSIM


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(161, 190),
    width=st.integers(161, 190),
    seed=st.integers(0, 99),
    distortion=st.sampled_from(sorted(DISTORTIONS)),
)
def test_ms_ssim_equals_pytorch_msssim(height: int, width: int, seed: int, distortion: str) -> None:
    reference = scene(height, width, seed)
    decoded = np.ascontiguousarray(DISTORTIONS[distortion](reference))
    ours = METRICS.find("ms_ssim_rgb").compute(reference, decoded)
    assert ours == pytest.approx(torch_ms_ssim(reference, decoded, "float64"), abs=1e-11)
    assert ours == pytest.approx(torch_ms_ssim(reference, decoded, "float32"), abs=2e-6)


def test_ms_ssim_of_identical_images_is_exactly_one() -> None:
    image = scene(170, 180)
    assert METRICS.find("ms_ssim_rgb").compute(image, image.copy()) == 1.0


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_ms_ssim_is_symmetric_and_bounded(distortion: str) -> None:
    reference = scene(165, 190)
    decoded = np.ascontiguousarray(DISTORTIONS[distortion](reference))
    there = METRICS.find("ms_ssim_rgb").compute(reference, decoded)
    assert METRICS.find("ms_ssim_rgb").compute(decoded, reference) == pytest.approx(there, abs=1e-12)
    assert 0 <= there < 1


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if not metric.in_steps])
def test_every_metric_falls_with_noise(name: str) -> None:
    metric = usable(name)
    reference = scene(200, 170)
    values = [metric.compute(reference, add_noise(reference, sigma)) for sigma in (1, 3, 9, 27, 81)]
    assert (np.diff(metric.quality(np.array(values))) < 0).all()


def test_the_kept_reference_is_told_by_its_content() -> None:
    one, other = scene(170, 170, 1), scene(170, 170, 2)
    decoded = add_noise(one, 5)
    fresh = [torch_ms_ssim(image, decoded, "float64") for image in (one, other)]
    for _ in range(2):
        assert METRICS.find("ms_ssim_rgb").compute(one, decoded) == pytest.approx(fresh[0], abs=1e-11)
        assert METRICS.find("ms_ssim_rgb").compute(other, decoded) == pytest.approx(fresh[1], abs=1e-11)
    one[:] = other
    assert METRICS.find("ms_ssim_rgb").compute(one, decoded) == pytest.approx(fresh[1], abs=1e-11)
    turned = np.ascontiguousarray(other.reshape(-1)[: 170 * 169 * 3].reshape(169, 170, 3))
    assert METRICS.find("ms_ssim_rgb").compute(turned, add_noise(turned, 5)) < 1


def test_large_references_are_not_kept_and_give_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = scene(180, 200)
    decoded = add_noise(reference, 5)
    kept = METRICS.find("ms_ssim_rgb").compute(reference, decoded)
    monkeypatch.setattr(ms_ssim, "_MAX_CACHED_PIXELS", 0)
    monkeypatch.setattr(ms_ssim, "_cached", None)
    assert METRICS.find("ms_ssim_rgb").compute(reference, decoded) == kept
    assert ms_ssim._cached is None


@pytest.mark.parametrize("shape", [(160, 400), (400, 160), (1, 1), (7, 13)])
def test_ms_ssim_of_small_images_is_undefined(shape: tuple[int, int]) -> None:
    image = scene(200, 400)[: shape[0], : shape[1]]
    with pytest.raises(MetricUndefined, match=f"needs 161 pixels on the short side, here are {min(shape)}"):
        METRICS.find("ms_ssim_rgb").compute(image, image)


# PSNR


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 999),
    distortion=st.sampled_from(sorted(DISTORTIONS)),
)
def test_psnr_equals_its_definition(height: int, width: int, seed: int, distortion: str) -> None:
    reference = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    decoded = DISTORTIONS[distortion](reference)
    values, notes = measure(reference, decoded, PSNRS)
    mses = np.mean((luma_chroma(reference) - luma_chroma(decoded)) ** 2, axis=(1, 2))
    if reference.tobytes() == decoded.tobytes():
        assert values == dict.fromkeys(PSNRS)
        return
    peer = skimage.metrics.peak_signal_noise_ratio(reference, decoded, data_range=255)  # type: ignore[no-untyped-call]
    assert values["psnr_rgb"] == pytest.approx(peer, abs=1e-9)
    if mses.min() < 1e-9:
        assert "psnr_yuv" in notes
        return
    y, cb, cr = 10 * np.log10(255**2 / mses)
    assert values["psnr_y"] == pytest.approx(y, abs=1e-7)
    assert values["psnr_yuv"] == pytest.approx((6 * y + cb + cr) / 8, abs=1e-7)


def test_psnr_golden_numbers() -> None:
    """One level of error: 10 log10(255^2) in RGB; in green alone, the weights of BT.709 come in."""
    reference = np.full((20, 30, 3), 100, np.uint8)
    green = reference + np.array([0, 1, 0], np.uint8)
    values, _ = measure(reference, green, PSNRS)
    peak = 20 * math.log10(255)
    y, cb, cr = (peak - 20 * math.log10(weight) for weight in (0.7152, 0.7152 / 1.8556, 0.7152 / 1.5748))
    assert measure(reference, reference + np.uint8(1), ["psnr_rgb"])[0]["psnr_rgb"] == pytest.approx(
        48.1308036087
    )
    assert values["psnr_rgb"] == pytest.approx(peak + 10 * math.log10(3))
    assert values["psnr_y"] == pytest.approx(y)
    assert values["psnr_yuv"] == pytest.approx((6 * y + cb + cr) / 8)


def test_psnr_of_the_largest_errors_does_not_overflow() -> None:
    black = np.zeros((4097, 5000, 3), np.uint8)
    white = np.full_like(black, 255)
    assert measure(black, white, ["psnr_rgb", "psnr_y"])[0] == {"psnr_rgb": 0.0, "psnr_y": 0.0}


def test_identical_images_have_no_finite_psnr() -> None:
    image = scene(170, 170)
    values, notes = measure(image, image.copy(), OWN)
    assert values == {"psnr_rgb": None, "ms_ssim_rgb": 1.0, "psnr_y": None, "psnr_yuv": None}
    assert set(notes.values()) == {"identical images: PSNR is infinite"}


def test_a_grey_error_leaves_chroma_identical() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (9, 9, 1), dtype=np.uint8), 3, axis=2)
    values, notes = measure(grey, grey + np.uint8(1), PSNRS)
    assert values["psnr_rgb"] == values["psnr_y"] == pytest.approx(48.1308036087)
    assert (values["psnr_yuv"], notes) == (None, {"psnr_yuv": "identical Cb planes: their PSNR is infinite"})


def test_views_are_measured_like_copies() -> None:
    reference = scene(340, 340)
    decoded = add_noise(reference, 5)
    a, b = reference[::2, ::-2], decoded[::2, ::-2]
    assert measure(a, b, USABLE) == measure(np.ascontiguousarray(a), np.ascontiguousarray(b), USABLE)


# The registry


def test_a_decoded_image_of_another_shape_is_the_codecs_failure() -> None:
    image = scene(20, 30)
    with pytest.raises(CodecError, match=r"has shape \(20, 29, 3\) .* the reference \(20, 30, 3\)"):
        measure(image, image[:, :-1], PSNRS)
    with pytest.raises(CodecError, match="type float64"):
        measure(image, image.astype(np.float64), PSNRS)


def test_an_unknown_metric_offers_the_near_one() -> None:
    image = scene(20, 30)
    with pytest.raises(UsageError, match=r"unknown metric 'psnr_rbg'; did you mean 'psnr_rgb'"):
        measure(image, image, ["psnr_rbg"])


def test_the_numbers_of_this_version() -> None:
    """If these change, so must the versions in METRICS.

    Sources: skimage.metrics 0.26.0 (psnr_rgb), pytorch_msssim 1.0.0 in float64 (ms_ssim_rgb), and
    images.luma_chroma (psnr_y, psnr_yuv).
    """
    y, x, channel = np.ogrid[:240, :261, :3]
    reference = ((x * x * (channel + 3) + 7 * x * y + 5 * y * y) // 64 % 256).astype(np.uint8)
    decoded = (reference // 8 * 8 + (x + channel) % 8).astype(np.uint8)
    values, notes = measure(reference, decoded, OWN)
    assert notes == {}
    assert {name: METRICS.find(name).version for name in OWN} == dict.fromkeys(OWN, "1")
    assert values == pytest.approx(GOLDEN, abs=1e-9)


def test_listing_metrics_needs_neither_torch_nor_numba() -> None:
    code = (
        "import sys, benchmark.metrics; list(benchmark.metrics.METRICS.items());"
        "print(*({'numba', 'torch', 'scipy'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_measuring_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np;"
        "from benchmark.metrics.measure import measure;"
        f"a = np.zeros((170, 170, 3), np.uint8); b = a + 9; print(len(measure(a, b, {OWN})[0]));"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["4", "False"]


def test_kernels_compile_where_nothing_can_be_kept() -> None:
    """numba finds no place for code that comes from no file, as it does for one that it may not write to."""
    scope: dict[str, object] = {}
    exec("def double(x):\n    return 2 * x", scope)
    double = scope["double"]
    assert callable(double)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(double)
    assert compile_kernel()(double)(21) == 42
