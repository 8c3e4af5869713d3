"""Finding and checking datasets: search order, every kind of damage, partial sets, folders, odd names."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmark.data import manifests
from benchmark.data.dataset import Dataset, cache_folder
from benchmark.data.find import find_dataset
from benchmark.errors import DatasetError, ImageError, UsageError
from benchmark.images import load_image

NAMES = ("a.png", "b.png", "c.png")


def save_noise(path: Path, seed: int, width: int = 24, height: int = 16) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)
    return path


def save_toys(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        save_noise(folder / name, seed)
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the manifests `toy` (hashes known) and `unhashed`; the download address is closed."""
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "suites"
    folder.mkdir()
    originals = save_toys(tmp_path / "originals")
    header = "# summary: noise\n# homepage: http://toy.example/\n"
    source = "# url: http://127.0.0.1:9/{name}\n# member: deep/inside/{name}\n"
    known = "".join(f"{sha256(originals / name)}  {name}  24x16\n" for name in NAMES)
    unknown = "".join(f"-  {name}  24x16\n" for name in NAMES)
    (folder / "toy.sha256").write_text(header + source + known)
    (folder / "unhashed.sha256").write_text(header + source + unknown)
    (folder / "carried.sha256").write_text(header + "# package: carrier\n# member: data/{name}\n" + known)
    monkeypatch.setattr(manifests, "suites_folder", lambda: folder)
    manifests.read_manifests.cache_clear()
    yield folder
    manifests.read_manifests.cache_clear()


# The datasets that come with the package


def test_the_shipped_manifests_are_whole() -> None:
    sizes = {name: len(manifest.images) for name, manifest in manifests.DATASETS.items()}
    assert sizes == {"demo": 5, "kodak": 24, "machines": 5, "tecnick": 100}
    tecnick = manifests.DATASETS.find("tecnick")
    assert [image.name for image in tecnick.images if image.sha256] == ["RGB_OR_1200x1200_001.png"]
    assert {(image.width, image.height) for image in tecnick.images} == {(1200, 1200)}


