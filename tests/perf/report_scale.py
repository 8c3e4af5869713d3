"""Time and memory of a whole report over synthetic results, and how they grow.

    python tests/perf/report_scale.py [ROWS ...]
    python tests/perf/report_scale.py --images 12 --codecs 8 16 31

By rows: ten codecs at ten points on 100 to 10,000 images (1e4, 1e5 and 1e6 rows). By codecs: each is an
anchor in turn on the page, so that pairs grow with their square. Goals: 1,000,000 rows in under 20 s and
3 GB, the page under 8 MB; a page of 31 codecs and 12 images in under 10 s of CPU.
"""

from __future__ import annotations

import argparse
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

POINTS = 10
WIDTH, HEIGHT = 768, 512


def synthetic(rows: int, codecs: int = 10) -> pa.Table:
    """Return rows of some codecs whose curves differ by image, point and a codec's own efficiency."""
    images = rows // (codecs * POINTS)
    rng = np.random.default_rng(rows)
    codec, image, point = (
        a.ravel() for a in np.meshgrid(np.arange(codecs), np.arange(images), np.arange(POINTS), indexing="ij")
    )
    difficulty, efficiency = rng.normal(0, 0.35, images), rng.normal(0, 0.03, (codecs, images))
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


def measure(rows: int, codecs: int, form: list[str], folder: Path) -> tuple[float, float, float, float]:
    """Return wall and CPU seconds, peak GB and the page's MB of one `bench report`, run as a process."""
    results = folder / "results" / "scale"
    results.mkdir(parents=True, exist_ok=True)
    pq.write_table(synthetic(rows, codecs), results / TABLE)
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
        *(part for name in form for part in ("--format", name)),
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
        sum(page.stat().st_size for page in (folder / "out").glob("index.html")) / 1e6,
    )


def main() -> None:
    """Print a line for each size, and the growth from one to the next."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=float, nargs="*", help="by default 1e4, 1e5 and 1e6")
    parser.add_argument("--codecs", type=int, nargs="+", help="instead of rows: so many codecs")
    parser.add_argument("--images", type=int, default=12, help="with --codecs (default: %(default)s)")
    parser.add_argument("--format", action="append", default=[], help="of the report; all that are usual")
    asked = parser.parse_args()
    sizes = [(int(rows), 10) for rows in asked.rows or (1e4, 1e5, 1e6)]
    if asked.codecs:
        sizes = [(codecs * POINTS * asked.images, codecs) for codecs in asked.codecs]
    before = None
    titles = [f"{title:>8}" for title in ("rows", "codecs", "wall s", "CPU s", "peak GB", "page MB")]
    print(*titles, " growth of CPU time")
    for rows, codecs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu, memory, page = measure(rows, codecs, asked.format, Path(folder))
        growth = "" if before is None else f"{cpu / before[1]:.1f}x for {rows / before[0]:.1f}x rows"
        print(f"{rows:8d} {codecs:8d} {wall:8.1f} {cpu:8.1f} {memory:8.2f} {page:8.2f}  {growth}", flush=True)
        before = (rows, cpu)


if __name__ == "__main__":
    main()
