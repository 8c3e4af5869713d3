"""Checking what a folder holds against a manifest, and keeping hashes that are not known beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.data.dataset import ImageRef, cache_folder
from benchmark.data.manifests import Expected, Manifest, read_trusted, write_trusted
from benchmark.errors import DatasetError, ImageError
from benchmark.images import check_file_size, decode_image, quiet


@dataclass(frozen=True)
class Findings:
    """What a folder holds of a manifest: the images that are as promised, what is not there, what is wrong.

    `faults` has one line of text, naming the file, for each image that is altered, truncated or unreadable.
    """

    manifest: Manifest
    folder: Path
    images: tuple[ImageRef, ...] = ()
    missing: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all images are there and as promised."""
        return not self.missing and not self.faults

    def raise_faults(self) -> None:
        """Raise DatasetError, naming each file with the remedy, if any is not as promised."""
        if self.faults:
            headline = f"dataset {self.manifest.name}: images are not what they should be"
            raise DatasetError("\n".join([headline, *self.faults.values(), self._remedy()]))

    def raise_missing(self) -> None:
        """Raise DatasetError if images are missing."""
        if self.missing:
            name, size = self.manifest.name, len(self.manifest.images)
            some = ", ".join(self.missing[:5]) + (", ..." if len(self.missing) > 5 else "")
            remedy = f"--allow-partial runs with the {len(self.images)} at hand"
            if not self.manifest.package:
                remedy = f"`bench fetch {name}` downloads the set, {remedy}"
            raise DatasetError(
                f"dataset {name}: {len(self.missing)} of {size} images are missing in "
                f"{str(self.folder)!r}: {some}; {remedy}"
            )

    def _remedy(self) -> str:
        name = self.manifest.name
        if self.manifest.package:
            return f"the installed {self.manifest.package} carries other files: install another version of it"
        trusted = any("on first use" in fault for fault in self.faults.values())
        anew = f"; if the change is meant, delete {str(_record(name))!r}" if trusted else ""
        if self.folder == cache_folder(name):
            return f"`bench fetch {name}` downloads them anew{anew}"
        return f"replace them ({self.manifest.homepage}), or move them away and `bench fetch {name}`{anew}"


def inspect(manifest: Manifest, folder: Path) -> Findings:
    """Check each image of `manifest` that `folder` holds: its hash, or its pixels where no hash is known.

    Raises DatasetError if the record of first-use hashes is damaged, OSError if `folder` may not be entered.
    """
    trusted = read_trusted(_record(manifest.name)) if _unknown(manifest) else {}
    images, missing, faults = [], [], {}
    for expected in manifest.images:
        path = (folder / expected.name).absolute()
        if not path.exists():
            missing.append(expected.name)
            continue
        sha256, fault = _check(path, expected, trusted.get(expected.name))
        if fault:
            faults[expected.name] = f"  {str(path)!r}: {fault}"
        else:
            images.append(ImageRef(expected.name, path, sha256))
    return Findings(manifest, folder, tuple(images), tuple(missing), faults)


def keep_hashes(findings: Findings) -> tuple[str, ...]:
    """Keep the hashes of images that have none in the manifest; return a note where they cannot be kept."""
    unknown, record = _unknown(findings.manifest), _record(findings.manifest.name)
    seen = {image.name: image.sha256 for image in findings.images if image.name in unknown}
    if not seen or seen.items() <= (trusted := read_trusted(record)).items():
        return ()
    try:
        write_trusted(record, {**trusted, **seen})
    except OSError as error:
        return (f"hashes not kept in {str(record)!r} ({error.strerror}): a later change will not be seen",)
    return ()


def _unknown(manifest: Manifest) -> frozenset[str]:
    """Return the names of the images whose hash the manifest does not know."""
    return frozenset(image.name for image in manifest.images if image.sha256 is None)


def _record(name: str) -> Path:
    return cache_folder(name).parent / f"{name}.first-use.sha256"


def _check(path: Path, expected: Expected, trusted: str | None) -> tuple[str, str | None]:
    """Return the file's sha256 and what is wrong with it, if anything is."""
    try:
        check_file_size(path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    except ImageError as error:
        return "", str(error)
    sha256 = hashlib.sha256(data).hexdigest()
    wanted = expected.sha256 or trusted
    if wanted is None:
        return sha256, _check_pixels(path, data, expected)
    if sha256 == wanted:
        return sha256, None
    origin = "expected" if expected.sha256 else "on first use"
    return sha256, f"sha256 {origin} {wanted}, found {sha256}{_why_damaged(path, data)}"


def _check_pixels(path: Path, data: bytes, expected: Expected) -> str | None:
    """Say what is wrong with an image whose hash is not known: damaged, or of another size."""
    try:
        with quiet():
            height, width, _ = decode_image(data).pixels.shape
    except ImageError as error:
        return f"no image that can be read: {error}{_why_damaged(path, data)}"
    if (width, height) != (expected.width, expected.height):
        return f"expected {expected.width}x{expected.height} pixels, found {width}x{height}"
    return None


def _why_damaged(path: Path, data: bytes) -> str:
    """Return, as the end of a message, the plain cause of a wrong hash where it can be seen."""
    if not data:
        return " (the file is empty)"
    if path.suffix.lower() == ".png" and not data.endswith(b"IEND\xaeB`\x82"):
        return f" (truncated: {len(data)} bytes without the end of a PNG file)"
    return f" ({len(data)} bytes)"
