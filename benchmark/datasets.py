"""Datasets: a name becomes images on disk with checked hashes, found in local folders or downloaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmark.errors import DatasetError, UsageError, did_you_mean
from benchmark.manifests import Expected, Manifest, read_manifests, read_trusted, write_trusted

DATA_DIR_VARIABLE = "BENCH_DATA_DIR"
FOLDER_PREFIX = "folder:"

Progress = Callable[[str, int, int | None], None]
"""Called while downloading with what is fetched, the bytes at hand, and all bytes (None if not known)."""


@dataclass(frozen=True)
class ImageRef:
    """One image file: its name, unique in the dataset, its absolute path, and the sha256 of its bytes."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Images that were found and checked.

    `size` counts the images of the whole dataset, so that "n of size" can be said of a partial one.
    `notes` are remarks for the user: files passed over, duplicates, a record that could not be kept.
    """

    name: str
    size: int
    images: tuple[ImageRef, ...]
    notes: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether images of the dataset are missing."""
        return len(self.images) < self.size


@dataclass(frozen=True)
class _Found:
    """What a folder holds of a manifest: images whose hashes are right, and the names of those not there."""

    folder: Path
    images: tuple[ImageRef, ...]
    missing: tuple[str, ...]


def list_datasets() -> tuple[Manifest, ...]:
    """Return the datasets that have a manifest, by name; `folder:PATH` names any other folder of images."""
    return tuple(manifest for _, manifest in sorted(read_manifests().items()))


