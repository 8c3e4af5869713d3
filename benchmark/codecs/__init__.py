"""The registry of codecs: a line for each, imported only when it is used."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args, get_type_hints

from benchmark.codecs.base import Codec, CodecEntry, seen_from
from benchmark.errors import CodecUnavailableError, NeedsOptionsError, UsageError
from benchmark.registry import Registry, load_target, names_file, target_sha256
from benchmark.torchvision_stub import with_compressai_importable

__all__ = ["CODECS", "CodecEntry", "codec_entry", "make_codec", "takes_option"]

_BUILTIN = {
    "null": "benchmark.codecs.null:NULL",
    "jpeg": "benchmark.codecs.pillow:JPEG",
    "webp": "benchmark.codecs.pillow:WEBP",
    "jpeg2000": "benchmark.codecs.pillow:JPEG2000",
    "avif": "benchmark.codecs.pillow:AVIF",
    "avif-iq": "benchmark.codecs.pillow:AVIF_IQ",
    "jpegxl": "benchmark.codecs.jpegxl:JPEGXL",
    "cjxl": "benchmark.codecs.cjxl:CJXL",
    "bpg": "benchmark.codecs.bpg:BPG",
    "vtm": "benchmark.codecs.jvet:VTM",
    "hm": "benchmark.codecs.jvet:HM",
    "compressai": "benchmark.zoo.codec:COMPRESSAI",
    "command": "benchmark.codecs.command:COMMAND",
}


def _learned() -> Mapping[str, CodecEntry]:
    """Return the learned codecs, reached by name as any target is: their room stands on this one."""
    entries: Mapping[str, CodecEntry] = importlib.import_module("benchmark.learned.entries").entries()
    return entries


CODECS = Registry[CodecEntry](
    what="codec",
    group="bench.codecs",
    form="benchmark.codecs.CodecEntry",
    accepts=lambda entry: isinstance(entry, CodecEntry),
    builtin=_BUILTIN,
    more=_learned,
    unavailable=CodecUnavailableError,
)
"""Every codec known here: the table, the learned ones, then what other packages add by entry point."""


def codec_entry(name: str, folder: Path = Path()) -> CodecEntry:
    """Return the registry's entry of `name`, or of "file.py:Class", whose path is seen from `folder`.

    Raises UsageError, with near names, if there is none, CodecUnavailableError if it cannot be loaded here.
    """
    if not names_file(name):
        return CODECS.find(name)
    found = _of_file(name, folder)
    if isinstance(found, CodecEntry):
        return found
    summary = (inspect.getdoc(found) or "").split("\n")[0]
    points = tuple(float(point) for point in getattr(found, "points", ()))
    return CodecEntry(name, summary, getattr(found, "point_name", "point"), points)


def _of_file(target: str, folder: Path) -> object:
    """Return what a file of the user's defines. Raises UsageError, whatever is wrong with it."""
    with_compressai_importable()
    try:
        return load_target(target, folder)
    except Exception as error:
        raise UsageError(f"codec {target!r} cannot be loaded: {type(error).__name__}: {error}") from error


def make_codec(name: str, options: Mapping[str, Any] | None = None, folder: Path = Path()) -> Codec:
    """Make the codec `name`, its default options overridden by `options`; paths are seen from `folder`.

    Raises UsageError for an unknown name, an option that the codec does not take or one that is not of the
    type that its constructor names, NeedsOptionsError where one is missing, CodecUnavailableError if its
    entry point, module or class cannot be imported here.
    """
    entry = codec_entry(name, folder)
    if names_file(entry.target):
        return _made_by_file(name, entry.target, options or {}, folder)
    with_compressai_importable()
    try:
        factory = cast(Callable[..., Codec], load_target(entry.target))
    except (ImportError, AttributeError, ValueError) as error:
        raise CodecUnavailableError(
            f"codec {name!r} cannot be loaded from {entry.target}: {error}"
        ) from error
    given = {**entry.options, **(options or {})}
    parameters = inspect.signature(factory).parameters
    known = sorted(set(parameters) - {"name"})
    if needed := [option for option in known if _is_required(parameters[option]) and option not in given]:
        raise NeedsOptionsError(
            f"codec {name!r} needs the options {', '.join(needed)}: --option {needed[0]}=VALUE, in a suite "
            f"options = {{ {needed[0]} = VALUE }}"
        )
    mistyped = _mistyped(name, factory, options or {})
    try:
        with seen_from(folder):
            codec = factory(name=name, **given)  # its own words come first
    except TypeError as error:
        problem = "; ".join(_not_an_option(option, known) for option in given if option not in known)
        raise UsageError(
            mistyped
            or f"codec {name!r} does not take these options: {problem or error}; its options: "
            f"{', '.join(known) or 'none'}"
        ) from error
    if mistyped:
        raise UsageError(mistyped)
    return codec


def takes_option(name: str, option: str, folder: Path = Path()) -> bool:
    """Whether the codec `name` has an option of that name; not of files of users, whose code says it itself.

    Raises UsageError for an unknown name.
    """
    entry = codec_entry(name, folder)
    if names_file(entry.target):
        return False
    with_compressai_importable()
    try:
        factory = cast(Callable[..., Codec], load_target(entry.target))
    except (ImportError, AttributeError, ValueError):
        return False
    return option in inspect.signature(factory).parameters


def _mistyped(name: str, factory: Callable[..., Codec], options: Mapping[str, Any]) -> str:
    """Return what is wrong with the first option that is not of its type; empty if there is none."""
    for option, hint in _hints(factory).items():
        if option in options and not _fits(options[option], hint):
            wanted = "finite number" if hint is float else getattr(hint, "__name__", hint)
            return f"codec {name!r}, option {option}: {options[option]!r} is no {wanted}"
    return ""


def _made_by_file(name: str, target: str, options: Mapping[str, Any], folder: Path) -> Codec:
    """Return the codec of a file of the user's. Raises UsageError, whatever is wrong with file or options."""
    factory = _of_file(target, folder)
    make = cast(Callable[..., Codec], load_target("benchmark.zoo.own:own_codec"))
    try:
        with seen_from(folder):
            return make(name, factory, options, target_sha256(target, folder))
    except (TypeError, ValueError) as error:
        raise UsageError(f"codec {name!r}: {error}") from error


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty and parameter.kind not in (
        Parameter.VAR_POSITIONAL,
        Parameter.VAR_KEYWORD,
    )


def _not_an_option(option: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(option, known, n=1)
    return f"unknown {option!r}{f' (did you mean {near[0]!r}?)' if near else ''}"


def _hints(factory: Callable[..., Codec]) -> dict[str, Any]:
    """Return the types that a constructor gives its parameters; none if they cannot be found out."""
    try:
        return get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError):  # names that a stranger imports for type checkers alone
        return {}


def _fits(value: object, hint: object) -> bool:
    """Whether a value of a suite is of a type: 1 is a float and "a" a text, but 3.0, true and inf no int."""
    if isinstance(hint, UnionType):
        return any(_fits(value, kind) for kind in get_args(hint))
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) else True
