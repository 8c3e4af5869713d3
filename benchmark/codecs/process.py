"""Codecs that run as processes: a codec adds its command lines, everything around them is done here."""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile

from benchmark.arrays import Image
from benchmark.codecs.base import Codec, note
from benchmark.codecs.programs import Program, file_sha256
from benchmark.errors import (
    BitstreamError,
    CodecError,
    CodecTimeoutError,
    CodecUnavailableError,
    ImageError,
    UsageError,
)
from benchmark.files import printable
from benchmark.images import check_image, decode_image, open_checked, pixel_limit

HEVC_QPS = (47, 42, 37, 32, 27, 22, 17, 12)
"""The default points of HEVC and its kin, whose QPs mean about the same, quality rising."""

MOST_SECONDS = 366 * 24 * 3600
"""The longest time limit of a program: a year."""

MOST_TIMES_LARGER = 4
"""How many times larger than the image, of 3 bytes a pixel, a stream may be: more is no coding."""
_HEADER_BYTES = 1 << 20
_PNG_DEPTH_AT = 24

TAIL_BYTES = 8192
"""How much of a program's output is kept, from its end; an error message shows the last lines of it."""
_TAIL_LINES = 5


class SubprocessCodec(Codec):
    """A codec whose encoder and decoder are programs.

    A subclass names the programs and gives the two command lines, in the names of `source_name`,
    `stream_name` and `decoded_name`, which lie in a private folder that is the programs' working directory
    and is removed whatever happens. Argument 0 is the program's name, so that the argv on record is the
    exact one and the same on every machine; the binaries' sha256 say which programs they were.

    The time of `encode` and `decode` includes starting the program and passing files, as in every harness
    that runs these codecs.
    """

    encoder: Program
    decoder: Program
    source_name: str = "source.ppm"
    stream_name: str
    decoded_name: str = "decoded.ppm"

    def __init__(self, name: str, timeout_seconds: float = 3600.0) -> None:
        if not 0 < timeout_seconds <= MOST_SECONDS:
            raise UsageError(
                f"{name}: timeout_seconds is {timeout_seconds:g}; give a number above 0, at most a year"
            )
        self.name = name
        self.timeout_seconds = timeout_seconds

    @abstractmethod
    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return the encoder's argv, from argument 1 on."""

    @abstractmethod
    def decode_command(self) -> list[str]:
        """Return the decoder's argv, from argument 1 on."""

    def settings(self) -> str:
        """Return what beside the binaries shapes the stream, for the version."""
        return ""

    def write_source(self, image: Image, path: Path) -> None:
        """Write the encoder's input; PPM unless a codec needs something else."""
        PIL.Image.fromarray(image).save(path, format="PPM")

    def payload(self, bitstream: bytes) -> bytes:
        """Return the decoder's input: the whole bitstream, unless the codec put something before it."""
        return bitstream

    def read_decoded(self, path: Path, bitstream: bytes) -> Image:
        """Read the decoder's output; PPM or PNG unless a codec writes something else.

        Samples of another depth than 8 bits are converted as those of a source are, which is noted.
        """
        data = path.read_bytes()
        with open_checked(data, ["PPM", "PNG"], pixel_limit()) as file:
            if file.mode != "RGB":
                raise BitstreamError(f"{self.name}: the stream holds {file.mode}, not RGB")
            if not _has_other_depth(file, data):
                return np.array(file, dtype=np.uint8)
        loaded = decode_image(data)
        note(decoded_conversions=list(loaded.conversions))
        return loaded.pixels

    def version(self) -> str:
        """Return the programs' own words, the start of their sha256, and the codec's settings."""
        words = [self.encoder.identity(), self.decoder.identity(), self.settings()]
        return ", ".join(word for word in words if word)

    def encode(self, image: Image, point: float) -> bytes:
        """Return what the encoder wrote. Raises CodecError with the end of its output if it failed."""
        self.check_point(point)
        check_image(image)
        height, width = image.shape[:2]
        with self._folder() as folder:
            self.write_source(image, folder / self.source_name)
            self.stage(folder)
            argv = [self.encoder.name, *self.encode_command(point, width, height)]
            note(encode_argv=argv, binary_sha256=file_sha256(self.encoder.path()))
            output = self._run(self.encoder, argv, folder, CodecError)
            stream = folder / self.stream_name
            if not stream.is_file() or (found_bytes := stream.stat().st_size) == 0:
                raise CodecError(f"{self.name}: {argv[0]} wrote no stream; it said: {output}")
            if found_bytes > MOST_TIMES_LARGER * image.nbytes + _HEADER_BYTES:
                raise CodecError(
                    f"{self.name}: {argv[0]} wrote a stream of {found_bytes:,} bytes, more than "
                    f"{MOST_TIMES_LARGER} times the image"
                )
            return stream.read_bytes()

    def decode(self, bitstream: bytes) -> Image:
        """Return what the decoder made. Raises BitstreamError with the end of its output if it refused."""
        if not bitstream:
            raise BitstreamError(f"{self.name}: the stream is empty")
        with self._folder() as folder:
            (folder / self.stream_name).write_bytes(self.payload(bitstream))
            argv = [self.decoder.name, *self.decode_command()]
            note(decode_argv=argv, decoder_sha256=file_sha256(self.decoder.path()))
            output = self._run(self.decoder, argv, folder, BitstreamError)
            decoded = folder / self.decoded_name
            if not decoded.is_file() or (found_bytes := decoded.stat().st_size) == 0:
                raise BitstreamError(f"{self.name}: {argv[0]} wrote no image; it said: {output}")
            if found_bytes > most_file_bytes():
                raise BitstreamError(
                    f"{self.name}: {argv[0]} wrote an image of {found_bytes:,} bytes, more than any may have"
                )
            try:
                return self.read_decoded(decoded, bitstream)
            except BitstreamError:
                raise
            except (OSError, SyntaxError, ValueError, ImageError) as error:
                raise BitstreamError(f"{self.name}: {argv[0]} wrote no usable image: {error}") from error

    def stage(self, folder: Path) -> None:
        """Put what the encoder needs beside its input, such as a configuration."""

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A private folder, removed afterwards; a full or read-only disk becomes a CodecError."""
        try:
            with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
                yield Path(folder)
        except OSError as error:
            raise CodecError(
                f"{self.name}: cannot work in {tempfile.gettempdir()}: {error.strerror or error}; "
                "free space there or set TMPDIR"
            ) from error

    def _run(self, program: Program, argv: Sequence[str], folder: Path, failure: type[CodecError]) -> str:
        """Run `program`; return the end of its output. Raises `failure`, or CodecTimeoutError."""
        try:
            code, output = run_bounded(argv, program.path(), folder, self.timeout_seconds)
        except TimeoutError as error:
            raise CodecTimeoutError(
                f"{self.name}: {argv[0]} was stopped after {self.timeout_seconds:g} s ({error})"
            ) from error
        tail = " | ".join(output.split("\n")[-_TAIL_LINES:]) or "nothing"
        if code:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            if code == -signal.SIGXFSZ:
                how += f": it wrote a file of more than {most_file_bytes():,} bytes"
            raise failure(f"{self.name}: {argv[0]} {how}; it said: {tail}")
        return tail


def _has_other_depth(file: PIL.ImageFile.ImageFile, data: bytes) -> bool:
    """Whether samples have not 8 bits, which Pillow would round without a word."""
    if file.format == "PNG":
        return data[_PNG_DEPTH_AT] != 8
    return file.tile[0][0] != "raw"  # of PPM, what has another maximum than 255 goes through a decoder


def most_file_bytes() -> int:
    """Return how many bytes a file of a program may have: 8 for each pixel of the largest image."""
    return 8 * pixel_limit() + _HEADER_BYTES


def _limit_files(process: int) -> None:
    """Let a program end by SIGXFSZ where it writes a file larger than any that is read."""
    with suppress(OSError, ValueError):  # it has ended already, or has a lower limit
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most_file_bytes(), most_file_bytes()))


def run_bounded(argv: Sequence[str], binary: Path, folder: Path, timeout_seconds: float) -> tuple[int, str]:
    """Run `binary` as `argv` in `folder`; return its exit status and the end of stdout and stderr together.

    The program gets its own process group, which is killed in every case, so that nothing it started
    outlives it; where util-linux's setpriv exists it is killed, too, when this process dies. It is killed
    when a file that it writes becomes larger than `most_file_bytes`.
    Raises TimeoutError, with the end of the output, and CodecUnavailableError if it cannot be started.
    """
    guard = shutil.which("setpriv")
    # Found by its name through PATH, not by its path, so that argument 0 stays what is on record.
    environment = os.environ | {
        "LC_ALL": "C",
        "PATH": f"{binary.parent}:{os.environ.get('PATH', os.defpath)}",
    }
    command = [guard, "--pdeathsig", "KILL", "--", *argv] if guard else list(argv)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise CodecUnavailableError(f"{binary} cannot be started: {error.strerror}") from error
    _limit_files(process.pid)
    assert process.stdout is not None
    tail = _Tail(process.stdout.fileno())
    with process.stdout:
        try:
            ended = _wait(process.pid, tail, time.monotonic() + timeout_seconds)
        finally:
            # The group's leader is not reaped yet, so the number cannot belong to a stranger.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        tail.drain()
    if not ended:
        raise TimeoutError(f"it said: {tail.text() or 'nothing'}")
    return process.returncode, tail.text()


def _wait(pid: int, tail: _Tail, deadline: float) -> bool:
    """Collect output until process `pid` ends; return whether it did before `deadline`."""
    child = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child, selectors.EVENT_READ)
            selector.register(tail.pipe, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in selector.select(left)}
                if tail.pipe in ready and not tail.read():
                    selector.unregister(tail.pipe)  # closed by a program that runs on
                if child in ready:
                    return True
        return False
    finally:
        os.close(child)


class _Tail:
    """The end of what comes out of a pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._kept = bytearray()
        os.set_blocking(pipe, False)

    def read(self) -> bool:
        """Take what is there; return False when every writer has closed the pipe."""
        try:
            chunk = os.read(self.pipe, 65536)
        except BlockingIOError:
            return True
        self._kept += chunk
        del self._kept[:-TAIL_BYTES]
        return bool(chunk)

    def drain(self) -> None:
        """Take what is left in the pipe, at most its capacity: nobody in the group lives to write more."""
        for _ in range(16):
            if not self.read():
                break

    def text(self) -> str:
        """Return the kept end as text without blank lines."""
        lines = self._kept.decode("utf-8", "replace").splitlines()
        return printable("\n".join(line.strip() for line in lines if line.strip()))