def find_dataset(
    name: str,
    data_dir: Path | None = None,
    *,
    allow_partial: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Find the images of the dataset `name` and check each against its hash.

    `name` is one of `list_datasets` or `folder:PATH`. Looked through in turn: `data_dir`, the folder that
    BENCH_DATA_DIR names (each either holds a folder `name` or the images themselves), and the user's cache;
    the first that holds all images is taken. If none holds any, they are downloaded into the cache.
    Images without a known hash are checked for their size, and their hash is kept for the next time.

    Raises UsageError for an unknown name; DatasetError for an altered, truncated or missing image, naming
    it, or if the download fails. With `allow_partial`, images may be missing as long as one is there.
    """
    if name.startswith(FOLDER_PREFIX):
        from benchmark.folders import read_folder

        return read_folder(name, Path(name.removeprefix(FOLDER_PREFIX)), allow_partial=allow_partial)
    manifest = find_manifest(name)
    if manifest.package:
        return _as_dataset(manifest, _find_in_package(manifest), allow_partial)
    found = [_inspect(manifest, folder) for folder in _user_folders(manifest, data_dir)]
    found.append(_inspect(manifest, cache_folder(name)))
    at_hand = next((f for f in found if not f.missing), None)
    partial = max(found, key=lambda f: len(f.images))
    if at_hand is None and partial.images and (allow_partial or partial.folder != cache_folder(name)):
        at_hand = partial
    if at_hand is None:
        at_hand = _inspect(manifest, fetch(name, progress))
    return _as_dataset(manifest, at_hand, allow_partial)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Download what is missing of the dataset `name` into the user's cache; return the folder.

    Interrupted downloads are continued. Raises UsageError for a name that cannot be downloaded, DatasetError,
    with the remedy, if the download fails or brings other bytes than the manifest promises.
    """
    manifest = find_manifest(name)
    if manifest.package:
        raise UsageError(f"{name} needs no download: it comes with the Python package {manifest.package}")
    from benchmark.fetching import download

    folder = cache_folder(name)
    download(manifest, folder, progress)
    return folder


def find_manifest(name: str) -> Manifest:
    """Return the manifest of the dataset `name`. Raises UsageError, with near names, if there is none."""
    manifests = read_manifests()
    if name not in manifests:
        hint = did_you_mean(name, manifests)
        raise UsageError(f"unknown dataset {name!r}; {hint} (or folder:PATH for a folder of images)")
    return manifests[name]


def cache_folder(name: str) -> Path:
    """Return the folder of the user's cache where the downloaded dataset `name` lies."""
    import pooch

    return Path(pooch.os_cache("bench")) / "datasets" / name


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


def _find_in_package(manifest: Manifest) -> _Found:
    """Look a dataset up that an installed package carries, without importing the package."""
    package = str(manifest.package)
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(f"dataset {manifest.name}: the Python package {package} is not installed")
    return _inspect(manifest, Path(spec.submodule_search_locations[0]) / Path(manifest.member).parent)


def _inspect(manifest: Manifest, folder: Path) -> _Found:
    """Check what `folder` holds of `manifest`. Raises DatasetError naming every file that is altered."""
    trusted = read_trusted(_trust_record(manifest)) if _needs_trust(manifest) else {}
    images, missing, faults = [], [], []
    for expected in manifest.images:
        path = (folder / expected.name).absolute()
        if not path.exists():
            missing.append(expected.name)
            continue
        sha256, fault = _check(path, expected, trusted.get(expected.name))
        faults += [fault] if fault else []
        images.append(ImageRef(expected.name, path, sha256))
    if faults:
        raise DatasetError(
            "\n".join(
                [
                    f"dataset {manifest.name}: images are not as they should be",
                    *faults,
                    _remedy(manifest, folder),
                ]
            )
        )
    return _Found(folder, tuple(images), tuple(missing))


def _check(path: Path, expected: Expected, trusted: str | None) -> tuple[str, str | None]:
    """Return the file's sha256 and what is wrong with it, if anything is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return "", f"  {str(path)!r}: cannot be read: {error.strerror}"
    sha256 = hashlib.sha256(data).hexdigest()
    wanted = expected.sha256 or trusted
    if wanted and sha256 != wanted:
        origin = "expected" if expected.sha256 else "on first use"
        return sha256, f"  {str(path)!r}: sha256 {origin} {wanted}, found {sha256}{_why_damaged(path, data)}"
    return sha256, None if wanted else _check_pixels(path, data, expected)


def _check_pixels(path: Path, data: bytes, expected: Expected) -> str | None:
    """Say what is wrong with an image whose hash is not known: damaged, or of another size."""
    from benchmark.folders import probe, why_no_image

    if fault := why_no_image(data):
        return f"  {str(path)!r}: {fault}{_why_damaged(path, data)}"
    width, height = probe(data)
    if (width, height) != (expected.width, expected.height):
        return f"  {str(path)!r}: expected {expected.width}x{expected.height} pixels, found {width}x{height}"
    return None


def _why_damaged(path: Path, data: bytes) -> str:
    """Return, as the end of a message, the plain cause of a wrong hash where it can be seen."""
    if not data:
        return " (the file is empty)"
    if path.suffix.lower() == ".png" and not data.endswith(b"IEND\xaeB`\x82"):
        return f" (truncated: {len(data)} bytes without the end of a PNG file)"
    return f" ({len(data)} bytes)"


def _remedy(manifest: Manifest, folder: Path) -> str:
    if manifest.package:
        release = version("scikit-image") if manifest.package == "skimage" else "this version"
        return f"{manifest.package} {release} carries other files than the dataset's: install another version"
    if folder == cache_folder(manifest.name):
        return f"`bench fetch {manifest.name}` downloads them anew"
    return (
        f"replace these files ({manifest.homepage}), or move them away and run `bench fetch {manifest.name}`"
    )


def _as_dataset(manifest: Manifest, found: _Found, allow_partial: bool) -> Dataset:
    """Make the Dataset; keep the hashes that were not known. Raises DatasetError if images are missing."""
    size = len(manifest.images)
    if found.missing and not (allow_partial and found.images):
        names = ", ".join(found.missing[:5]) + (", ..." if len(found.missing) > 5 else "")
        raise DatasetError(
            f"dataset {manifest.name}: {len(found.missing)} of {size} images are missing in "
            f"{str(found.folder)!r}: {names}; `bench fetch {manifest.name}` downloads the set, "
            f"--allow-partial runs with the {len(found.images)} at hand"
        )
    return Dataset(manifest.name, size, found.images, _keep_hashes(manifest, found.images))


def _needs_trust(manifest: Manifest) -> bool:
    return any(image.sha256 is None for image in manifest.images)


def _trust_record(manifest: Manifest) -> Path:
    return cache_folder(manifest.name).parent / f"{manifest.name}.first-use.sha256"


def _keep_hashes(manifest: Manifest, images: tuple[ImageRef, ...]) -> tuple[str, ...]:
    """Keep the hashes of images that have none in the manifest; return a note where they cannot be kept."""
    unknown = {image.name for image in manifest.images if image.sha256 is None}
    seen: Mapping[str, str] = {image.name: image.sha256 for image in images if image.name in unknown}
    record = _trust_record(manifest) if seen else None
    if record is None or seen.items() <= (trusted := read_trusted(record)).items():
        return ()
    try:
        write_trusted(record, {**trusted, **seen})
    except OSError as error:
        return (f"hashes not kept in {str(record)!r} ({error.strerror}): a later change will not be seen",)
    return ()
