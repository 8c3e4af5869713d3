"""Synthetic results for the analysis tests: rows as the runner writes them, with a known truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.results.store import SCHEMA

PROTOCOL = json.dumps({"reference": "rgb8", "metrics": {"psnr_rgb": "1"}})


def frame_of(
    codecs: Sequence[str] = ("jpeg", "webp"),
    points: Sequence[float] = (10, 30, 50, 70, 90),
    images: int = 24,
    *,
    savings_percent: Sequence[float] | None = None,
    noise_db: float = 0.0,
    seed: int = 0,
    dataset: str = "kodak",
    dataset_size: int | None = None,
    families: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Each image has its own curve, a + b log2(rate) dB; codec k needs savings_percent[k] % more rate."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(32, 3, images)
    slopes = rng.normal(5.5, 0.4, images)
    savings = savings_percent or [0.0] * len(codecs)
    rows = []
    for c, (codec, extra) in enumerate(zip(codecs, savings, strict=True)):
        for p, point in enumerate(points):
            for i in range(images):
                log2_rate = -2.5 + 4.0 * p / max(len(points) - 1, 1) + 0.1 * np.sin(i)
                psnr = offsets[i] + slopes[i] * log2_rate + noise_db * rng.normal()
                bpp = 2**log2_rate * (1 + extra / 100)
                rows.append(
                    {
                        "suite": "s",
                        "dataset": dataset,
                        "dataset_images": images,
                        "dataset_size": dataset_size or images,
                        "codec": codec,
                        "codec_id": codec,
                        "codec_family": families[c] if families else codec,
                        "codec_options": "{}",
                        "point": float(point),
                        "point_name": "quality",
                        "image": f"image{i:02d}.png",
                        "image_sha256": hashlib.sha256(str(i).encode()).hexdigest(),
                        "status": "ok",
                        "codec_version": "1",
                        "width": 768,
                        "height": 512,
                        "bitstream_bytes": round(bpp * 768 * 512 / 8),
                        "bitstream_sha256": f"b{codec}{p}{i}",
                        "decoded_sha256": f"d{codec}{p}{i}",
                        "bpp": bpp,
                        "psnr_rgb": psnr,
                        "ms_ssim_rgb": 1 - 10 ** (-(psnr - 18) / 10),
                        "psnr_y": psnr + 1,
                        "psnr_yuv": psnr + 0.5,
                        "metric_versions": "{}",
                        "metric_notes": "{}",
                        "encode_seconds": 0.1,
                        "decode_seconds": 0.05,
                        "protocol": PROTOCOL,
                        "jobs": 1,
                        "threads": 1,
                        "machine": "m",
                        "environment": "{}",
                        "run_id": "r",
                        "started_at": "2026-01-01T00:00:00Z",
                        "extra": "{}",
                        "image_conversions": "[]",
                    }
                )
    metrics = [name for name in rows[0] if name not in SCHEMA.names]
    return pd.DataFrame(rows).reindex(columns=[*SCHEMA.names, *metrics])
