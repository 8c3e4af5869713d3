"""How a codec looks in every plot, on paper and on the page: its hue, shade, dash and marker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

HUES = (
    "#661100", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#44AA99", "#332288", "#882255",
    "#999933", "#CC6677", "#117733", "#0072B2", "#AA4499",
)  # fmt: skip
"""In the order of the registry's families. Okabe and Ito's colours, told apart with any colour vision (their
yellow is left out: too pale on white, and black: published curves are grey), and of Paul Tol's muted set."""
GREYS = ("#404040", "#8C8C8C", "#666666", "#A8A8A8")
"""Of published curves: no measured curve is grey."""
SHADES = (0.0, -0.4, 0.4, -0.65)
"""How far a hue goes to black (below 0) or white, for the variants of a family."""
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "p", "*")
_Dash = str | tuple[float, tuple[float, ...]]
DASHES: tuple[_Dash, ...] = (
    "-",
    (0, (8, 1.2, 1.2, 1.2)),
    (0, (6, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1.2, 1.2)),
)
_PUBLISHED_DASH: _Dash = (0, (2.5, 1.5))

SINGLE_COLUMN_INCHES = 3.5
DOUBLE_COLUMN_INCHES = 7.16

PAPER: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "serif",
        "font.serif": ["STIXGeneral"],  # ships with matplotlib; the Times of LaTeX papers
        "mathtext.fontset": "stix",
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "axes.titlepad": 4,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "xtick.minor.width": 0.4,
        "legend.fontsize": 6.5,
        "legend.handlelength": 2.2,
        "legend.borderpad": 0.35,
        "legend.labelspacing": 0.3,
        "legend.columnspacing": 1.0,
        "legend.framealpha": 1.0,
        "legend.edgecolor": "0.8",
        "legend.fancybox": False,
        "patch.linewidth": 0.5,
        "lines.linewidth": 1.0,
        "grid.color": "0.88",
        "grid.linewidth": 0.4,
        "figure.dpi": 100,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # embedded TrueType: the submission checkers of IEEE and ACM refuse Type 3
        "svg.fonttype": "path",
        "svg.hashsalt": "bench",
        "text.parse_math": False,  # a codec named a$b$ is a name, not a formula
    }
)
SLIDES: Mapping[str, Any] = MappingProxyType(
    {
        **PAPER,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "mathtext.fontset": "dejavusans",
        "font.size": 15,
        "axes.labelsize": 15,
        "axes.titlesize": 16,
        "axes.linewidth": 1.0,
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "xtick.major.size": 5,
        "ytick.major.size": 5,
        "legend.fontsize": 13,
        "lines.linewidth": 2.2,
        "grid.linewidth": 0.8,
        "savefig.dpi": 150,
    }
)


@dataclass(frozen=True)
class Medium:
    """What figures are made for: matplotlib's settings, widths in inches, and how much larger marks are."""

    settings: Mapping[str, Any]
    column_inches: float
    page_inches: float
    scale: float = 1.0


MEDIA: Mapping[str, Medium] = MappingProxyType(
    {
        "paper": Medium(PAPER, SINGLE_COLUMN_INCHES, DOUBLE_COLUMN_INCHES),
        "slides": Medium(SLIDES, 7.5, 13.33, 1.9),
    }
)
"""By the name that `--style` takes; a slide is 13.33 inches wide."""

_MARKER_POINTS = 3.6
_MARKER_SCALES = {"P": 1.2, "X": 1.2, "p": 1.15, "*": 1.65}


@dataclass(frozen=True)
class Style:
    """The look of one curve: indices into HUES (of published curves: GREYS), SHADES, DASHES and MARKERS."""

    hue: int
    shade: int = 0
    dash: int = 0
    marker: int = 0
    published: bool = False

    @property
    def colour(self) -> str:
        """Return the colour as #rrggbb."""
        if self.published:
            return GREYS[self.hue]
        share = SHADES[self.shade]
        return _mixed(HUES[self.hue], "#FFFFFF" if share > 0 else "#000000", abs(share))

    @property
    def marker_points(self) -> float:
        """Return the marker's size in points: stars and the like look smaller than squares."""
        return _MARKER_POINTS * _MARKER_SCALES.get(MARKERS[self.marker], 1.0)

    def mark(self, scale: float) -> dict[str, Any]:
        """Return the properties of a lone mark, `scale` times as large as on a line."""
        return self.line(scale) | {"linestyle": ""}

    def line(self, scale: float = 1.0) -> dict[str, Any]:
        """Return matplotlib's line properties.

        Published curves are thin, dashed, grey and below the others, their markers hollow: none hides a curve
        that was measured here.
        """
        properties: dict[str, Any] = {
            "color": self.colour,
            "marker": MARKERS[self.marker],
            "markersize": scale * self.marker_points,
            "linestyle": _PUBLISHED_DASH if self.published else DASHES[self.dash],
        }
        if self.published:
            thin = {"linewidth": 0.8 * scale, "markersize": 0.8 * scale * self.marker_points, "zorder": 1.8}
            return properties | thin | {"markerfacecolor": "white", "markeredgewidth": 0.6 * scale}
        return properties | {"markeredgecolor": "white", "markeredgewidth": 0.3 * scale, "zorder": 2.2}


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + share * (b - a)):02X}" for a, b in pairs)
