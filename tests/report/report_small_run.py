"""What the small real run of the report tests consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.report import write
from benchmark.report.summary import Summary

EVIL = "<script>alert(1)</script>"
SUITE = f"""
name = "small"
dataset = "folder:{{folder}}"
metrics = ["psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv"]
[[codec]]
name = "jpeg"
points = [10, 30, 50, 70, 90]
[[codec]]
name = "{EVIL}"
codec = "jpeg"
points = [15, 30, 50, 70, 85]
[[codec]]
name = "webp"
points = [5, 30, 60, 90]
"""


@dataclass(frozen=True)
class SmallRun:
    """Where the run and its report lie, and what was gathered."""

    results: Path
    report: Path
    frame: pd.DataFrame
    summary: Summary
    written: write.Written


def photograph(seed: int, height: int = 176, width: int = 208) -> Image.Image:
    """Return an image with edges, texture and smooth parts, so that codecs have something to lose."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    wave = np.sin(x / (17 + seed)) * np.cos(y / (23 - seed))
    smooth = 110 + 60 * wave[..., None] * np.array([1, 0.8, 0.6])
    texture = rng.normal(0, 12, (height, width, 3)) * (x > width / 2)[..., None]
    edges = 50 * (((x // 24) + (y // 24)) % 2)[..., None]
    return Image.fromarray(np.clip(smooth + texture + edges, 0, 255).astype(np.uint8))
