"""What a dataset must hold: manifests, beside the suites or in packages, and the hashes kept on first use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import benchmark
from benchmark.errors import BenchError, DatasetError
from benchmark.files import read_text, write_atomically
from benchmark.registry import Registry

_IMAGE = re.compile(
    r"(?P<sha256>[0-9a-f]{64}|-)  (?P<name>[^/\\]+)  (?P<width>[1-9]\d*)x(?P<height>[1-9]\d*)"
)
_BESIDE_PIXELS = 1 << 20
_HEADER = re.compile(r"# (?P<key>[a-z]+): (?P<value>\S.*)")


@dataclass(frozen=True)
class Expected:
    """One image that a manifest promises: file name, size in pixels, and sha256 unless it is not known."""

    name: str
    width: int
    height: int
    sha256: str | None

    @property
    def most_bytes(self) -> int:
        """How many bytes its file can have: four samples of 16 bits a pixel, and what is said beside them."""
        return 8 * self.width * self.height + _BESIDE_PIXELS


@dataclass(frozen=True)
class Manifest:
    """A dataset as its manifest describes it.

    Exactly one of three sources is given: `url`, one address per file with `{name}` in it; `archive`, the
    address of a zip file; `package`, an installed Python package. In the latter two, `member` says where the
    files lie, again with `{name}` in it. `title` is how figures write the name, if not as it is.
    """

    name: str
    images: tuple[Expected, ...]
    summary: str
    homepage: str
    title: str = ""
    license: str = ""
    url: str | None = None
    archive: str | None = None
    package: str | None = None
    member: str = "{name}"


_KEYS = {field.name for field in fields(Manifest)} - {"name", "images"}


def suites_folder() -> Path:
    """Return the folder of suites and manifests: in the package when installed, else beside it."""
    package = Path(benchmark.__file__).parent
    inside = package / "suites"
    return inside if inside.is_dir() else package.parent / "suites"


@cache
def read_manifests() -> Mapping[str, Manifest]:
    """Return every manifest that comes with the package, by dataset name."""
    paths = sorted(suites_folder().glob("*.sha256"))
    return MappingProxyType({path.stem: read_manifest(path) for path in paths})


def _read(name: str, given: object) -> object:
    """Return a package's manifest, given as it is or as a path, under the name of its entry point."""
    manifest = read_manifest(Path(given)) if isinstance(given, str | Path) else given
    return replace(manifest, name=name) if isinstance(manifest, Manifest) else manifest


DATASETS = Registry[Manifest](
    what="dataset",
    group="bench.datasets",
    form="benchmark.data.manifests.Manifest, nor the path of a manifest file",
    accepts=lambda entry: isinstance(entry, Manifest),
    builtin={},
    more=read_manifests,
    read=_read,
    unavailable=DatasetError,
    hint="or folder:PATH for a folder of images",
)
"""The datasets that have a manifest; `folder:PATH` names any other folder of images."""


def title_of(name: str) -> str:
    """Return the dataset `name` as figures write it: its manifest's title, else the name as it is."""
    try:
        return DATASETS.find(name).title or name
    except BenchError:  # a folder, or a dataset of a package that is not installed here
        return name


def read_manifest(path: Path) -> Manifest:
    """Read `path`: header lines `# key: value`, then lines `sha256  filename  WIDTHxHEIGHT`.

    Raises DatasetError, naming file and line, for anything else.
    """
    header: dict[str, str] = {}
    images: dict[str, Expected] = {}
    for number, line in enumerate(_lines(path), start=1):
        found = _HEADER.fullmatch(line)
        if found and found["key"] in _KEYS:
            header[found["key"]] = found["value"]
        elif line.strip() and not line.startswith("#"):
            image = _parse_image(line, f"{path}, line {number}")
            if image.name in images:
                raise DatasetError(f"{path}, line {number}: {image.name!r} is listed twice")
            images[image.name] = image
    sources = header.keys() & {"url", "archive", "package"}
    if len(sources) != 1 or not images or not {"summary", "homepage"} <= header.keys():
        raise DatasetError(f"{path}: needs images, summary, homepage, and one of url, archive and package")
    return Manifest(path.stem, tuple(images.values()), **header)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that users may have written. Raises DatasetError for other encodings."""
    try:
        return read_text(path).splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no UTF-8 text ({error.reason}); save it as UTF-8") from error


def _parse_image(line: str, where: str) -> Expected:
    found = _IMAGE.fullmatch(line)
    if found is None:
        raise DatasetError(f"{where}: expected 'sha256  filename  WIDTHxHEIGHT', found {line!r}")
    sha256 = None if found["sha256"] == "-" else found["sha256"]
    return Expected(found["name"], int(found["width"]), int(found["height"]), sha256)


def read_trusted(record: Path) -> dict[str, str]:
    """Return the hashes kept in `record` on first use, by file name; empty where there is no record.

    Raises DatasetError for a record that is not of the expected form.
    """
    if not record.exists():
        return {}
    trusted: dict[str, str] = {}
    for line in _lines(record):
        sha256, _, name = line.partition("  ")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not name:
            raise DatasetError(
                f"{record}: expected 'sha256  filename', found {line!r}; delete the file to start again"
            )
        trusted[name] = sha256
    return trusted


def write_trusted(record: Path, trusted: Mapping[str, str]) -> None:
    """Write `record` so that a reader sees the old or the new one, never a part. Raises OSError."""
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(trusted.items())]
    record.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(record, "".join(lines).encode())
