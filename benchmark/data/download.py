"""Downloading datasets into the user's cache: continued where it broke off, checked, never half a file."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pooch
import requests

from benchmark.data.check import inspect
from benchmark.data.manifests import Manifest
from benchmark.errors import DatasetError
from benchmark.files import locked

_TIMEOUT_SECONDS = (15, 60)  # to connect, and between two pieces
_PIECE_BYTES = 1 << 13  # what a broken connection may lose

MOST_ARCHIVE_BYTES = 8 << 30
"""The largest archive that is downloaded: far more than any set of test images has."""

DownloadProgress = Callable[[str, int, int | None], None]
"""Called while downloading with what is fetched, the bytes at hand, and all bytes (None if not known)."""


def download(manifest: Manifest, folder: Path, progress: DownloadProgress | None) -> None:
    """Bring what is missing or altered of `manifest` into `folder`, each file only once it is whole.

    Raises DatasetError, with the remedy, if the server cannot be reached, does not have a file, breaks off or
    sends other bytes than the manifest promises, or if `folder` cannot be written.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    hint = f"or put the images (from {manifest.homepage}) into DIR/{manifest.name} and give --data-dir DIR"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):  # another process may be downloading the same
            for leftover in folder.glob("tmp*"):  # pooch's, where it was killed
                leftover.unlink()
            findings = inspect(manifest, folder)  # here, as another process may just have brought them
            names = [*findings.missing, *findings.faults]
            if manifest.archive and names:
                _download_archive(manifest, folder, names, progress)
            elif names:
                _download_files(manifest, folder, names, progress)
    except requests.RequestException as error:
        raise DatasetError(f"dataset {manifest.name}: {_in_words(error)}, {hint}") from error
    except OSError as error:
        place = f"{str(folder)!r} cannot be written: {error.strerror or error}"
        raise DatasetError(f"dataset {manifest.name}: {place}; set XDG_CACHE_HOME, {hint}") from error


def _download_files(
    manifest: Manifest, folder: Path, names: Sequence[str], progress: DownloadProgress | None
) -> None:
    known = {image.name: image for image in manifest.images}
    for name in names:
        url = str(manifest.url).format(name=name)
        _retrieve(url, known[name].sha256, folder / name, known[name].most_bytes, progress)


def _download_archive(
    manifest: Manifest, folder: Path, names: Sequence[str], progress: DownloadProgress | None
) -> None:
    """Download the zip file, take `names` out of it, and delete it."""
    url = str(manifest.archive)
    archive = folder / Path(urlsplit(url).path).name
    most_bytes = {image.name: image.most_bytes for image in manifest.images}
    _retrieve(url, None, archive, MOST_ARCHIVE_BYTES, progress)
    try:
        with zipfile.ZipFile(archive) as file:
            for name in names:
                _extract(file, manifest.member.format(name=name), folder / name, most_bytes[name])
    except zipfile.BadZipFile as error:  # also raised for a member whose checksum is wrong
        raise DatasetError(f"{url}: what was downloaded is no sound zip file: {error}; run again") from error
    finally:
        archive.unlink(missing_ok=True)


def _extract(archive: zipfile.ZipFile, member: str, target: Path, most_bytes: int) -> None:
    """Write `member`, which may lie in any folder of the archive, to `target`.

    Raises DatasetError if it has more than `most_bytes`, whatever the archive says of its size.
    """
    found = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
    if len(found) != 1:
        raise DatasetError(f"{archive.filename}: holds {len(found)} files {member!r} instead of one")
    temporary = target.with_name(f".{target.name}.part")
    with archive.open(found[0]) as source, temporary.open("wb") as file:
        size = 0
        for piece in _pieces(source):
            size += len(piece)
            if size > most_bytes:
                temporary.unlink()
                raise DatasetError(
                    f"{archive.filename}: {found[0]!r} has more than {most_bytes:,} bytes, which no image of "
                    "its size has"
                )
            file.write(piece)
    temporary.replace(target)


def _pieces(source: IO[bytes]) -> Iterable[bytes]:
    return iter(lambda: source.read(1 << 20), b"")


def _retrieve(
    url: str,
    sha256: str | None,
    target: Path,
    most_bytes: int,
    progress: DownloadProgress | None,
) -> None:
    """Let pooch bring one file to `target`, unless it is there with the right hash."""
    downloader = ResumingDownloader(target.with_name(f".{target.name}.part"), progress, most_bytes)
    try:
        pooch.retrieve(url, sha256 and f"sha256:{sha256}", target.name, target.parent, downloader=downloader)
    except requests.RequestException:  # some of these are ValueErrors
        raise
    except ValueError as error:  # pooch's word for a wrong hash: it names file, expected and found hash
        raise DatasetError(f"{url}: {error}; run again, or report that the source has changed") from error


class ResumingDownloader:
    """A downloader for pooch that keeps what it got and asks for the rest the next time.

    pooch downloads to a temporary file that it deletes if the connection breaks; this one writes to `part`,
    which stays, and hands it over when it is whole. What becomes larger than `most_bytes`, whether the server
    says so or not, is deleted (DatasetError).
    """

    def __init__(
        self, part: Path, progress: DownloadProgress | None = None, most_bytes: int = MOST_ARCHIVE_BYTES
    ) -> None:
        self._part = part
        self._most_bytes = most_bytes
        self._progress = progress or (lambda name, done, total: None)

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download `url` to `output_file`. Raises requests.RequestException, DatasetError or OSError."""
        have_bytes = self._part.stat().st_size if self._part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have_bytes}-"} if have_bytes else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._part.unlink()  # not the beginning of this file: start anew
                return self(url, output_file, pooch)
            response.raise_for_status()
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have_bytes}-")
            self._append(response, have_bytes if resumed else 0)
        self._part.replace(output_file)
        return None

    def _append(self, response: requests.Response, have_bytes: int) -> None:
        length = response.headers.get("Content-Length")
        total_bytes = have_bytes + int(length) if length else None
        name = Path(urlsplit(response.url).path).name
        self._check(response.url, total_bytes or 0)
        try:
            with self._part.open("ab" if have_bytes else "wb") as file:
                for piece in response.iter_content(_PIECE_BYTES):
                    file.write(piece)
                    have_bytes += len(piece)
                    self._check(response.url, have_bytes)
                    self._progress(name, have_bytes, total_bytes)
        except requests.RequestException as error:
            how_far = f"broke off after {have_bytes} of {total_bytes or 'unknown'} bytes"
            raise requests.exceptions.ChunkedEncodingError(how_far, request=response.request) from error

    def _check(self, url: str, size: int) -> None:
        if size > self._most_bytes:
            self._part.unlink(missing_ok=True)
            raise DatasetError(f"{url}: sends more than {self._most_bytes:,} bytes: this file has fewer")


def _in_words(error: requests.RequestException) -> str:
    """Say which address failed, and how."""
    url = error.request.url if error.request is not None else "the server"
    if error.response is not None:
        return f"{url}: the server answers {error.response.status_code} {error.response.reason}; try later"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{url}: the connection {error}; run again to continue"
    return f"{url}: cannot be reached ({type(error).__name__}); try again with a network connection"
