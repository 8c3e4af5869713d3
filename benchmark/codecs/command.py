"""A codec that is two command lines: a program without a line of Python (see docs/extending.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

import PIL.Image

from benchmark.arrays import Image
from benchmark.codecs.base import CodecEntry, located
from benchmark.codecs.process import SubprocessCodec
from benchmark.codecs.programs import Program, file_sha256
from benchmark.errors import PointError, UsageError

COMMAND = CodecEntry(
    f"{__name__}:CommandCodec",
    "two command lines of your own, as a suite's `command` gives them (options: encode, decode)",
    "point",
    (),
    code_options=("encode", "decode", "version"),
)

_FILE = re.compile(r"\{(input|output)\}(\.\w+)?")
_REMEDY = "install it, or name it with its folder"


class CommandCodec(SubprocessCodec):
    """Programs that read and write files.

    `encode` and `decode` are argument lists. In them `{input}` and `{output}` are the files, to which an
    ending may be put, as in "{output}.jxl"; an image is PPM but where it ends in .png. `{point}`, `{width}`
    and `{height}` are numbers. Arguments that name files beside the suite, such as scripts, are found there,
    and their content is part of the version. `version` is the command line that makes the encoder tell its
    own; `point` says what a point is.
    """

    def __init__(
        self,
        name: str,
        encode: Sequence[str],
        decode: Sequence[str],
        *,
        point: str = "point",
        version: Sequence[str] = (),
        timeout_seconds: float = 3600.0,
    ) -> None:
        super().__init__(name, timeout_seconds)
        for what, argv in (("encode", encode), ("decode", decode)):
            _check(name, what, argv)
        self._encode, self._decode, self._version = list(encode), list(decode), list(version)
        self.encoder, self.decoder = _program(encode[0]), _program(decode[0])
        self.source_name = f"source{_ending(encode, 'input', '.ppm')}"
        self.stream_name = f"stream{_ending(encode, 'output', '.bin')}"
        self.decoded_name = f"decoded{_ending(decode, 'output', '.ppm')}"
        words = dict.fromkeys([*encode[1:], *decode[1:], *version[1:]])
        self._files = {word: located(word).resolve() for word in words if _is_file_of_suite(word)}
        self._point = point

    def version(self) -> str:
        """Return the programs' own words where they are asked for, and the start of all files' sha256."""
        files = [self.encoder.path(), self.decoder.path(), *self._files.values()]
        hashes = [f"{file.name} [{file_sha256(file)[:8]}]" for file in dict.fromkeys(files)]
        return ", ".join([*self._words(), *hashes])

    def _words(self) -> Iterator[str]:
        if self._version:
            argv = tuple(str(self._files.get(word, word)) for word in self._version[1:])
            program = _program(self._version[0], argv)
            yield program.identity()

    def check_point(self, point: float) -> None:
        """Raise PointError unless `point` is a number: which of them there are is the program's business."""
        if not (math.isfinite(point) and point >= 0):
            raise PointError(f"{self.name}: {self._point} {point:g} is no number from 0 up")

    def encode_command(self, point: float, width: int, height: int) -> list[str]:
        """Return the encoder's argv, from argument 1 on."""
        numbers = {"point": f"{point:g}", "width": str(width), "height": str(height)}
        return [_filled(word, self.source_name, self.stream_name, numbers) for word in self._encode[1:]]

    def decode_command(self) -> list[str]:
        """Return the decoder's argv, from argument 1 on."""
        return [_filled(word, self.stream_name, self.decoded_name, {}) for word in self._decode[1:]]

    def write_source(self, image: Image, path: Path) -> None:
        """Write PNG or PPM, as the file's name ends."""
        PIL.Image.fromarray(image).save(path, format="PNG" if path.suffix == ".png" else "PPM")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with super()._folder() as folder:
            for word, file in self._files.items():
                (folder / word).parent.mkdir(parents=True, exist_ok=True)
                (folder / word).symlink_to(file)
            yield folder


def _check(name: str, what: str, argv: object) -> None:
    """Raise UsageError unless `argv` is a command line that names what it reads and writes."""
    if not (isinstance(argv, Sequence) and argv and all(isinstance(word, str) for word in argv)):
        raise UsageError(f"{name}: {what} = {argv!r}; give the program and its arguments as a list of texts")
    for file in ("input", "output"):
        if not any(f"{{{file}}}" in word for word in argv[1:]):
            raise UsageError(f"{name}: {what} does not say where {{{file}}} goes: {' '.join(argv)}")


def _program(word: str, version_argv: tuple[str, ...] = ()) -> Program:
    found = str(located(word).resolve()) if "/" in word else word
    return Program((found,), _REMEDY, version_argv, r"(\S.*)")


def _ending(argv: Sequence[str], file: str, otherwise: str) -> str:
    """Return the ending that a command line gives a file."""
    endings = (match[2] for word in argv for match in _FILE.finditer(word) if match[1] == file)
    return next((ending for ending in endings if ending), otherwise)


def _filled(word: str, source: str, target: str, numbers: dict[str, str]) -> str:
    files = {"input": source, "output": target}
    filled = _FILE.sub(lambda found: files[found[1]], word)
    for name, number in numbers.items():
        filled = filled.replace(f"{{{name}}}", number)
    return filled


def _is_file_of_suite(word: str) -> bool:
    path = PurePath(word)
    return not path.is_absolute() and ".." not in path.parts and located(word).is_file()
