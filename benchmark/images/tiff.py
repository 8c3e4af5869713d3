"""TIFF: the tags say what the samples are; what Pillow would misread is read otherwise, or refused by name.

Tags and values are those of TIFF 6.0 (Adobe, 1992) and of BigTIFF.
"""

from __future__ import annotations

import io
import logging
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
import PIL.Image
import PIL.ImageOps

from benchmark.errors import ImageError
from benchmark.images.opening import (
    REMEDY,
    Samples,
    check_pixels,
    high_byte,
    open_checked,
    said_of_depth,
    said_of_frames,
)

# What tifffile complains of is told by our error, or does not matter: it need not be printed.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANES, _EXTRA, _FORMAT = 274, 277, 284, 338, 339
_IGNORED = {34675: "ICC profile", 301: "transfer function", 319: "primaries"}
_PIXELS = frozenset(
    (
        *(254, 255, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, 273, _SAMPLES, 278, 279),
        *(_PLANES, 292, 293, 317, 320, 322, 323, 324, 325, 332, 333, 334, 336, _EXTRA, _FORMAT, 340, 341),
        *(347, *range(512, 522), 529, 530, 531, 532, 50674),
    )
)
"""The tags without which pixels cannot be decoded rightly; all others are metadata."""

_PHOTOMETRICS = {0: "min-is-white", 1: "min-is-black", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
_MODES = {0: "L", 1: "L", 2: "RGB", 5: "CMYK"}
_UNSIGNED = 1
_FORMATS = {2: "signed", 3: "floating-point (mode F)", 5: "complex integer", 6: "complex floating-point"}
_BITS_READ = (1, 2, 4, 8, 12, 16)
_COMPRESSIONS = (1, 8, 32773, 32946)
"""None, Deflate, PackBits and Deflate of old: those that tifffile decodes without another package."""
_ASSOCIATED, _UNASSOCIATED = 1, 2


@dataclass(frozen=True)
class _Layout:
    """How the samples of the first picture lie in the file."""

    width: int
    height: int
    bits: int
    photometric: int
    planar: bool
    compression: int
    extra: tuple[int, ...]
    """What each sample beyond those of the colour is, as the tag has it."""

    @property
    def words(self) -> str:
        """The layout, for messages."""
        planes = ", in planes" if self.planar else ""
        compressed = "" if self.compression == 1 else f", compression {self.compression}"
        extra = f", {len(self.extra)} extra samples" if self.extra else ""
        return f"{self.bits}-bit {_PHOTOMETRICS[self.photometric]}{extra}{planes}{compressed}"

    @property
    def inverted(self) -> bool:
        """Whether the smallest sample is white."""
        return self.photometric == 0

    @property
    def mode(self) -> str | None:
        """Pillow's mode of the colours, if samples of whole bytes are what they are."""
        return _MODES.get(self.photometric) if self.bits in (8, 16) else None

    @property
    def alphas(self) -> list[int]:
        """Which of the extra samples is alpha: one of them at most."""
        return [i for i, kind in enumerate(self.extra) if kind in (_ASSOCIATED, _UNASSOCIATED)][:1]


@dataclass(frozen=True)
class _Directory:
    """A TIFF file without the metadata of its first picture and without its other pictures."""

    data: bytes
    pictures: int
    orientation: int
    ignored: tuple[str, ...]


def read(data: bytes, max_pixels: int) -> Samples:
    """Decode the first picture of a TIFF file.

    Raises ImageError for samples that have no 8-bit range (signed, floating-point, 32-bit) or a layout that
    is not read, and whatever Pillow or tifffile raises for bad data.
    """
    directory = _without_metadata(data)
    layout = _layout(directory.data)
    check_pixels(layout.width, layout.height, max_pixels)
    # Pillow reads planes of 16 bits as if they were interleaved, and knows few layouts with extra samples.
    with_tifffile = layout.mode and layout.compression in _COMPRESSIONS and (layout.planar or layout.bits > 8)
    picture = (_read_with_tifffile if with_tifffile else _read_with_pillow)(
        directory.data, layout, max_pixels
    )
    notes = (
        *said_of_frames(directory.pictures),
        *(said_of_depth(layout.bits) if layout.bits > 1 and layout.photometric != 3 else ()),
        *(("min-is-white inverted",) if layout.inverted else ()),
        *(("extra samples dropped",) if len(layout.extra) > len(layout.alphas) else ()),
        *(("YCbCr to RGB",) if layout.photometric == 6 and picture.mode == "RGB" else ()),
        *(f"{what} ignored" for what in directory.ignored),
    )
    return Samples(picture, notes, directory.orientation, "TIFF")


def _without_metadata(data: bytes) -> _Directory:
    """Return the file with the tags of pixels alone: a decoder cannot stumble on others."""
    form = _Form.of(data)
    start = form.start(data)
    entries, following = form.directory(data, start)
    kept = b"".join(entry for tag, entry in entries.items() if tag in _PIXELS)
    directory = struct.pack(form.order + form.count, len(kept) // form.entry_bytes) + kept
    directory += bytes(struct.calcsize(form.pointer))  # no other picture follows
    clean = bytearray(data)
    clean[start : start + len(directory)] = directory
    return _Directory(
        bytes(clean),
        1 + sum(1 for _ in form.chain(data, following, {start})),
        form.short(entries[_ORIENTATION]) if _ORIENTATION in entries else 1,
        tuple(what for tag, what in _IGNORED.items() if tag in entries),
    )


@dataclass(frozen=True)
class _Form:
    """How directories are written, in struct's words: byte order, count, entry and pointer."""

    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> _Form:
        """Return the form that the first four bytes of the file name."""
        return cls("<" if data[:2] == b"II" else ">", b"+" in data[2:4])

    @property
    def count(self) -> str:
        """The number of entries."""
        return "Q" if self.big else "H"

    @property
    def pointer(self) -> str:
        """A place in the file."""
        return "Q" if self.big else "I"

    @property
    def entry_bytes(self) -> int:
        """The size of an entry: tag, type, number of values, values or where they are."""
        return 20 if self.big else 12

    def start(self, data: bytes) -> int:
        """Return where the first directory is."""
        return int(struct.unpack_from(self.order + self.pointer, data, 8 if self.big else 4)[0])

    def short(self, entry: bytes) -> int:
        """Return the value of an entry that holds one 16-bit number."""
        return int(struct.unpack_from(self.order + "H", entry, 12 if self.big else 8)[0])

    def directory(self, data: bytes, start: int) -> tuple[dict[int, bytes], int]:
        """Return the entries of the directory at `start` by tag, and where the next one is, 0 if nowhere."""
        (count,) = struct.unpack_from(self.order + self.count, data, start)
        first = start + struct.calcsize(self.count)
        end = first + count * self.entry_bytes
        if end > len(data):
            raise ImageError("is damaged or truncated: a directory reaches beyond its end; fetch it again")
        entries = [data[at : at + self.entry_bytes] for at in range(first, end, self.entry_bytes)]
        following = data[end : end + struct.calcsize(self.pointer)].ljust(
            struct.calcsize(self.pointer), b"\0"
        )
        by_tag = {struct.unpack_from(self.order + "H", entry)[0]: entry for entry in entries}
        return by_tag, struct.unpack(self.order + self.pointer, following)[0]

    def chain(self, data: bytes, start: int, seen: set[int]) -> Iterator[int]:
        """Yield where each further directory is, as far as they can be followed."""
        while start and start not in seen:
            yield start
            seen.add(start)
            try:
                start = self.directory(data, start)[1]
            except (ImageError, struct.error):
                return


def _layout(data: bytes) -> _Layout:
    """Return how the samples lie. Raises ImageError, naming it, for what has no 8-bit range."""
    import tifffile  # here, as it is slow to load and few images are TIFF

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = {tag.code: tag.value for tag in file.pages.first.tags}
    bits = set(_values(tags, _BITS, 1))
    formats = set(_values(tags, _FORMAT, _UNSIGNED))
    photometric = _values(tags, _PHOTOMETRIC, 0)[0]
    if formats != {_UNSIGNED}:
        found = " and ".join(_FORMATS.get(f, f"format-{f}") for f in sorted(formats - {_UNSIGNED}))
        raise ImageError(f"{found} samples have no defined 8-bit range; {REMEDY}")
    if len(bits) > 1 or not bits.issubset(_BITS_READ):
        found = " and ".join(map(str, sorted(bits)))
        raise ImageError(f"samples of {found} bits have no defined 8-bit range; {REMEDY}")
    if photometric not in _PHOTOMETRICS:
        raise ImageError(f"colours of photometric interpretation {photometric} are not converted; {REMEDY}")
    return _Layout(
        width=_values(tags, _WIDTH, 0)[0],
        height=_values(tags, _HEIGHT, 0)[0],
        bits=bits.pop(),
        photometric=photometric,
        planar=_values(tags, _PLANES, 1)[0] == 2 and _values(tags, _SAMPLES, 1)[0] > 1,
        compression=_values(tags, _COMPRESSION, 1)[0],
        extra=_values(tags, _EXTRA, 0) if _EXTRA in tags else (),
    )


def _values(tags: Mapping[int, Any], tag: int, default: int) -> tuple[int, ...]:
    """Return the whole numbers of a tag."""
    found = tags.get(tag, default)
    return tuple(map(int, found)) if isinstance(found, tuple) else (int(found),)


def _read_with_pillow(data: bytes, layout: _Layout, max_pixels: int) -> PIL.Image.Image:
    if layout.planar and layout.extra and (layout.photometric, len(layout.extra)) != (2, 1):
        raise _unread(layout)  # Pillow gives the first plane, or none
    try:
        with open_checked(data, ("TIFF",), max_pixels) as file:
            file.load()
    except PIL.UnidentifiedImageError as error:
        raise _unread(layout) from error
    if layout.bits > 8 and file.mode.startswith("I;16"):
        narrow = high_byte(np.asarray(file).astype(np.uint16), layout.bits)
        return PIL.ImageOps.invert(narrow) if layout.inverted else narrow
    return file


def _read_with_tifffile(data: bytes, layout: _Layout, max_pixels: int) -> PIL.Image.Image:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        if not all(page.databytecounts) or len(page.databytecounts) != math.prod(page.chunked):
            raise ImageError("is damaged or truncated: it lacks parts of the picture; fetch it again")
        samples = page.asarray(maxworkers=1)  # which fills parts that are not there with zeros
    if samples.dtype not in (np.uint8, np.uint16) or samples.ndim not in (2, 3):
        raise _unread(layout)
    narrow = (samples >> (layout.bits - 8)).astype(np.uint8)
    bands = [narrow] if narrow.ndim == 2 else list(narrow if layout.planar else np.moveaxis(narrow, -1, 0))
    if layout.inverted:
        bands[0] = 255 - bands[0]
    return _picture([PIL.Image.fromarray(np.ascontiguousarray(band)) for band in bands], layout)


def _picture(planes: list[PIL.Image.Image], layout: _Layout) -> PIL.Image.Image:
    """Return 8-bit planes as a picture: those of the colour, and alpha if one of the others is."""
    colours = len(planes) - len(layout.extra)
    mode = str(layout.mode)
    if colours != PIL.Image.getmodebands(mode) or (layout.alphas and mode == "CMYK"):
        raise _unread(layout)
    for at in layout.alphas:
        letter = "a" if layout.extra[at] == _ASSOCIATED else "A"
        return PIL.Image.merge(mode + letter, [*planes[:colours], planes[colours + at]])
    return planes[0] if mode == "L" else PIL.Image.merge(mode, planes[:colours])


def _unread(layout: _Layout) -> ImageError:
    return ImageError(f"TIFF of this layout is not read: {layout.words}; {REMEDY}")
