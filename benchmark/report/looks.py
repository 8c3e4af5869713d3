"""Which look belongs to which name: the same in all figures and on the page, whatever is selected.

The hue says the family (the first word of a name: `patch`, `patch-tcq8`), the shade what was trained, the
dash how it quantizes, the marker the codec. Codecs of the registry have the look of their place in it. Any
other name prefers a look that its letters give, and takes the next one that is free among all the codecs of
the results, selected or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from benchmark.codecs import CODECS, CodecEntry
from benchmark.errors import BenchError
from benchmark.report.style import DASHES, GREYS, HUES, MARKERS, SHADES, Style

_WORD = re.compile(r"[A-Za-z0-9]+")


def looks(
    measured: Sequence[str], published: Sequence[str] = (), *, known: Iterable[str] = ()
) -> dict[str, Style]:
    """Return the look of each name; `known` are all the codecs of the results, beside those `measured`.

    No two codecs share hue, shade, dash and marker, up to some thousands; no published curve looks like a
    measured one.
    """
    found = dict(_registered())
    for name in sorted({*measured, *known} - found.keys()):
        found[name] = _free(name, found, {*measured, *known})
    wanted = {name: found[name] for name in measured}
    return wanted | _published([name for name in published if name not in wanted])


@cache
def _registered() -> Mapping[str, Style]:
    """Return the looks of the registry's codecs, by their order; first those that run as they are."""
    entries = sorted(((name, _entry(name)) for name in CODECS.names()), key=lambda found: not found[1].points)
    kin = {name: entry.kin or (name, "") for name, entry in entries}
    hues = list(dict.fromkeys(family_of(weights) for weights, _ in kin.values()))
    quantizers = list(dict.fromkeys(quantizer for _, quantizer in kin.values() if quantizer))
    styles: dict[str, Style] = {}
    for place, (name, (weights, quantizer)) in enumerate(kin.items()):
        family = family_of(weights)
        variants = list(dict.fromkeys(w for w, _ in kin.values() if family_of(w) == family))
        style = Style(
            hues.index(family) % len(HUES),
            variants.index(weights) % len(SHADES),
            quantizers.index(quantizer) % len(DASHES) if quantizer else 0,
        )
        choices = [replace(style, marker=marker) for marker in _from(place, len(MARKERS))]
        styles[name] = next((s for s in choices if s not in styles.values()), choices[0])
    return styles


def _entry(name: str) -> CodecEntry:
    try:
        return CODECS.find(name)
    except BenchError:  # it cannot be used here, but has rows perhaps
        return CodecEntry("", "", "", ())


def family_of(name: str) -> str:
    """Return the family of a name: its first word."""
    found = _WORD.search(name)
    return found[0].lower() if found else name


def _free(name: str, found: Mapping[str, Style], present: set[str]) -> Style:
    """Return the first look from the preferred one on that no codec of the results has."""
    there = {other: style for other, style in found.items() if other in present}
    taken = set(there.values())
    kin = [style.hue for other, style in there.items() if family_of(other) == family_of(name)]
    hues = {style.hue for style in taken}
    free = [hue for hue in _from(_number(family_of(name)), len(HUES)) if hue not in hues]
    hue = kin[0] if kin else free[0] if free else _number(family_of(name)) % len(HUES)
    start = _number(name)
    choices = [
        Style(hue, shade, dash, marker)
        for dash in range(len(DASHES))
        for shade in range(len(SHADES))
        for marker in _from(start, len(MARKERS))
    ]
    apart = [style for style in choices if _apart(style, taken)] or [s for s in choices if s not in taken]
    return (apart or choices)[0]


def _apart(style: Style, taken: set[Style]) -> bool:
    """Whether the look has a marker of its own, and a line of its own, among those of its hue."""
    kin = [other for other in taken if other.hue == style.hue]
    if (style.shade, style.dash) in {(other.shade, other.dash) for other in kin}:
        return False
    marks = {other.marker for other in kin}
    return style.marker not in marks or len(marks) >= len(MARKERS)


def _published(names: Sequence[str]) -> dict[str, Style]:
    found: dict[str, Style] = {}
    for name in names:
        start = _number(name)
        choices = (
            Style(grey, marker=marker, published=True)
            for marker in _from(start, len(MARKERS))
            for grey in _from(start // len(MARKERS), len(GREYS))
        )
        taken = set(found.values())
        found[name] = next((s for s in choices if s not in taken), Style(0, marker=0, published=True))
    return found


def _from(start: int, count: int) -> Iterator[int]:
    return ((start + i) % count for i in range(count))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
