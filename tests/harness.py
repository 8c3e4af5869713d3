"""What the harness's tests share: misbehaving codecs in a package of their own, tiny images, tiny suites."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image

from benchmark.arrays import Image
from benchmark.codecs import CodecEntry
from benchmark.codecs.base import Codec, note
from benchmark.errors import BitstreamError, CodecError, PointError

ROOT = Path(__file__).parents[1]
GOOD, BETTER, HANG, DIE, BUG, FAIL, CROP, CHILD, SLOW = 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0


class TrickCodec(Codec):
    """PNG of a coarser image; some points misbehave. The warm-up crop is always coded well."""

    def __init__(
        self, name: str, version: str = "1", child_pid_file: str = "", loading_seconds: float = 0.0
    ) -> None:
        self.name = name
        self._loading_seconds = loading_seconds
        self._version = version
        self._child_pid_file = child_pid_file

    def version(self) -> str:
        return self._version

    def check_point(self, point: float) -> None:
        if point not in range(1, 10):
            raise PointError(f"point {point:g} is not one of 1 .. 9")

    def prepare(self, point: float) -> None:
        time.sleep(self._loading_seconds)
        self._loading_seconds = 0.0

    def encode(self, image: Image, point: float) -> bytes:
        if image.shape[0] > 64:
            self._misbehave(point)
        note(encode_argv=["trick", f"{point:g}"], entropy_bits=12.5, colour_bits=8)
        step = 16 if point == GOOD else 4
        out = io.BytesIO()
        PIL.Image.fromarray(image // step * step + step // 2).save(out, "PNG")
        return out.getvalue() + (b"crop" if point == CROP and image.shape[0] > 64 else b"")

    def _misbehave(self, point: float) -> None:
        if point == HANG:
            time.sleep(600)
        if point == SLOW:
            time.sleep(0.1)
        if point == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if point == BUG:
            raise ZeroDivisionError("a bug in the codec")
        if point == FAIL:
            raise CodecError("the codec refuses")
        if point == CHILD:
            with subprocess.Popen(["sleep", "600"]) as child:
                try:
                    Path(self._child_pid_file).write_text(str(child.pid))
                    child.wait()
                finally:
                    child.kill()

    def decode(self, bitstream: bytes) -> Image:
        try:
            with PIL.Image.open(io.BytesIO(bitstream)) as file:
                image = np.array(file.convert("RGB"))
        except OSError as error:
            raise BitstreamError("no trick stream") from error
        return image[:-1] if bitstream.endswith(b"crop") else image


ENTRY = CodecEntry("harness:TrickCodec", "for tests", "trick", (GOOD, BETTER))


def install_trick(site: Path) -> None:
    """Write what makes `trick` a codec of an installed package, as far as entry points go."""
    info = site / "trick-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trick\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bench.codecs]\ntrick = harness:ENTRY\n")


def install_package(site: Path, module: str, source: str, entry_points: str) -> None:
    """Lay out what pip would: a module and its .dist-info."""
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def bench_in(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the packages in `site` are installed, in its parent."""
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "COLUMNS": "200"}
    argv = [sys.executable, "-m", "benchmark", *arguments]
    done = subprocess.run(argv, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def doc_block(language: str, containing: str, page: str = "docs/extending.md") -> str:
    """Return the one example of a page, in this language, that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return str(block)


def make_images(folder: Path, count: int = 2, size: tuple[int, int] = (80, 96)) -> Path:
    """Write `count` smooth random PNG images of (height, width) `size`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    height, width = size
    for number in range(count):
        small = PIL.Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((width, height), PIL.Image.Resampling.BICUBIC).save(folder / f"image{number}.png")
    return folder


def write_suite(path: Path, points: list[float], images: Path, *, options: str = "", more: str = "") -> Path:
    """Write a suite of the trick codec on a folder of images."""
    path.write_text(
        f'name = "{path.stem}"\ndataset = "folder:{images}"\nmetrics = ["psnr_rgb", "psnr_y"]\n'
        f'[[codec]]\nname = "trick"\npoints = {points}\n{options}\n{more}'
    )
    return path


VERSION_1 = (
    "suite", "dataset", "dataset_images", "dataset_size", "codec", "codec_id", "codec_options", "point",
    "image", "image_sha256", "status", "error", "codec_version", "width", "height", "bitstream_bytes",
    "bitstream_sha256", "decoded_sha256", "bpp", "psnr_rgb", "ms_ssim_rgb", "psnr_y", "psnr_yuv",
    "metric_versions", "metric_notes", "entropy_bits", "encode_seconds", "decode_seconds", "encode_argv",
    "decode_argv", "binary_sha256", "config_sha256", "image_conversions", "protocol", "jobs", "threads",
    "machine", "environment", "run_id", "started_at", "extra", "schema_version",
)  # fmt: skip
"""The columns of version 1 of the schema, in their order: it had these four metrics and no others."""


def as_version_1(path: Path) -> None:
    """Write the results at `path` anew, as a bench of version 1 of the schema wrote them."""
    import pyarrow as pa  # the codec `trick` is of this module: it is loaded where a list of codecs is
    import pyarrow.parquet as pq

    new = pq.read_table(path)
    old = {
        name: new[name] if name in new.schema.names else pa.nulls(len(new), pa.float64())
        for name in VERSION_1
    }
    old["schema_version"] = pa.array(["1"] * len(new))
    pq.write_table(pa.table(old, metadata={"bench_schema_version": "1"}), path)
