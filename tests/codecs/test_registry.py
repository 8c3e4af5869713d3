"""The registry: names, options, and codecs that other packages add, built from the example in the docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from harness import ROOT, bench_in, doc_block, install_package

from benchmark.arrays import Image
from benchmark.codecs import CODECS, CodecEntry, codec_entry, make_codec
from benchmark.codecs.base import Codec
from benchmark.errors import BitstreamError, CodecUnavailableError, UsageError
from benchmark.images import save_png
from benchmark.results.store import read_results

IMAGE: Image = np.random.default_rng(0).integers(0, 256, (20, 33, 3), dtype=np.uint8)


def _bench(site: Path, *arguments: str) -> str:
    """Return what the command prints where the packages in `site` are installed."""
    return bench_in(site, *arguments).stdout


def _install_uniform(site: Path) -> None:
    """Install the example of docs/extending.md under the entry point that its pyproject.toml has."""
    project = tomllib.loads(doc_block("toml", "bench.codecs"))["project"]
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["bench.codecs"].items()]
    source = doc_block("python", "class UniformCodec")
    install_package(site, "uniform_codec", source, "[bench.codecs]\n" + "\n".join(lines) + "\n")


def test_the_documented_package_is_in_the_registry_and_works(site: Path) -> None:
    _install_uniform(site)
    assert codec_entry("uniform").points == (2, 3, 4, 5, 6)
    codec = make_codec("uniform", {"level": 1})
    stream = codec.encode(IMAGE, 4)
    assert np.abs(codec.decode(stream).astype(int) - IMAGE).max() <= 8
    assert np.array_equal(codec.decode(codec.encode(IMAGE, 8)), IMAGE)
    for damaged in (b"", stream[:5], stream[:-1], stream[:8] + b"\x09" + stream[9:], b"x" + stream):
        with pytest.raises(BitstreamError):
            codec.decode(damaged)


def test_the_documented_package_passes_list_and_runs_in_a_suite(site: Path, tmp_path: Path) -> None:
    _install_uniform(site)
    (tmp_path / "photographs").mkdir()
    save_png(IMAGE, tmp_path / "photographs" / "a.png")
    (tmp_path / "mine.toml").write_text(doc_block("toml", "folder:photographs"))
    assert re.search(r"^\W*uniform\b.*zlib", _bench(site, "list", "codecs"), re.MULTILINE)
    _bench(site, "run", "suite", "mine.toml")
    rows = read_results(tmp_path / "results" / "mine")
    assert set(rows["status"]) == {"ok"}
    assert rows.groupby("codec").size().to_dict() == {"jpeg": 4, "uniform": 5, "uniform-fast": 5}
    assert set(rows[rows["codec"] == "uniform-fast"]["codec_id"]) == {"uniform"}
    assert set(rows[rows["codec"] == "uniform-fast"]["codec_version"]) == {"1.0, zlib level 1"}


def test_the_documented_program_codec_works() -> None:
    namespace: dict[str, type[Codec]] = {}
    exec(doc_block("python", "class CjpegCodec"), namespace)
    codec = namespace["CjpegCodec"](name="cjpeg")  # type: ignore[call-arg]
    if shutil.which("cjpeg") is None:
        with pytest.raises(CodecUnavailableError, match="libjpeg-turbo-progs"):
            codec.version()
        return
    assert "cjpeg" in codec.version()
    assert codec.decode(codec.encode(IMAGE, 90)).shape == IMAGE.shape


def test_a_name_that_exists_is_refused_to_the_second(site: Path) -> None:
    source = "from benchmark.codecs import CodecEntry\nENTRY = CodecEntry('a:B', '', 'q', (1, 2))\n"
    install_package(site, "rival", source, "[bench.codecs]\njpeg = rival:ENTRY\n")
    reason = r"jpeg = rival:ENTRY of rival adds .*exists already; rename it"
    with pytest.raises(CodecUnavailableError, match=reason):
        codec_entry("jpeg of rival")
    assert "Pillow" in codec_entry("jpeg").summary
    assert re.search(rf"^jpeg of rival .*{reason}", _bench(site, "list", "codecs"), re.MULTILINE)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("ENTRY = 3", "is no benchmark.codecs.CodecEntry"),
        ("import no_such_module", "cannot be loaded .*no_such_module.*uninstall"),
        ("1 / 0", "cannot be loaded .*ZeroDivisionError"),
    ],
)
def test_a_broken_package_is_named(site: Path, source: str, reason: str) -> None:
    install_package(site, "broken", source + "\n", "[bench.codecs]\nmine = broken:ENTRY\n")
    with pytest.raises(CodecUnavailableError, match=f"'mine': .*mine = broken:ENTRY of broken {reason}"):
        make_codec("mine")
    assert re.search(
        rf"^mine .*not available: .*of broken {reason}", _bench(site, "list", "codecs"), re.MULTILINE
    )
    health = _bench(site, "doctor")
    assert re.search(rf"^  -- +mine .*of broken {reason}", health, re.MULTILINE)
    assert re.search(r"^  ok +jpeg ", health, re.MULTILINE)


@pytest.mark.parametrize("target", ["no_such_module:Codec", "benchmark.codecs.null:NoSuch", "benchmark"])
def test_a_target_that_cannot_be_loaded_makes_the_codec_unavailable(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CodecEntry(target, "", "quality", (1, 2))
    monkeypatch.setattr(CODECS, "more", lambda: {"mine": entry})
    with pytest.raises(CodecUnavailableError, match=f"'mine' cannot be loaded from {target}"):
        make_codec("mine")


def test_unknown_names_offer_near_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown codec 'jpgxl'; did you mean .*'jpegxl'"):
        make_codec("jpgxl")
    with pytest.raises(UsageError, match="unknown codec 'zzz'; known: "):
        codec_entry("zzz")


@pytest.mark.parametrize(
    ("asked", "absent"),
    [
        ("CODECS.names()", "{'torch', 'numba', 'pyarrow', 'PIL', 'benchmark.learned.codec'}"),
        ("list(CODECS.items())", "{'torch', 'numba', 'pyarrow', 'benchmark.learned.codec'}"),
    ],
)
def test_the_registry_imports_no_codec(asked: str, absent: str) -> None:
    """`bench list` must answer at once: codecs are imported when they are used."""
    program = (
        f"import sys; from benchmark.codecs import CODECS; {asked}\n"
        f"assert not {absent} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)
