"""Downloads against a real HTTP server on this machine: whole, broken off, altered, absent, unreachable."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmark.data import find as datasets
from benchmark.data import manifests
from benchmark.data.dataset import cache_folder
from benchmark.errors import DatasetError


def png_bytes(seed: int, height: int = 60, width: int = 80) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


IMAGES = {f"toy{i}.png": png_bytes(i) for i in range(3)}


class Server(ThreadingHTTPServer):
    """Serves `files`; can break off, ignore ranges, and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after_bytes: int | None = None
        self.stalls_after_bytes: int | None = None
        self.released = threading.Event()
        self.honours_ranges = True
        self.says_length = True
        self.asked: list[tuple[str, str | None]] = []
        self.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(body) and wanted:
            self.send_error(416)
            return
        if wanted and self.server.honours_ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            self.send_response(200)
        if self.server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.stalls_after_bytes is not None:
            self.wfile.write(body[: self.server.stalls_after_bytes])
            self.server.released.wait(30)
            return
        self.wfile.write(body[: self.server.break_after_bytes])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of manifests and an empty cache; no data folder is set."""
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "suites"
    folder.mkdir()
    monkeypatch.setattr(manifests, "suites_folder", lambda: folder)
    manifests.read_manifests.cache_clear()
    yield folder
    manifests.read_manifests.cache_clear()


@pytest.fixture
def toy(server: Server, suites: Path) -> Path:
    """The dataset `toy`, one address per file; returns the cache folder it is to arrive in."""
    lines = [f"{sha256(data)}  {name}  80x60" for name, data in IMAGES.items()]
    header = ["# summary: noise", "# homepage: http://toy.example/", f"# url: {server.url}/toy/{{name}}"]
    (suites / "toy.sha256").write_text("\n".join([*header, *lines]) + "\n")
    server.files = {f"/toy/{name}": data for name, data in IMAGES.items()}
    return cache_folder("toy")


def arrived(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_fetch_brings_every_image_and_reports_progress(toy: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    assert datasets.fetch("toy", lambda *step: steps.append(step)) == toy
    assert {path.name: path.read_bytes() for path in toy.glob("*.png")} == IMAGES
    last = {name: (done, total) for name, done, total in steps}
    assert last == {name: (len(data), len(data)) for name, data in IMAGES.items()}
    assert not list(toy.glob("*.part"))


def test_find_downloads_once_when_nothing_is_at_hand(toy: Path, server: Server) -> None:
    first = datasets.find_dataset("toy")
    assert [image.name for image in first.images] == list(IMAGES)
    assert not first.partial
    asked = len(server.asked)
    assert datasets.find_dataset("toy") == first
    assert len(server.asked) == asked == len(IMAGES)


def test_a_broken_download_goes_on_where_it_stopped(toy: Path, server: Server) -> None:
    server.break_after_bytes = 8192
    with pytest.raises(DatasetError, match=r"toy0\.png: the connection broke off after 8192 of \d+ bytes;"):
        datasets.fetch("toy")
    assert arrived(toy) == []
    server.break_after_bytes = None
    datasets.fetch("toy")
    assert ("/toy/toy0.png", "bytes=8192-") in server.asked
    assert {path.name: path.read_bytes() for path in toy.glob("*.png")} == IMAGES


def test_a_server_without_ranges_sends_all_again(toy: Path, server: Server) -> None:
    server.break_after_bytes = 8192
    with pytest.raises(DatasetError):
        datasets.fetch("toy")
    server.break_after_bytes, server.honours_ranges = None, False
    datasets.fetch("toy")
    assert (toy / "toy0.png").read_bytes() == IMAGES["toy0.png"]


def test_leftovers_longer_than_the_file_are_dropped(toy: Path) -> None:
    toy.mkdir(parents=True)
    (toy / ".toy0.png.part").write_bytes(bytes(10**6))
    datasets.fetch("toy")
    assert (toy / "toy0.png").read_bytes() == IMAGES["toy0.png"]


def test_foreign_leftovers_are_found_by_the_hash_and_not_kept(toy: Path) -> None:
    toy.mkdir(parents=True)
    (toy / ".toy0.png.part").write_bytes(bytes(100))
    with pytest.raises(DatasetError, match="does not match the known hash"):
        datasets.fetch("toy")
    assert arrived(toy) == []
    datasets.fetch("toy")
    assert (toy / "toy0.png").read_bytes() == IMAGES["toy0.png"]


def test_other_bytes_than_promised_are_named_with_both_hashes(toy: Path, server: Server) -> None:
    server.files["/toy/toy1.png"] = other = png_bytes(99)
    with pytest.raises(DatasetError) as caught:
        datasets.fetch("toy")
    for part in (
        "toy1.png",
        hashlib.sha256(other).hexdigest(),
        hashlib.sha256(IMAGES["toy1.png"]).hexdigest(),
    ):
        assert part in str(caught.value)
    assert arrived(toy) == ["toy0.png"]


def test_altered_images_in_the_cache_are_an_error_until_fetched_anew(toy: Path) -> None:
    datasets.fetch("toy")
    (toy / "toy2.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"toy2\.png.*the file is empty[^`]*`bench fetch toy` downloads"):
        datasets.find_dataset("toy")
    datasets.fetch("toy")
    assert len(datasets.find_dataset("toy").images) == 3


def test_an_image_that_the_server_lacks(toy: Path, server: Server) -> None:
    del server.files["/toy/toy1.png"]
    with pytest.raises(
        DatasetError, match=r"toy1\.png: the server answers 404 .*http://toy\.example/.*--data-dir"
    ):
        datasets.fetch("toy")
    assert arrived(toy) == ["toy0.png"]


def test_no_network(toy: Path, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DatasetError, match=r"toy0\.png: cannot be reached \(ConnectionError\); .*--data-dir"):
        datasets.find_dataset("toy")
    assert arrived(toy) == []


def test_a_cache_that_cannot_be_written(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DatasetError, match=r"cannot be (written|read): .*"):
        datasets.fetch("toy")


def test_part_of_a_download_is_completed_or_used_as_it_is(toy: Path, server: Server) -> None:
    datasets.fetch("toy")
    (toy / "toy1.png").unlink()
    partial = datasets.find_dataset("toy", allow_partial=True)
    assert (partial.partial, len(partial.images), partial.size) == (True, 2, 3)
    assert not datasets.find_dataset("toy").partial
    assert [path for path, _ in server.asked].count("/toy/toy0.png") == 1


def test_two_at_once_download_each_file_once(toy: Path, server: Server) -> None:
    threads = [threading.Thread(target=datasets.fetch, args=("toy",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name: path.read_bytes() for path in toy.glob("*.png")} == IMAGES
    assert len(server.asked) == len(IMAGES)


def test_a_killed_download_goes_on_where_it_stopped(toy: Path, server: Server, suites: Path) -> None:
    code = (
        f"import pathlib; from benchmark.data import find, manifests;"
        f"manifests.suites_folder = lambda: pathlib.Path({str(suites)!r}); find.fetch('toy')"
    )
    server.stalls_after_bytes = 8192
    process = subprocess.Popen([sys.executable, "-c", code])
    part = toy / ".toy0.png.part"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and server.asked):
        time.sleep(0.05)
    process.kill()
    process.wait()
    server.released.set()
    assert not (toy / "toy0.png").exists()
    have_bytes = part.stat().st_size
    server.stalls_after_bytes = None
    datasets.fetch("toy")
    assert server.asked[1] == ("/toy/toy0.png", f"bytes={have_bytes}-" if have_bytes else None)
    assert {path.name: path.read_bytes() for path in toy.glob("[!.]*")} == IMAGES


@pytest.fixture
def zipped(server: Server, suites: Path) -> Path:
    """The dataset `zipped`, in an archive, of which one hash is known; returns its cache folder."""
    first = sha256(IMAGES["toy0.png"])
    lines = [f"{first if name == 'toy0.png' else '-'}  {name}  80x60" for name in IMAGES]
    header = ["# summary: noise", "# homepage: http://toy.example/"]
    header += [f"# archive: {server.url}/files/toy.zip", "# member: RGB/OR/{name}"]
    (suites / "zipped.sha256").write_text("\n".join([*header, *lines]) + "\n")
    serve_archive(server, IMAGES)
    return cache_folder("zipped")


def serve_archive(server: Server, images: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in images.items():
            archive.writestr(f"TESTIMAGES/RGB/OR/{name}", data)
            archive.writestr(f"TESTIMAGES/RGB/SMALL/{name}", b"another of the same name")
    server.files["/files/toy.zip"] = buffer.getvalue()


def test_an_archive_is_unpacked_and_removed(zipped: Path) -> None:
    found = datasets.find_dataset("zipped")
    assert {image.name: image.path.read_bytes() for image in found.images} == IMAGES
    assert arrived(zipped) == sorted(IMAGES)


def test_a_member_larger_than_its_image_can_be_is_not_written_in_full(zipped: Path, server: Server) -> None:
    serve_archive(server, {**IMAGES, "toy1.png": bytes(3 << 20)})
    with pytest.raises(DatasetError, match=r"'TESTIMAGES/RGB/OR/toy1\.png' has more than 1,086,976 bytes"):
        datasets.fetch("zipped")
    assert arrived(zipped) == ["toy0.png"]


@pytest.mark.parametrize("says_length", [True, False])
def test_a_download_larger_than_its_image_can_be_is_stopped(
    toy: Path, server: Server, says_length: bool
) -> None:
    server.says_length = says_length
    server.files["/toy/toy1.png"] = bytes(3 << 20)
    with pytest.raises(DatasetError, match=r"toy1\.png: sends more than 1,086,976 bytes"):
        datasets.fetch("toy")
    assert arrived(toy) == ["toy0.png"]


def test_an_archive_is_resumed(zipped: Path, server: Server) -> None:
    server.break_after_bytes = 16384
    with pytest.raises(DatasetError, match="broke off after 16384"):
        datasets.fetch("zipped")
    server.break_after_bytes = None
    datasets.fetch("zipped")
    assert server.asked[-1] == ("/files/toy.zip", "bytes=16384-")
    assert arrived(zipped) == sorted(IMAGES)


def test_hashes_of_first_use_reveal_a_later_change(zipped: Path) -> None:
    datasets.fetch("zipped")
    (zipped / "toy1.png").write_bytes(png_bytes(77))
    with pytest.raises(DatasetError) as caught:
        datasets.find_dataset("zipped")
    for part in (
        "toy1.png",
        "on first use",
        hashlib.sha256(IMAGES["toy1.png"]).hexdigest(),
        "first-use.sha256",
    ):
        assert part in str(caught.value)


def test_an_archive_with_an_image_of_another_size(zipped: Path, server: Server) -> None:
    serve_archive(server, {**IMAGES, "toy2.png": png_bytes(2, 10, 10)})
    with pytest.raises(DatasetError, match=r"toy2\.png.*expected 80x60 pixels, found 10x10"):
        datasets.fetch("zipped")


def test_an_archive_that_lacks_an_image(zipped: Path, server: Server) -> None:
    serve_archive(server, {name: data for name, data in IMAGES.items() if name != "toy1.png"})
    with pytest.raises(DatasetError, match=r"holds 0 files 'RGB/OR/toy1\.png' instead of one"):
        datasets.fetch("zipped")


@pytest.mark.parametrize("damage", ["page", "flipped"])
def test_a_damaged_archive_leaves_nothing_torn(zipped: Path, server: Server, damage: str) -> None:
    body = bytearray(server.files["/files/toy.zip"])
    body[5000] ^= 255  # inside the first image's stored bytes
    server.files["/files/toy.zip"] = b"<html>choose a mirror</html>" if damage == "page" else bytes(body)
    with pytest.raises(DatasetError, match="no sound zip file"):
        datasets.fetch("zipped")
    assert arrived(zipped) == []


def test_what_is_here_already_is_not_fetched(
    toy: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "toy"
    mine.mkdir(parents=True)
    monkeypatch.setenv("BENCH_DATA_DIR", str(mine.parent))
    for name, data in IMAGES.items():
        assert datasets.fetch("toy") == toy  # one image is missing at least
        (mine / name).write_bytes(data)
    asked = len(server.asked)
    assert datasets.fetch("toy") == mine
    assert len(server.asked) == asked
