"""Decoded images that a run kept, for the page's viewer: matched to their source, put beside it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from benchmark.arrays import Image
from benchmark.errors import BenchError, ImageError
from benchmark.files import file_name
from benchmark.results.plan import read_plan

FOLDER = "images"


def viewer_data(
    frame: pd.DataFrame,
    results: Path,
    page_folder: Path,
    data_dir: Path | None = None,
    *,
    inline: bool = False,
) -> tuple[dict[str, Any] | None, list[str]]:
    """Put kept images and their sources below `page_folder` and return what the viewer needs, and remarks.

    Images become hard links where the file system has them, else copies; with `inline`, data URLs in the page
    and no files. A source is looked for where datasets lie, and used only if its sha256 is that of the rows:
    an image without one is not shown, since nothing could be said of its errors. None if nothing was kept.
    """
    from benchmark.metrics import in_figures
    from benchmark.results.records import KEPT, recorded_crop

    if not (results / KEPT).is_dir():
        return None, []
    place = _Placer(page_folder, inline)
    codecs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    images: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    missing: set[str] = set()
    places = _source_places(frame, results, data_dir)
    for row, png in _kept_rows(frame, results):
        name = str(row["image"])
        if name in missing:
            continue
        if name not in images:
            source = _load_source(places, name, str(row["image_sha256"]))
            if source is None:
                missing.add(name)
                continue
            original = place.source(source, name, recorded_crop(str(row["protocol"])))
            images[name] = {"original": original, "width": int(row["width"]), "height": int(row["height"])}
        point = {
            "point": row["point"],
            "src": place.file(png, png.relative_to(results / KEPT)),
            "bpp": row["bpp"],
        }
        point |= {m: row[m] for m in in_figures() if pd.notna(row.get(m))}
        codecs.setdefault(str(row["codec"]), {}).setdefault(name, []).append(point)
    if missing:
        remarks.append(
            f"the viewer excludes kept images whose source was not found or cannot be read ({len(missing)}): "
            f"{', '.join(sorted(missing)[:5])}; set BENCH_DATA_DIR or --data-dir to where the dataset lies"
        )
    return ({"images": images, "codecs": codecs} if images else None), remarks


def _kept_rows(frame: pd.DataFrame, results: Path) -> Iterator[tuple[Mapping[Any, Any], Path]]:
    """Yield rows and their decoded images; files of an earlier measurement do not count."""
    from benchmark.results.records import SLOT
    from benchmark.results.store import read_results
    from benchmark.runs.evaluate import is_kept, kept_path

    streams = read_results(results, [*SLOT, "bitstream_sha256"]).set_index(list(SLOT))["bitstream_sha256"]
    good = frame[frame["status"] == "ok"].sort_values(["image", "codec", "bpp"], kind="stable")
    for row in good.to_dict("records"):
        place = (results, row["codec"], row["point"], row["image"])
        if is_kept(*place, streams[tuple(row[name] for name in SLOT)]):
            yield row, kept_path(*place, ".png")


def _source_places(frame: pd.DataFrame, results: Path, data_dir: Path | None) -> list[Path]:
    """Return the folders in which the images that were coded may lie."""
    from benchmark.data.dataset import FOLDER_PREFIX
    from benchmark.data.find import list_places
    from benchmark.data.manifests import DATASETS

    dataset = str(frame["dataset"].iloc[0])
    try:
        if dataset.startswith(FOLDER_PREFIX):
            plan = read_plan(results)
            return [plan.folder] if plan is not None and plan.folder is not None else []
        return list(list_places(DATASETS.find(dataset), data_dir))
    except BenchError:
        return []


def _load_source(places: Sequence[Path], image: str, sha256: str) -> Image | None:
    """Return the image of this name and sha256 from one of `places`, None if none can be loaded there."""
    from benchmark.codecs.programs import file_sha256
    from benchmark.images import load_image

    for path in (place / image for place in places):
        with suppress(OSError, ImageError):
            if path.is_file() and file_sha256(path) == sha256:
                return load_image(path).pixels
    return None


class _Placer:
    """Puts image files where the page finds them and returns what its `src` says."""

    def __init__(self, page_folder: Path, inline: bool) -> None:
        self.page_folder = page_folder
        self.inline = inline

    def source(self, pixels: Image, name: str, crop: int | None) -> str:
        """Place a source image as the 8-bit RGB that the codecs got."""
        from benchmark.images import centre_crop, save_png

        relative = Path("_source") / file_name(name, ".png")
        target = self.page_folder / FOLDER / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        save_png(pixels if crop is None else centre_crop(pixels, crop), target, compress_level=1)
        if not self.inline:
            return self.url(relative)
        url = _data_url(target)
        target.unlink()
        return url

    def file(self, path: Path, relative: Path) -> str:
        """Place a kept PNG."""
        if self.inline:
            return _data_url(path)
        target = self.page_folder / FOLDER / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
        return self.url(relative)

    def url(self, relative: Path) -> str:
        """Return the path as a relative URL: a file named `a%20b` is asked for as `a%2520b`."""
        return quote((Path(FOLDER) / relative).as_posix())


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
