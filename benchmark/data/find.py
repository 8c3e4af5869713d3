"""Datasets: a name becomes images on disk with checked hashes, found in local folders or downloaded."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.check import Findings, inspect, keep_hashes
from benchmark.data.dataset import FOLDER_PREFIX, Dataset, cache_folder
from benchmark.data.folder import read_folder
from benchmark.data.manifests import DATASETS, Manifest
from benchmark.errors import DatasetError

if TYPE_CHECKING:
    from benchmark.data.download import DownloadProgress

DATA_DIR_VARIABLE = "BENCH_DATA_DIR"


def find_dataset(
    name: str,
    data_dir: Path | None = None,
    *,
    base: Path = Path(),
    allow_partial: bool = False,
    progress: DownloadProgress | None = None,
) -> Dataset:
    """Find the images of the dataset `name` and check each against its hash.

    `name` is one of `DATASETS`, or `folder:PATH` with PATH as seen from `base`. Looked through in turn:
    `data_dir`, the folder that BENCH_DATA_DIR names (each either holds a folder `name` or the images
    themselves), and the user's cache; the first that holds all images is taken. If none holds any, they are
    downloaded into the cache.
    Images without a known hash are checked for their size, and their hash is kept for the next time.

    Raises UsageError for an unknown name; DatasetError for an altered, truncated or missing image, naming
    it, or if the download fails. With `allow_partial`, images may be missing as long as one is there.
    """
    if name.startswith(FOLDER_PREFIX):
        folder = base / Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
        return read_folder(name, folder, allow_partial=allow_partial)
    manifest = DATASETS.find(name)
    try:
        findings = _search(manifest, data_dir, allow_partial, progress)
    except OSError as error:
        raise _unreadable(name, error) from error
    if not (allow_partial and findings.images):
        findings.raise_missing()
    return Dataset(name, len(manifest.images), findings.images, keep_hashes(findings))


def fetch(name: str, progress: DownloadProgress | None = None) -> Path:
    """Return the folder where the whole dataset `name` lies, downloaded into the user's cache if need be.

    The places of `list_places` are looked through first. Interrupted downloads are continued, and altered
    images in the cache replaced. Raises UsageError for an unknown name, DatasetError, with the remedy, if
    the download fails or brings other images than the manifest promises.
    """
    manifest = DATASETS.find(name)
    try:
        for place in list_places(manifest):
            findings = inspect(manifest, place)
            if findings.complete:
                break
        else:
            if not manifest.package:
                findings = _download(manifest, progress)
    except OSError as error:
        raise _unreadable(name, error) from error
    findings.raise_faults()
    findings.raise_missing()
    keep_hashes(findings)
    return findings.folder


def _search(
    manifest: Manifest, data_dir: Path | None, allow_partial: bool, progress: DownloadProgress | None
) -> Findings:
    """Return the first complete place, else the fullest one that may be used, else what a download brings.

    Raises DatasetError for altered images in any place that is looked at.
    """
    cache = cache_folder(manifest.name)
    partial = []
    for place in list_places(manifest, data_dir):
        findings = inspect(manifest, place)
        findings.raise_faults()
        if findings.complete:
            return findings
        # What a broken-off download left in the cache is completed, unless the user asks for what there is.
        if findings.images and (allow_partial or place != cache):
            partial.append(findings)
    if partial:
        return max(partial, key=lambda findings: len(findings.images))
    if manifest.package:
        return findings
    return _download(manifest, progress)


def _download(manifest: Manifest, progress: DownloadProgress | None) -> Findings:
    """Bring what is missing or altered into the user's cache; return what lies there. Raises DatasetError."""
    from benchmark.data.download import download  # here, as most runs need no network and requests is slow

    folder = cache_folder(manifest.name)
    download(manifest, folder, progress)
    findings = inspect(manifest, folder)
    findings.raise_faults()
    return findings


def _unreadable(name: str, error: OSError) -> DatasetError:
    return DatasetError(f"dataset {name}: {error.filename!r} cannot be read: {error.strerror}")


def list_places(manifest: Manifest, data_dir: Path | None = None) -> list[Path]:
    """Return the folders of this machine where the images of `manifest` are looked for, in this order."""
    if manifest.package:
        return [_package_folder(manifest)]
    return [*_user_folders(manifest, data_dir), cache_folder(manifest.name)]


def _user_folders(manifest: Manifest, data_dir: Path | None) -> list[Path]:
    """Return the folders, given by option and environment, that may hold the images of `manifest`."""
    variable = os.environ.get(DATA_DIR_VARIABLE)
    bases = {"--data-dir": data_dir, DATA_DIR_VARIABLE: Path(variable) if variable else None}
    folders = []
    for origin, base in bases.items():
        if base is None:
            continue
        if not base.is_dir():
            raise DatasetError(f"{origin}: {str(base)!r} is no folder")
        inside = [base / manifest.name, base / manifest.name / Path(manifest.member).parent]
        folders += [folder for folder in (*inside, base) if _holds_any(manifest, folder)][:1]
    return folders


def _holds_any(manifest: Manifest, folder: Path) -> bool:
    return folder.is_dir() and any((folder / image.name).exists() for image in manifest.images)


def _package_folder(manifest: Manifest) -> Path:
    """Return the folder in which an installed package carries the images, without importing the package."""
    spec = find_spec(str(manifest.package))
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(f"dataset {manifest.name}: the Python package {manifest.package} is not installed")
    return Path(spec.submodule_search_locations[0]) / Path(manifest.member).parent
