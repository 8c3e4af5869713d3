"""Codecs of a package of their own that misbehave: in process as the option `does` says, or as programs."""

from __future__ import annotations

import decimal
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from benchmark.arrays import Image
from benchmark.codecs import CodecEntry
from benchmark.codecs.base import Codec, note
from benchmark.codecs.process import SubprocessCodec
from benchmark.codecs.programs import Program

MARK = 255
"""An image whose first pixel is all MARK is the one on which the codec misbehaves."""


def _raise(error: BaseException) -> None:
    raise error


class _NoWordsError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("an exception without words")


def _nested(depth: int) -> list[object]:
    nest: list[object] = []
    for _ in range(depth):
        nest = [nest]
    return nest


def _leak() -> None:
    import torch

    os.chdir("/")
    np.seterr(all="raise")
    torch.set_num_threads(7)
    os.environ["WILD"] = "left"
    os.umask(0)
    decimal.getcontext().prec = 5
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _tell() -> None:
    import torch

    umask = os.umask(0)
    os.umask(umask)
    note(
        folder=str(Path.cwd()),
        threads=torch.get_num_threads(),
        divide=np.geterr()["divide"],
        wild=os.environ.get("WILD"),
        umask=umask,
        precision=decimal.getcontext().prec,
        terminating=callable(signal.getsignal(signal.SIGTERM)),
    )


def _detached_child() -> None:
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with Path(os.environ["WILD_PIDS"]).open("a") as file:
        file.write(f"{child.pid}\n")
    child.returncode = 0  # nobody waits for it


DOES: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "fail if told": lambda: _raise(ValueError("as told")) if "WILD_FAILS" in os.environ else None,
    "exit": lambda: sys.exit(0),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "generator exit": lambda: _raise(GeneratorExit()),
    "no words": lambda: _raise(_NoWordsError()),
    "a surrogate": lambda: _raise(OSError("no such image: caf\udce9/a.png")),
    "escape": lambda: _raise(ValueError("\x1b[2J\x9b")),
    "hard exit 0": lambda: os._exit(0),
    "hard exit 3": lambda: os._exit(3),
    "note a word": lambda: note(entropy_bits="many"),
    "note a numpy scalar": lambda: note(entropy_bits=np.float32(1.5), levels=np.int64(8)),
    "note not a number": lambda: note(entropy_bits=float("nan")),
    "note a nest": lambda: note(nest=_nested(3000)),
    "note a surrogate": lambda: note(file="caf\udce9", binary_sha256="caf\udce9"),
    "take memory": lambda: note(taken=int(np.ones(1 << 31, np.uint8).sum())),
    "leak": _leak,
    "tell the state": _tell,
    "sleep": lambda: time.sleep(600),
    "leave a child": _detached_child,
}


class WildCodec(Codec):
    """PNG; see the module."""

    def __init__(self, name: str, does: str = "nothing", seconds: float = 0.0) -> None:
        self.name = name
        self._does = does
        self._seconds = seconds

    def version(self) -> str:
        if self._does == "exit at once":
            sys.exit(0)
        return "1"

    def check_point(self, point: float) -> None:
        pass

    def encode(self, image: Image, point: float) -> bytes:
        if image.shape[0] > 64:  # not the warm-up
            time.sleep(self._seconds)
            if np.all(image[0, 0] == MARK):
                DOES[self._does]()
            if log := os.environ.get("WILD_LOG"):
                with Path(log).open("a") as file:
                    file.write("coded\n")
        out = io.BytesIO()
        PIL.Image.fromarray(image // 8 * 8).save(out, "PNG")
        return out.getvalue()

    def decode(self, bitstream: bytes) -> Image:
        return np.array(PIL.Image.open(io.BytesIO(bitstream)))


def _program(name: str) -> Program:
    return Program((name,), "no remedy", ("--version",), r"copier (\S+)", "WILD_PROGRAMS")


class CopyCodec(SubprocessCodec):
    """A codec whose programs copy a file, after what a test adds to them."""

    encoder = _program("copyenc")
    decoder = _program("copydec")
    stream_name = "stream.ppm"

    def check_point(self, point: float) -> None:
        pass

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        return [self.source_name, self.stream_name, f"{point:g}", f"{width}x{height}"]

    def decode_command(self) -> list[str]:
        return [self.stream_name, self.decoded_name]


COPY = CodecEntry("wild:CopyCodec", "for tests", "point", (1.0,))
ENTRY = CodecEntry("wild:WildCodec", "for tests", "point", (1.0,))
