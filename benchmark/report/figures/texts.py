"""Texts in pictures: wrapped where they are long, beside the marks they name, in fonts that have them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text

_LEAST = 0.8
"""A text is shrunk to no less than this; beyond, it is wrapped."""


def wrapped(text: str, characters: int) -> str:
    """Return the text on several lines of at most so many characters, broken at spaces and hyphens first."""
    return "\n".join(textwrap.wrap(text, characters)) or text


def name_marks(ax: Axes, places: Mapping[str, tuple[float, float]], summary: Summary) -> None:
    """Write each codec's name beside its mark, moved apart where names would cover one another."""
    from adjustText import adjust_text

    settings = summary.presentation.medium.settings
    texts = [
        ax.text(x, y, wrapped(summary.text(name), 22), fontsize=settings["legend.fontsize"],
                color=summary.styles[name].colour, zorder=3)
        for name, (x, y) in places.items()
    ]  # fmt: skip
    xs, ys = zip(*places.values(), strict=True)
    line = {"arrowstyle": "-", "color": "0.55", "linewidth": 0.4 * summary.presentation.medium.scale}
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]  # the axes' place decides who covers whom
    adjust_text(texts, x=list(xs), y=list(ys), ax=ax, iter_lim=300, expand=(1.08, 1.25), arrowprops=line)


def fit(canvas: Canvas) -> None:
    """Shrink or wrap axis labels and titles that are longer than their axes, after a first layout.

    The picture grows by the lines that are added above and below its panels.
    """
    renderer = canvas.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [ax.get_window_extent(renderer) for ax in canvas.axes]
    grown = 0.0
    for ax, box in zip(canvas.axes, boxes, strict=True):
        for text, room in ((ax.xaxis.label, box.width), (ax.title, box.width)):
            grown += _shorten(text, room / max(text.get_window_extent(renderer).width, 1.0))
        _shorten(ax.yaxis.label, box.height / max(ax.yaxis.label.get_window_extent(renderer).height, 1.0))
    canvas.set_figheight(canvas.get_figheight() + grown)


def _shorten(text: Text, share: float) -> float:
    """Make a text fit into this share of its length; return by how many inches it got higher."""
    size = float(text.get_fontsize())
    if share < _LEAST:
        lines = wrapped(text.get_text(), max(8, int(len(text.get_text()) * share)))
        text.set_text(lines)
        return lines.count("\n") * 1.2 * size / 72
    text.set_fontsize(size * min(1.0, share))
    return 0.0


def legible(canvas: Canvas, families: Sequence[str]) -> None:
    """Give every text a font that has its letters; letters that no font here has become \\u escapes."""
    from matplotlib.text import Text

    for text in canvas.findobj(Text):
        assert isinstance(text, Text)
        missing = {ch for ch in text.get_text() if ch not in "\n" and not _has(tuple(families), ch)}
        if missing:
            more = [found for ch in sorted(missing) if (found := _family_with(ch)) is not None]
            text.set_fontfamily([*families, *dict.fromkeys(more)])
            unknown = {ord(ch): escape(ch) for ch in missing if _family_with(ch) is None}
            text.set_text(text.get_text().translate(unknown))


def escape(letter: str) -> str:
    r"""Return the letter as Python writes it in ASCII: \u4e2d."""
    return letter.encode("unicode_escape").decode("ascii")


@cache
def _has(families: tuple[str, ...], letter: str) -> bool:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return any(ord(letter) in get_font(findfont(FontProperties(family=[f]))).get_charmap() for f in families)


@cache
def _family_with(letter: str) -> str | None:
    """Return an installed family that has the letter, DejaVu Sans (it ships with matplotlib) before others.

    The font of last resort has a box for each letter: it is no help.
    """
    from matplotlib.font_manager import fontManager, get_font

    upright = [f for f in fontManager.ttflist if f.weight == 400 and f.style == "normal"]
    ranked = sorted(upright, key=lambda f: (not f.name.startswith("DejaVu Sans"), f.name))
    having = (f.name for f in ranked if ord(letter) in get_font(f.fname).get_charmap())
    return next((str(name) for name in having if "Last Resort" not in name), None)
