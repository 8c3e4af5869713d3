"""The registry of codecs: a line for each, imported only when it is used."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Any, cast, get_args, get_type_hints

from benchmark.codecs.base import Codec, CodecEntry
from benchmark.errors import CodecUnavailableError, UsageError
from benchmark.registry import Registry, load_target

__all__ = ["CODECS", "CodecEntry", "codec_entry", "make_codec"]

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


def codec_entry(name: str) -> CodecEntry:
    """Return the registry's entry of `name`.

    Raises UsageError, with near names, if there is none, CodecUnavailableError if it cannot be loaded here.
    """
    return CODECS.find(name)


def make_codec(name: str, options: Mapping[str, Any] | None = None) -> Codec:
    """Make the codec `name`, its default options overridden by `options`.

    Raises UsageError for an unknown name, an option that the codec does not take or one that is not of the
    type that its constructor names, CodecUnavailableError if its entry point, module or class cannot be
    imported here.
    """
    entry = codec_entry(name)
    try:
        factory = cast(Callable[..., Codec], load_target(entry.target))
    except (ImportError, AttributeError, ValueError) as error:
        raise CodecUnavailableError(
            f"codec {name!r} cannot be loaded from {entry.target}: {error}"
        ) from error
    given = {**entry.options, **(options or {})}
    known = sorted(set(inspect.signature(factory).parameters) - {"name"})
    mistyped = _mistyped(name, factory, options or {})
    try:
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


def _mistyped(name: str, factory: Callable[..., Codec], options: Mapping[str, Any]) -> str:
    """Return what is wrong with the first option that is not of its type; empty if there is none."""
    for option, hint in _hints(factory).items():
        if option in options and not _fits(options[option], hint):
            wanted = "finite number" if hint is float else getattr(hint, "__name__", hint)
            return f"codec {name!r}, option {option}: {options[option]!r} is no {wanted}"
    return ""


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