def test_demo_is_found_without_importing_scikit_image() -> None:
    code = (
        "import sys; from benchmark.data.find import find_dataset; found = find_dataset('demo');"
        "print(len(found.images), found.partial, 'skimage' in sys.modules, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["5", "False", "False", "False"]


@pytest.mark.parametrize("name", ["demo", "kodak"])
def test_sizes_in_the_manifest_are_those_of_the_files(name: str) -> None:
    if name == "kodak" and "BENCH_DATA_DIR" not in os.environ:
        pytest.skip("BENCH_DATA_DIR is not set")
    expected = {image.name: (image.width, image.height) for image in manifests.DATASETS.find(name).images}
    for image in find_dataset(name).images:
        with PIL.Image.open(image.path) as file:
            assert file.size == expected[image.name]


def test_listing_datasets_needs_no_heavy_imports() -> None:
    code = (
        "import sys; from benchmark.data.manifests import DATASETS; list(DATASETS.items());"
        "print(*({'numpy', 'PIL', 'pooch', 'requests', 'torch'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


# Where images are looked for


def test_search_order(suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, variable = tmp_path / "given", tmp_path / "variable"
    save_toys(cache_folder("toy"))
    assert find_dataset("toy").images[0].path.parent == cache_folder("toy")
    save_toys(variable / "toy")
    monkeypatch.setenv("BENCH_DATA_DIR", str(variable))
    assert find_dataset("toy").images[0].path.parent == variable / "toy"
    save_toys(given / "toy")
    assert find_dataset("toy", given).images[0].path.parent == given / "toy"


@pytest.mark.parametrize("inside", [".", "toy", "toy/deep/inside"])
def test_a_data_folder_holds_the_set_or_the_images(suites: Path, tmp_path: Path, inside: str) -> None:
    base = tmp_path / "base"
    folder = save_toys(base / inside)
    found = find_dataset("toy", base)
    assert [image.path for image in found.images] == [folder / name for name in NAMES]
    assert [image.sha256 for image in found.images] == [sha256(folder / name) for name in NAMES]


def test_a_data_folder_that_does_not_exist(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match=r"--data-dir: '.*nowhere' is no folder"):
        find_dataset("toy", tmp_path / "nowhere")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match=r"BENCH_DATA_DIR: '.*nowhere' is no folder"):
        find_dataset("toy")


def test_a_relative_data_folder_gives_absolute_paths(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_toys(tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    assert all(image.path.is_absolute() for image in find_dataset("toy", Path()).images)


def test_an_unknown_name_offers_the_near_one() -> None:
    with pytest.raises(UsageError, match=r"unknown dataset 'kodac'; did you mean 'kodak'\? \(or folder:PATH"):
        find_dataset("kodac")


# Missing and damaged images


def test_a_complete_place_beats_an_earlier_partial_one(suites: Path, tmp_path: Path) -> None:
    (save_toys(tmp_path / "given" / "toy") / "b.png").unlink()
    save_toys(cache_folder("toy"))
    assert find_dataset("toy", tmp_path / "given").images[0].path.parent == cache_folder("toy")


def test_a_partial_set_needs_leave(suites: Path, tmp_path: Path) -> None:
    (save_toys(tmp_path / "given" / "toy") / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 3 images are missing in .*: b\.png; .*with the 2 at hand"):
        find_dataset("toy", tmp_path / "given")
    found = find_dataset("toy", tmp_path / "given", allow_partial=True)
    assert ([image.name for image in found.images], found.size, found.partial) == (
        ["a.png", "c.png"],
        3,
        True,
    )


@pytest.mark.parametrize("allow_partial", [False, True])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "truncated: .* without the end of a PNG"),
        (lambda path: save_noise(path, 99), r"\(\d+ bytes\)"),
    ],
    ids=["empty", "truncated", "altered"],
)
def test_damage_is_named_with_both_hashes(
    suites: Path, tmp_path: Path, damage: object, words: str, allow_partial: bool
) -> None:
    folder = save_toys(tmp_path / "given" / "toy")
    expected = sha256(folder / "b.png")
    assert callable(damage)
    damage(folder / "b.png")
    found = sha256(folder / "b.png")
    with pytest.raises(DatasetError, match=rf"b\.png': sha256 expected {expected}, found {found} .*{words}"):
        find_dataset("toy", tmp_path / "given", allow_partial=allow_partial)


def test_a_folder_in_the_place_of_an_image(suites: Path, tmp_path: Path) -> None:
    folder = save_toys(tmp_path / "given" / "toy")
    (folder / "b.png").unlink()
    (folder / "b.png").mkdir()
    with pytest.raises(DatasetError, match=r"b\.png': cannot be read: Is a directory"):
        find_dataset("toy", tmp_path / "given")


def test_a_package_that_carries_other_bytes(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DatasetError, match="the Python package carrier is not installed"):
        find_dataset("carried")
    folder = save_toys(tmp_path / "carrier" / "data")
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    assert len(find_dataset("carried").images) == 3
    save_noise(folder / "b.png", 99)
    with pytest.raises(DatasetError, match=r"b\.png(.|\n)*the installed carrier carries other files:"):
        find_dataset("carried")
    (folder / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"b\.png; --allow-partial runs with the 2 at hand"):
        find_dataset("carried")


# Hashes of first use


def test_an_unhashed_set_is_checked_by_size_and_then_by_hash(suites: Path, tmp_path: Path) -> None:
    folder = save_toys(tmp_path / "given" / "unhashed")
    save_noise(folder / "b.png", 5, width=25)
    with pytest.raises(DatasetError, match=r"b\.png': expected 24x16 pixels, found 25x16"):
        find_dataset("unhashed", tmp_path / "given")
    save_noise(folder / "b.png", 5)
    assert find_dataset("unhashed", tmp_path / "given").notes == ()
    save_noise(folder / "b.png", 6)
    with pytest.raises(DatasetError, match=r"on first use (.|\n)*delete '.*unhashed\.first-use\.sha256'"):
        find_dataset("unhashed", tmp_path / "given")


def test_a_truncated_image_without_a_hash_is_found(suites: Path, tmp_path: Path) -> None:
    path = save_toys(tmp_path / "given" / "unhashed") / "b.png"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DatasetError, match=r"b\.png': no image that can be read: .*truncated"):
        find_dataset("unhashed", tmp_path / "given")


def test_a_partial_set_adds_to_the_record_later(suites: Path, tmp_path: Path) -> None:
    folder = save_toys(tmp_path / "given" / "unhashed")
    later = (folder / "b.png").rename(tmp_path / "b.png")
    find_dataset("unhashed", tmp_path / "given", allow_partial=True)
    later.rename(folder / "b.png")
    find_dataset("unhashed", tmp_path / "given")
    record = cache_folder("unhashed").parent / "unhashed.first-use.sha256"
    assert manifests.read_trusted(record) == {name: sha256(folder / name) for name in NAMES}


def test_a_cache_that_cannot_be_written_is_noted(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_toys(tmp_path / "given" / "unhashed")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (note,) = find_dataset("unhashed", tmp_path / "given").notes
    assert "a later change will not be seen" in note


def test_a_damaged_record_is_named(suites: Path, tmp_path: Path) -> None:
    save_toys(tmp_path / "given" / "unhashed")
    record = cache_folder("unhashed").parent / "unhashed.first-use.sha256"
    record.parent.mkdir(parents=True)
    record.write_text("nonsense\n")
    with pytest.raises(DatasetError, match=r"unhashed\.first-use\.sha256: expected 'sha256  filename'"):
        find_dataset("unhashed", tmp_path / "given")


# Manifests


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0123  a.png  24x16", "line 4: expected 'sha256  filename  WIDTHxHEIGHT', found '0123"),
        ("-  ../a.png  24x16", "line 4: expected"),
        ("-  a.png  24x0", "line 4: expected"),
        ("-  a.png  24x16\n-  a.png  24x16", "line 5: 'a.png' is listed twice"),
        ("", "needs images, summary"),
        ("# archive: http://toy.example/a.zip\n-  a.png  24x16", "one of url, archive and package"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "bad.sha256"
    path.write_text(
        f"# summary: bad\n# homepage: http://toy.example/\n# url: http://toy.example/{{name}}\n{line}\n"
    )
    with pytest.raises(DatasetError, match=words):
        manifests.read_manifest(path)


# Folders


def folder_of(path: Path, *, allow_partial: bool = False) -> Dataset:
    return find_dataset(f"folder:{path}", allow_partial=allow_partial)


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        'it\'s "quoted".png',
        "line\nbreak.png",
        "größe 画像 🙂.png",
        "-o.png",
        "$(id).png",
        "%s{}.PNG",
    ],
)
def test_any_file_name_that_is_text(tmp_path: Path, name: str) -> None:
    path = save_noise(tmp_path / name, 1)
    (image,) = folder_of(tmp_path).images
    assert (image.name, image.path, image.sha256) == (name, path, sha256(path))
    assert load_image(image.path).pixels.shape == (16, 24, 3)


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = save_noise(tmp_path / "ok.png", 1)
    path.rename(tmp_path / os.fsdecode(b"\xff.png"))
    with pytest.raises(DatasetError, match=r"'.*\\udcff\.png': the file name is not valid UTF-8: rename it"):
        folder_of(tmp_path)


def test_images_are_sorted_and_nothing_below_is_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.png", "a.jpg", "below/c.png", ".hidden.png"):
        save_noise(tmp_path / name, len(name))
    (tmp_path / "notes.txt").write_text("no image")
    found = folder_of(tmp_path)
    assert [image.name for image in found.images] == ["a.jpg", "b.png"]
    assert found.notes == ("skipped, no image suffix: 'notes.txt'",)
    assert (found.name, found.size, found.partial) == (f"folder:{tmp_path}", 2, False)


def test_the_same_file_twice_is_noted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_noise(tmp_path / name, 3)
    (tmp_path / "c.png").symlink_to("a.png")
    found = folder_of(tmp_path)
    assert len(found.images) == 3
    assert found.notes == ("the same file more than once: 'a.png', 'b.png', 'c.png'",)


def damaged_folder(folder: Path) -> dict[str, str]:
    """Fill `folder` with one sound image and files that cannot be used; return what is said of the latter."""
    sound = save_noise(folder / "sound.png", 1).read_bytes()
    photo = save_noise(folder / "photo.jpg", 2, 200, 200).read_bytes()
    (folder / "photo.jpg").unlink()
    flipped = bytearray(sound)
    flipped[len(flipped) // 2] ^= 1
    contents = {
        "empty.png": b"",
        "text.png": b"this is a text, not an image",
        "cut.png": sound[:-30],
        "flipped.png": bytes(flipped),
        "cut.jpg": photo[: len(photo) // 2],
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "lost.png").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.png")
    reasons = dict.fromkeys(contents, "no image that can be read") | {"empty.png": "the file is empty"}
    return reasons | {"lost.png": "a link that leads nowhere", "pipe.png": "no regular file"}


def test_every_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    reasons = damaged_folder(tmp_path)
    with pytest.raises(DatasetError) as caught:
        folder_of(tmp_path)
    lines = str(caught.value).splitlines()
    for name, reason in reasons.items():
        assert any(f"{name}': {reason}" in line for line in lines), name
    assert not any("sound.png" in line for line in lines)
    assert "--allow-partial leaves them out" in lines[-1]


def test_files_that_are_no_image_can_be_left_out(tmp_path: Path) -> None:
    reasons = damaged_folder(tmp_path)
    found = folder_of(tmp_path, allow_partial=True)
    assert [image.name for image in found.images] == ["sound.png"]
    assert (found.size, found.partial) == (1 + len(reasons), True)
    assert len([note for note in found.notes if note.startswith("excluded:")]) == len(reasons)


def test_too_many_pixels_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_noise(tmp_path / "large.png", 1, 100, 100)
    monkeypatch.setenv("BENCH_MAX_PIXELS", "9999")
    with pytest.raises(DatasetError, match=r"large\.png': .*10,000 pixels, over the limit of 9,999"):
        folder_of(tmp_path)


def test_absurd_pixels_and_sizes_are_found_before_a_run(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(30 << 30)
    header = b"IHDR" + struct.pack(">IIBBBBB", 9999, 9999, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(50))
    with pytest.raises(DatasetError) as caught:
        folder_of(tmp_path)
    assert "header.png': no image that can be read" in str(caught.value)
    assert "sparse.png': the file has 32,212,254,720 bytes, more than the 1,601,048,576" in str(caught.value)


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'folder:': give the path of a folder"):
        find_dataset("folder:")
    with pytest.raises(DatasetError, match=r"no images in '.*' \(it is empty\)"):
        folder_of(tmp_path)
    with pytest.raises(DatasetError, match=r"'.*nowhere' cannot be listed: No such file or directory"):
        folder_of(tmp_path / "nowhere")
    (tmp_path / "x.txt").touch()
    with pytest.raises(DatasetError, match=r"\(it holds 1 other file"):
        folder_of(tmp_path)
    (tmp_path / "below.png").mkdir()
    with pytest.raises(DatasetError, match=r"itself \(it holds 1 folder.*not searched\)"):
        folder_of(tmp_path)
    with pytest.raises(DatasetError, match=r"x\.txt' cannot be listed: Not a directory"):
        folder_of(tmp_path / "x.txt")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_images_of_any_mode_are_accepted(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    grey = PIL.Image.fromarray(np.arange(7 * 13, dtype=np.uint16).reshape(13, 7) * 700)
    image = grey if mode == "I;16" else PIL.Image.new("RGB", (7, 13), (10, 200, 30)).convert(mode)
    image.save(tmp_path / f"image.{suffix}")
    assert len(folder_of(tmp_path).images) == 1


def test_the_check_refuses_what_the_loader_refuses(tmp_path: Path) -> None:
    import tifffile

    for name, dtype in {"float.tif": np.float32, "deep.tif": np.uint32, "signed.tif": np.int16}.items():
        tifffile.imwrite(tmp_path / name, np.ones((8, 8), dtype))
    (tmp_path / "deep.pgm").write_bytes(b"P5 8 8 4095\n" + bytes(128))
    with pytest.raises(DatasetError) as caught:
        folder_of(tmp_path)
    lines = str(caught.value).splitlines()
    for name in ("float.tif", "deep.tif", "signed.tif"):
        with pytest.raises(ImageError) as refused:
            load_image(tmp_path / name)
        reason = str(refused.value).partition(": ")[2]
        assert any(f"{name}': no image that can be read: {reason}" in line for line in lines), name
    found = folder_of(tmp_path, allow_partial=True)
    assert ([image.name for image in found.images], found.size) == (["deep.pgm"], 4)
    assert (load_image(found.images[0].path).pixels == 0).all()


def test_a_byte_order_mark_is_no_part_of_a_manifest(tmp_path: Path) -> None:
    text = f"# summary: s\n# homepage: h\n# url: u/{{name}}\n{'0' * 64}  a.png  8x8\n"
    path = tmp_path / "m.sha256"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert manifests.read_manifest(path).summary == "s"
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(DatasetError, match=r"m\.sha256: is no UTF-8 text .*save it as UTF-8"):
        manifests.read_manifest(path)
