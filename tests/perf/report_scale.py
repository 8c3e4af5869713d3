"""Time and memory of a whole report over synthetic results: 1e4, 1e5 and 1e6 rows, and how they grow.

    python tests/perf/report_scale.py [ROWS ...]

Ten codecs at ten points on 100 to 10,000 images. Goal: 1,000,000 rows in under 20 s and 3 GB, the page
under 8 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.results.store import SCHEMA, TABLE, table_schema

CODECS, POINTS = 10, 10
WIDTH, HEIGHT = 768, 512


def synthetic(rows: int) -> pa.Table:
    """Return rows of `CODECS` codecs whose curves differ by image, point and a codec's own efficiency."""
    images = rows // (CODECS * POINTS)
    rng = np.random.default_rng(rows)
    codec, image, point = (
        a.ravel() for a in np.meshgrid(np.arange(CODECS), np.arange(images), np.arange(POINTS), indexing="ij")
    )
    difficulty, efficiency = rng.normal(0, 0.35, images), rng.normal(0, 0.03, (CODECS, images))
    log_bpp = np.log(0.08) + 0.38 * point + difficulty[image] - 0.03 * codec + efficiency[codec, image]
    psnr = 26 + 1.7 * point - 3 * difficulty[image] + rng.normal(0, 0.02, len(point))
    n = len(point)
    columns: dict[str, object] = {
        "suite": _same("scale", n), "dataset": _same("scale", n), "dataset_images": np.full(n, images),
        "dataset_size": np.full(n, images), "codec": _names("codec", codec),
        "codec_id": _names("codec", codec), "codec_options": _same("{}", n),
        "point": point.astype(float), "image": _names("image", image),
        "image_sha256": _names("0" * 56, image), "status": _same("ok", n),
        "codec_version": _names("version", codec),
        "width": np.full(n, WIDTH), "height": np.full(n, HEIGHT),
        "bitstream_bytes": (np.exp(log_bpp) * WIDTH * HEIGHT / 8).astype(np.int64),
        "bitstream_sha256": _same("b" * 64, n), "decoded_sha256": _same("d" * 64, n),
        "bpp": np.exp(log_bpp), "psnr_rgb": psnr, "ms_ssim_rgb": 1 - 10 ** (-(psnr - 17) / 10),
        "psnr_y": psnr + 1, "psnr_yuv": psnr + 1.5, "metric_versions": _same('{"psnr_rgb": "1"}', n),
        "metric_notes": _same("{}", n), "encode_seconds": rng.lognormal(codec / 3 - 3, 0.2),
        "decode_seconds": rng.lognormal(codec / 5 - 4, 0.2),
        "encode_argv": _same(json.dumps(["encoder", "-q", "32", "-o", "stream.bin", "source.png"]), n),
        "image_conversions": _same("[]", n), "protocol": _same(json.dumps({"reference": "8-bit RGB"}), n),
        "jobs": np.full(n, 2), "threads": np.full(n, 1), "machine": _same("machine", n),
        "environment": _same(json.dumps({"commit": "c" * 40, "dirty": False, "packages": ["x" * 400]}), n),
        "run_id": _same("run", n), "started_at": _same("2026-01-01T00:00:00Z", n), "extra": _same("{}", n),
        "schema_version": _same(SCHEMA.metadata[b"bench_schema_version"].decode(), n),
    }  # fmt: skip
    schema = table_schema([*SCHEMA.names, *(name for name in columns if name not in SCHEMA.names)])
    arrays = [_column(columns.get(field.name), field.type, n) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _same(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [text])


def _names(stem: str, codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        codes.astype(np.int32), [f"{stem}{i:08d}" for i in range(codes.max() + 1)]
    )


def _column(values: object, kind: pa.DataType, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, kind)
    return values.cast(kind) if isinstance(values, pa.DictionaryArray) else pa.array(values, kind)


def measure(rows: int, folder: Path) -> tuple[float, float, float, float]:
    """Return wall and CPU seconds, peak GB and the page's MB of one `bench report`, run as a process."""
    results = folder / "results" / "scale"
    results.mkdir(parents=True, exist_ok=True)
    pq.write_table(synthetic(rows), results / TABLE)
    command = [
        sys.executable,
        "-m",
        "benchmark",
        "report",
        "scale",
        "--results",
        str(results.parent),
        "--out",
        str(folder / "out"),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"the report over {rows} rows failed")
    process.returncode = 0
    return (
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1e6,
        (folder / "out" / "index.html").stat().st_size / 1e6,
    )


def main() -> None:
    """Print a line for each size, and the growth from one to the next."""
    sizes = [int(float(text)) for text in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    before = None
    print(f"{'rows':>9} {'wall s':>8} {'CPU s':>8} {'peak GB':>8} {'page MB':>8}  growth of CPU time")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu, memory, page = measure(rows, Path(folder))
        growth = "" if before is None else f"{cpu / before[1]:.1f}x for {rows / before[0]:.0f}x rows"
        print(f"{rows:9d} {wall:8.1f} {cpu:8.1f} {memory:8.2f} {page:8.2f}  {growth}", flush=True)
        before = (rows, cpu)


if __name__ == "__main__":
    main()
