"""The registry of codecs: a table of names, each imported only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from benchmark.codecs.base import Codec
from benchmark.errors import CodecUnavailableError, UsageError, did_you_mean

ENTRY_POINT_GROUP = "bench.codecs"


@dataclass(frozen=True)
class CodecEntry:
    """One line of the registry.

    `target` is "module:Class"; `Class(name=..., **options)` makes the codec. `point_name` says what an
    operating point means ("quality", "QP", "lmbda"), `points` are the default ones in rising quality.
    """

    target: str
    summary: str
    point_name: str
    points: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    """Why the entry point that adds this codec cannot be used, with the remedy, if it cannot."""


_QP = (47, 42, 37, 32, 27, 22, 17, 12)
_QUALITY = tuple(range(5, 100, 5))
_LMBDA = (0.0035, 0.0067, 0.013, 0.025)

_BUILTIN: dict[str, CodecEntry] = {
    "null": CodecEntry(
        "benchmark.codecs.null:NullCodec",
        "colour conversion there and back, no compression: the conversion floor",
        "bit depth",
        (8, 10),
    ),
    "jpeg": CodecEntry(
        "benchmark.codecs.pillow:JpegCodec", "JPEG by Pillow (libjpeg-turbo)", "quality", _QUALITY
    ),
    "webp": CodecEntry("benchmark.codecs.pillow:WebpCodec", "WebP by Pillow (libwebp)", "quality", _QUALITY),
    "jpeg2000": CodecEntry(
        "benchmark.codecs.pillow:Jpeg2000Codec",
        "JPEG 2000 by Pillow (OpenJPEG)",
        "compression ratio",
        (200, 150, 100, 75, 50, 35, 25, 15, 10, 8, 6),
    ),
    "avif": CodecEntry("benchmark.codecs.pillow:AvifCodec", "AVIF by Pillow (libavif)", "quality", _QUALITY),
    "jpegxl": CodecEntry(
        "benchmark.codecs.jpegxl:JpegXlCodec",
        "JPEG XL by cjxl and djxl",
        "distance",
        (10, 8, 6, 4.5, 3.5, 2.5, 1.8, 1.2, 0.8, 0.5),
    ),
    "bpg": CodecEntry("benchmark.codecs.bpg:BpgCodec", "BPG 4:4:4 by bpgenc and bpgdec (x265)", "QP", _QP),
    "vtm": CodecEntry(
        "benchmark.codecs.jvet:VtmCodec", "VVC intra 4:4:4 10-bit by the VTM reference software", "QP", _QP
    ),
    "hm": CodecEntry(
        "benchmark.codecs.jvet:HmCodec", "HEVC intra 4:4:4 10-bit by the HM reference software", "QP", _QP
    ),
}


def _learned(summary: str, **options: object) -> CodecEntry:
    return CodecEntry("benchmark.learned.codec:LearnedCodec", summary, "lmbda", _LMBDA, options)


_BUILTIN |= {
    "baseline": _learned(
        "mean-scale hyperprior, uniform scalar quantization", arm="baseline", quantizer="scalar"
    ),
    "baseline-rdoq": _learned(
        "baseline weights, rate-distortion-optimized scalar quantization", arm="baseline", quantizer="rdoq"
    ),
    "baseline-tcq4": _learned(
        "baseline weights, trellis-coded quantization, 4 states", arm="baseline", quantizer="tcq4"
    ),
    "baseline-tcq8": _learned(
        "baseline weights, trellis-coded quantization, 8 states", arm="baseline", quantizer="tcq8"
    ),
    "baseline-rdoq-expanded": _learned(
        "baseline-rdoq with points moved from zero, as decoders trained with noise want them",
        arm="baseline",
        quantizer="rdoq-expanded",
    ),
    "baseline-tcq8-expanded": _learned(
        "baseline-tcq8 with points moved from zero, as decoders trained with noise want them",
        arm="baseline",
        quantizer="tcq8-expanded",
    ),
    "continued": _learned(
        "the control: finetuned-scalar's decoder, as many steps of ordinary training instead",
        arm="continued",
        quantizer="scalar",
    ),
    "finetuned-scalar": _learned(
        "decoder finetuned on truly rounded latents, uniform scalar quantization",
        arm="finetuned-scalar",
        quantizer="scalar",
    ),
    "finetuned-rdoq": _learned(
        "decoder finetuned on latents of rate-distortion-optimized scalar quantization",
        arm="finetuned-rdoq",
        quantizer="rdoq",
    ),
    "finetuned-tcq4": _learned(
        "decoder finetuned on trellis-coded latents, 4 states",
        arm="finetuned-tcq4",
        quantizer="tcq4",
    ),
    "finetuned-tcq": _learned(
        "decoder and hyper decoder finetuned on trellis-coded latents, 8 states",
        arm="finetuned-tcq",
        quantizer="tcq8",
    ),
    "finetuned-tcq-expanded": _learned(
        "decoder finetuned on the latents of baseline-tcq8-expanded",
        arm="finetuned-tcq-expanded",
        quantizer="tcq8-expanded",
    ),
}


@cache
def registry() -> Mapping[str, CodecEntry]:
    """Return every codec known here: the built-in table, then what other packages add by entry point.

    A package adds one with `[project.entry-points."bench.codecs"] mycodec = "package.module:ENTRY"`, where
    ENTRY is a CodecEntry. An entry point that cannot be used is in the table with its `fault`; one whose name
    is taken stands there as "name of package", so that a result's codec name stays unambiguous.
    """
    table = dict(_BUILTIN)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        package = point.dist.name if point.dist else "a package"
        if point.name in table:
            fault = f"adds the codec {point.name!r}, which exists already; rename it"
            table[f"{point.name} of {package}"] = _faulty(point, package, fault)
        else:
            table[point.name] = _loaded(point, package)
    return table


def _loaded(point: EntryPoint, package: str) -> CodecEntry:
    try:
        entry = point.load()
    except Exception as error:  # it is a stranger's module that is imported here
        return _faulty(point, package, f"cannot be loaded ({error!r}); fix or uninstall the package")
    if not isinstance(entry, CodecEntry):
        return _faulty(point, package, "is no benchmark.codecs.CodecEntry; fix or uninstall the package")
    return entry


def _faulty(point: EntryPoint, package: str, fault: str) -> CodecEntry:
    where = f"entry point {point.name} = {point.value} of {package}"
    return CodecEntry(point.value, "", "point", (), fault=f"{where} {fault}")


def codec_entry(name: str) -> CodecEntry:
    """Return the registry line of `name`.

    Raises UsageError, with near names, if there is none, CodecUnavailableError if its entry point is faulty.
    """
    table = registry()
    if name not in table:
        raise UsageError(f"unknown codec {name!r}; {did_you_mean(name, table)}")
    if fault := table[name].fault:
        raise CodecUnavailableError(f"codec {name!r}: {fault}")
    return table[name]


def make_codec(name: str, options: Mapping[str, Any] | None = None) -> Codec:
    """Make the codec `name`, its default options overridden by `options`.

    Raises UsageError for an unknown name or an option that the codec does not take, CodecUnavailableError
    if its entry point, module or class cannot be imported here.
    """
    entry = codec_entry(name)
    try:
        module_name, class_name = entry.target.split(":")
        factory = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise CodecUnavailableError(
            f"codec {name!r} cannot be loaded from {entry.target}: {error}"
        ) from error
    try:
        codec: Codec = factory(name=name, **{**entry.options, **(options or {})})
    except TypeError as error:
        raise UsageError(f"codec {name!r} does not take these options: {error}") from error
    return codec
