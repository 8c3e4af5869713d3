"""How figures are to look, where the user says: title, labels, order, axes, width, medium."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.errors import UsageError, did_you_mean
from benchmark.report.style import MEDIA, Medium

WIDTHS = ("column", "page")
PRESETS = ("paper",)
PAPER_CURVES = 8
PAPER_RATES = (0.0, 1.0)
"""Bits per pixel: the axis of the field's figures."""


@dataclass(frozen=True)
class Presentation:
    """What a user asked figures to look like; the default is what the results ask for.

    `labels` are texts by codec or curve, `order` the codecs that a legend begins with, `rate` (bpp) and
    `quality` the axes of RD plots, the latter of the first metric alone; `widths` those to draw. With
    `preset`, the RD plot alone is drawn, as papers print it: legend inside, no title. `only` are the measured
    codecs that RD plots draw; None: all.
    """

    title: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    rate: tuple[float, float] | None = None
    quality: tuple[float, float] | None = None
    widths: tuple[str, ...] = WIDTHS
    style: str = "paper"
    preset: str | None = None
    only: tuple[str, ...] | None = None

    @property
    def medium(self) -> Medium:
        """What figures are made for."""
        return MEDIA[self.style]

    def check(self, known: Collection[str]) -> None:
        """Raise UsageError, with near names, for labels and an order of codecs that are not `known`."""
        for option, names in (("--label", self.labels), ("--order", self.order)):
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"{option} {name!r}: no such codec or curve; {did_you_mean(name, known)}"
                    )

    def text(self, name: str) -> str:
        """Return what figures call a codec or curve."""
        return self.labels.get(name, name)


def presentation(
    *,
    title: str | None = None,
    labels: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
    axes: tuple[float, float, float, float] | None = None,
    max_bpp: float | None = None,
    width: str | None = None,
    style: str = "paper",
    preset: str | None = None,
) -> Presentation:
    """Make a presentation of the options as they are typed; `titles` are the suite's names of codecs.

    Raises UsageError for what they cannot mean.
    """
    _known("--width", width, WIDTHS)
    _known("--style", style, tuple(MEDIA))
    _known("--preset", preset, PRESETS)
    if axes is not None and not (axes[0] < axes[1] and axes[2] < axes[3]):
        given = " ".join(f"{value:g}" for value in axes)
        raise UsageError(f"--axes {given}: give X0 X1 Y0 Y1 with X0 < X1 and Y0 < Y1")
    rate = axes[:2] if axes else (0.0, max_bpp) if max_bpp else PAPER_RATES if preset else None
    return Presentation(
        title,
        {**(titles or {}), **dict(map(_label, labels))},
        tuple(order),
        rate,
        axes[2:] if axes else None,
        (width,) if width else ("page",) if preset else WIDTHS,
        style,
        preset,
    )


def _known(option: str, given: str | None, choices: Sequence[str]) -> None:
    if given is not None and given not in choices:
        raise UsageError(f"{option} {given!r}; {did_you_mean(given, choices)}")


def _label(given: str) -> tuple[str, str]:
    name, sign, text = given.partition("=")
    if not sign or not name or not text:
        raise UsageError(f"--label {given!r}: give CODEC=TEXT, as in --label bpg='BPG 4:4:4'")
    return name, text
