"""What SubprocessCodec owns: files, timeouts, the whole process group, output, provenance, failures."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.arrays import Image
from benchmark.codecs.base import check_number, collect_facts
from benchmark.codecs.process import TAIL_BYTES, SubprocessCodec
from benchmark.codecs.programs import Program
from benchmark.errors import (
    BitstreamError,
    CodecError,
    CodecTimeoutError,
    CodecUnavailableError,
    PointError,
    UsageError,
)

IMAGE: Image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def _program(name: str) -> Program:
    return Program((name,), "install the copier", ("--version",), r"copier (\S+)", "BENCH_COPY_DIR")


class CopyCodec(SubprocessCodec):
    """An honest codec whose programs copy a file; its scripts are what each test makes of them."""

    encoder = _program("copyenc")
    decoder = _program("copydec")
    stream_name = "stream.ppm"

    def check_point(self, point: float) -> None:
        check_number(self.name, "quality", point, 1, 2)

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        return [self.source_name, self.stream_name, f"{point:g}", f"{width}x{height}"]

    def decode_command(self) -> list[str]:
        return [self.stream_name, self.decoded_name]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both programs, copying; temporary files go to a folder that tests can look into."""
    folder = tmp_path / "programs with 'spaces'"
    folder.mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("BENCH_COPY_DIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("copyenc", "copydec"):
        _script(folder / name, 'cp "$1" "$2"')
    return folder


def _script(path: Path, body: str) -> None:
    version = 'if [ "$1" = --version ]; then echo "copier 1.2"; exit 3; fi'
    path.write_text(f"#!/bin/sh\n{version}\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def codec(programs: Path, tmp_path: Path) -> CopyCodec:
    return CopyCodec("copy", timeout_seconds=20)


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> object:
    """Whatever a test did, no temporary file outlives it."""
    yield
    assert not (tmp_path / "temporary").exists() or list((tmp_path / "temporary").iterdir()) == []


def _gone(pid: int) -> bool:
    """Whether a process has ended (a zombie, which nobody may reap in a container, has)."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.1)
    return False


def test_round_trip_and_provenance(codec: CopyCodec, programs: Path) -> None:
    with collect_facts() as facts:
        stream = codec.encode(IMAGE, 2)
        assert np.array_equal(codec.decode(stream), IMAGE)
    assert facts["encode_argv"] == ["copyenc", "source.ppm", "stream.ppm", "2", "7x5"]
    assert facts["decode_argv"] == ["copydec", "stream.ppm", "decoded.ppm"]
    assert facts["binary_sha256"] == hashlib.sha256((programs / "copyenc").read_bytes()).hexdigest()
    assert facts["decoder_sha256"] == hashlib.sha256((programs / "copydec").read_bytes()).hexdigest()


def test_the_argv_on_record_is_what_the_program_got(codec: CopyCodec, programs: Path, tmp_path: Path) -> None:
    body = f'tr "\\0" "\\n" < /proc/$$/cmdline > "{tmp_path}/seen"; cp "$1" "$2"'
    _script(programs / "copyenc", body)
    with collect_facts() as facts:
        codec.encode(IMAGE, 1)
    shell, script, *arguments = (tmp_path / "seen").read_text().splitlines()
    assert (shell, Path(script).name) == ("/bin/sh", "copyenc")
    assert arguments == facts["encode_argv"][1:]


def test_version_has_words_and_hash_and_follows_the_binary(codec: CopyCodec, programs: Path) -> None:
    before = codec.version()
    assert before.startswith("copyenc 1.2 [")
    _script(programs / "copyenc", 'cp "$1" "$2"; true')
    assert codec.version() != before


@pytest.mark.parametrize("how", ["returns", "hangs"])
def test_grandchildren_die_too(codec: CopyCodec, programs: Path, tmp_path: Path, how: str) -> None:
    """They hold the output pipe open: neither may the codec wait for them, nor may they live on."""
    end = 'cp "$1" "$2"' if how == "returns" else "wait"
    _script(programs / "copyenc", f'(sleep 300 & echo $! > "{tmp_path}/pid"; wait) &\nsleep 0.3\n{end}')
    codec.timeout_seconds = 20 if how == "returns" else 1
    start = time.monotonic()
    if how == "returns":
        codec.encode(IMAGE, 1)
    else:
        with pytest.raises(CodecTimeoutError, match="copyenc was stopped after 1 s"):
            codec.encode(IMAGE, 1)
    assert time.monotonic() - start < 10
    assert _gone(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_the_program_dies_with_a_killed_harness(programs: Path, tmp_path: Path) -> None:
    _script(programs / "copyenc", f'echo $$ > "{tmp_path}/pid"; exec sleep 300')
    harness = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_process import CopyCodec, IMAGE\n"
        "CopyCodec('copy').encode(IMAGE, 1)"
    )
    argv = [sys.executable, "-c", harness, str(Path(__file__).parent)]
    with subprocess.Popen(argv, env=os.environ | {"TMPDIR": str(tmp_path / "temporary")}) as process:
        for _ in range(200):
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
                break
            time.sleep(0.1)
        process.kill()
    assert _gone(int((tmp_path / "pid").read_text()))
    shutil.rmtree(tmp_path / "temporary")  # nobody was left to do it


def test_failure_shows_status_and_the_end_of_a_flood_of_output(codec: CopyCodec, programs: Path) -> None:
    flood = "head -c 5000000 /dev/zero | tr '\\0' 'x'; printf '\\n\\377 the reason\\n' >&2; exit 7"
    _script(programs / "copyenc", flood)
    with pytest.raises(CodecError, match=r"copyenc ended with status 7; .*the reason") as caught:
        codec.encode(IMAGE, 1)
    assert not isinstance(caught.value, BitstreamError)
    assert len(str(caught.value)) < TAIL_BYTES + 200


def test_a_crash_names_the_signal(codec: CopyCodec, programs: Path) -> None:
    _script(programs / "copydec", "kill -SEGV $$")
    with pytest.raises(BitstreamError, match="copydec was killed by SIGSEGV"):
        codec.decode(b"stream")


@pytest.mark.parametrize("body", ["echo done", 'echo done; : > "$2"'], ids=["no file", "empty file"])
def test_success_without_a_result_is_a_failure(codec: CopyCodec, programs: Path, body: str) -> None:
    for name in ("copyenc", "copydec"):
        _script(programs / name, body)
    with pytest.raises(CodecError, match="copyenc wrote no stream; it said: done"):
        codec.encode(IMAGE, 1)
    with pytest.raises(BitstreamError, match="copydec wrote no image; it said: done"):
        codec.decode(b"stream")


@pytest.mark.parametrize(
    "written", [b"garbage", b"P5 2 2 255\nabcd", b"P6 99999 99999 255\nxxx", b"P6 9 9 255\nx"]
)
def test_an_unusable_decoded_image_is_a_bitstream_error(codec: CopyCodec, written: bytes) -> None:
    with pytest.raises(BitstreamError, match="copy"):
        codec.decode(written)


def test_empty_stream_and_wrong_point_start_nothing(codec: CopyCodec, programs: Path, tmp_path: Path) -> None:
    for name in ("copyenc", "copydec"):
        _script(programs / name, f'touch "{tmp_path}/started"')
    with pytest.raises(BitstreamError, match="empty"):
        codec.decode(b"")
    with pytest.raises(PointError, match=r"quality 1\.5 does not exist; give a whole number from 1 to 2"):
        codec.encode(IMAGE, 1.5)
    assert not (tmp_path / "started").exists()


def test_a_missing_program_names_remedy_and_variable(
    codec: CopyCodec, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "copyenc").unlink()
    with pytest.raises(CodecUnavailableError, match=r"no copyenc below .*install the copier.*BENCH_COPY_DIR"):
        codec.version()
    monkeypatch.delenv("BENCH_COPY_DIR")
    with pytest.raises(CodecUnavailableError, match="no copyenc on PATH"):
        codec.encode(IMAGE, 1)


def test_programs_are_found_on_path_and_deep_below_bin(
    codec: CopyCodec, programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / "source" / "bin" / "umake" / "release"
    deep.parent.mkdir(parents=True)
    shutil.copytree(programs, deep)
    monkeypatch.setenv("BENCH_COPY_DIR", str(tmp_path / "source"))
    assert codec.encoder.path() == deep / "copyenc"
    monkeypatch.delenv("BENCH_COPY_DIR")
    monkeypatch.setenv("PATH", f"{deep}:{os.environ['PATH']}")
    assert np.array_equal(codec.decode(codec.encode(IMAGE, 1)), IMAGE)


def test_a_program_that_cannot_run_or_tells_no_version(codec: CopyCodec, programs: Path) -> None:
    (programs / "copyenc").write_text("#!/nowhere/interpreter\n")
    with pytest.raises(CodecUnavailableError, match="copyenc does not run here"):
        codec.version()
    (programs / "copyenc").write_text("#!/bin/sh\necho something else\n")
    with pytest.raises(CodecUnavailableError, match="does not tell its version; it said: something else"):
        codec.version()


def test_no_room_for_temporary_files_is_said(codec: CopyCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(CodecError, match=r"cannot work in /nowhere/at/all: No such file .* set TMPDIR"):
        codec.encode(IMAGE, 1)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_must_be_positive(seconds: float) -> None:
    with pytest.raises(UsageError, match="timeout_seconds"):
        CopyCodec("copy", timeout_seconds=seconds)


def test_interrupting_the_harness_kills_the_program(codec: CopyCodec, programs: Path, tmp_path: Path) -> None:
    _script(programs / "copyenc", f'echo $$ > "{tmp_path}/pid"; exec sleep 300')
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            codec.encode(IMAGE, 1)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert _gone(int((tmp_path / "pid").read_text()))
