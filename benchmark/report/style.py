"""How a codec looks in every plot: one colour and one marker each, the same on paper and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
    "#882255", "#999933", "#332288", "#888888",
)  # fmt: skip
"""Okabe and Ito's colours, told apart with any colour vision (their yellow is left out: too pale on white),
then four of Paul Tol's muted set for suites of more than seven codecs."""
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "p", "*")

SINGLE_COLUMN_INCHES = 3.5
DOUBLE_COLUMN_INCHES = 7.16

PAPER: dict[str, Any] = {
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


_MARKER_POINTS = 3.6
_MARKER_SCALES = {"P": 1.2, "X": 1.2, "p": 1.15, "*": 1.65}
_DASH_DOT = (0, (8, 1.2, 1.2, 1.2))


@dataclass(frozen=True)
class Style:
    """The look of one curve: `colour` and `marker` are indices into COLOURS and MARKERS.

    `broken`: its colour is another curve's too, so the line is dash-dotted.
    """

    colour: int
    marker: int
    published: bool = False
    broken: bool = False

    @property
    def marker_points(self) -> float:
        """Return the marker's size in points: stars and the like look smaller than squares."""
        return _MARKER_POINTS * _MARKER_SCALES.get(MARKERS[self.marker], 1.0)

    def mark(self, scale: float) -> dict[str, Any]:
        """Return the properties of a lone mark, `scale` times as large as on a line."""
        return self.line | {"linestyle": "", "markersize": scale * self.marker_points}

    @property
    def line(self) -> dict[str, Any]:
        """Return matplotlib's line properties: published curves are dashed, with hollow markers."""
        properties: dict[str, Any] = {
            "color": COLOURS[self.colour],
            "marker": MARKERS[self.marker],
            "markersize": self.marker_points,
            "linestyle": "--" if self.published else _DASH_DOT if self.broken else "-",
            "markeredgewidth": 0.7,
        }
        return properties | (
            {"markerfacecolor": "white"}
            if self.published
            else {"markeredgecolor": "white"} | {"markeredgewidth": 0.3}
        )


def styles(measured: Sequence[str], published: Sequence[str] = ()) -> dict[str, Style]:
    """Give each codec a pair of colour and marker of its own (up to 121), by its place in the sequence."""
    named = [(name, False) for name in measured] + [(name, True) for name in published]
    n = len(COLOURS)
    return {
        # Published curves start from black: a dashed line in a neighbour's colour would seem to be its kin.
        name: Style((i + 6 * is_published) % n, (i + i // n) % n, is_published, not is_published and i >= n)
        for i, (name, is_published) in enumerate(named)
    }
