"""Figures for papers: RD curves, rate savings, per-image BD-rates, times; PDF, SVG and PNG without TeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.analysis.curves import METRIC_LABELS
from benchmark.analysis.grid import Floats
from benchmark.report import captions, layout
from benchmark.report.layout import Box, Window
from benchmark.report.strips import draw_strips
from benchmark.report.style import COLOURS, DOUBLE_COLUMN_INCHES, PAPER, SINGLE_COLUMN_INCHES, Style
from benchmark.report.summary import FIGURE_METRICS, Summary
from benchmark.report.timeplot import draw_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmark.analysis import Curve

FORMATS = ("pdf", "svg", "png")
_NO_DATE: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
"""Equal results give equal files: no dates, no versions of the drawing library."""


@dataclass(frozen=True)
class Plot:
    """One figure that was written: `stem` is its file name without the suffix, `caption` how it was made."""

    stem: str
    caption: str
    wide: bool


def draw_all(
    summary: Summary, folder: Path, formats: Sequence[str] = FORMATS, max_bpp: float | None = None
) -> list[Plot]:
    """Draw every figure of a report into `folder`, in these formats, and return what was drawn.

    Single-column figures are 3.5 inches wide with one panel (two stacked for times), double-column ones
    (`-wide`) 7.16 inches with two panels. `max_bpp` ends the rate axis of the RD plots. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = [m for m in FIGURE_METRICS if m in summary.metrics]
    drawn: list[Plot] = []

    def write(
        stem: str, caption: str, panels: Sequence[Callable[[Axes], Finish]], wide: bool, height: float
    ) -> None:
        with mpl.rc_context(PAPER):  # type: ignore[arg-type]
            figure = _figure(panels, wide, height)
            for suffix in formats:
                figure.savefig(folder / f"{stem}.{suffix}", format=suffix, metadata=_NO_DATE[suffix])
        drawn.append(Plot(stem, caption, wide))

    for kind, draw, describe, height in _KINDS:
        panels = {m: _bind(draw, summary, m, max_bpp) for m in metrics if _has(kind, summary, m)}
        size = height(summary)
        for metric, panel in panels.items():
            write(f"{kind}-{short_name(metric)}", describe(summary, [metric], max_bpp), [panel], False, size)
        if len(panels) > 1:
            write(f"{kind}-wide", describe(summary, list(panels), max_bpp), list(panels.values()), True, size)
    if metrics and len(summary.speeds) > 1:
        sides = [_bind_times(summary, metrics[0], side) for side in ("encode", "decode")]
        caption = captions.times(summary, metrics[0])
        write("time", caption, sides, False, 4.6)
        write("time-wide", caption, sides, True, 2.6)
    return drawn


def short_name(metric: str) -> str:
    """Return the metric's name in file names: psnr, ms-ssim, psnr-y."""
    return metric.removesuffix("_rgb").replace("_", "-")


Finish = Callable[["Axes", bool], bool]
"""Called with the final layout; says whether the legend found a place inside, if the flag asks for one."""


def _figure(panels: Sequence[Callable[[Axes], Finish]], wide: bool, height: float) -> Figure:
    """Draw panels side by side (wide) or stacked; the legend goes below them if it would hide data inside."""
    figure = Figure(
        figsize=(DOUBLE_COLUMN_INCHES if wide else SINGLE_COLUMN_INCHES, height), layout="constrained"
    )
    FigureCanvasAgg(figure)
    shape = (1, len(panels)) if wide else (len(panels), 1)
    axes: list[Axes] = list(figure.subplots(*shape, squeeze=False).ravel())
    finishes = []
    for letter, ax, panel in zip("abcdef", axes, panels, strict=False):
        finishes.append(panel(ax))
        if len(panels) > 1:
            ax.set_title(f"({letter}) {ax.get_title()}")
    shared = len(panels) > 1
    figure.draw_without_rendering()
    if not shared and finishes[0](axes[0], True):
        figure.set_layout_engine("none")
        return figure
    _legend_below(figure, axes, 4 if wide else 2)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what follows is placed by the axes' final size
    for ax, finish in zip(axes, finishes, strict=True):
        finish(ax, False)
    return figure


def _legend_below(figure: Figure, axes: Sequence[Axes], columns: int) -> None:
    entries = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    if entries:
        rows = -(-len(entries) // columns)
        figure.set_figheight(figure.get_figheight() + 0.13 * rows)
        figure.legend(
            entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False
        )


def _bind(
    draw: Callable[..., Finish], summary: Summary, metric: str, max_bpp: float | None
) -> Callable[[Axes], Finish]:
    return lambda ax: draw(ax, summary, metric, max_bpp)


def _bind_times(summary: Summary, metric: str, side: str) -> Callable[[Axes], Finish]:
    return lambda ax: draw_times(ax, summary, metric, side)


def _has(kind: str, summary: Summary, metric: str) -> bool:
    if kind == "rd":
        return any(c.n_points for c in summary.drawn(metric).values())
    if kind == "savings":
        return any(len(s.qualities) > 1 for s in summary.savings[metric].get(summary.anchor, {}).values())
    return any(c.per_image is not None and c.per_image.n_images for c in summary.against(metric))


def _draw_rd(ax: Axes, summary: Summary, metric: str, max_bpp: float | None) -> Finish:
    drawn = {label: c for label, c in summary.drawn(metric).items() if len(layout.finite(c)[0])}
    window = layout.rd_window(list(drawn.values()), max_bpp)
    _plot_curves(ax, drawn, summary)
    ax.set(
        xlim=window.rate,
        ylim=window.quality,
        xlabel="Rate (bpp)",
        ylabel=METRIC_LABELS[metric].replace(" (dB of the mean)", " (dB)"),
    )
    ax.set_title(captions.title(summary))
    ax.grid(True)
    return lambda ax, inside: _legend_and_inset(ax, drawn, window, summary, inside)


def _plot_curves(ax: Axes, drawn: dict[str, Curve], summary: Summary) -> None:
    for label, curve in drawn.items():
        ax.plot(*layout.finite(curve), label=label, **summary.styles[label].line)


def _legend_and_inset(
    ax: Axes, drawn: dict[str, Curve], window: Window, summary: Summary, inside: bool
) -> bool:
    samples = np.concatenate([window.fractions(*layout.dense(curve)) for curve in drawn.values()])
    taken = place_legend(ax, samples) if inside else None
    if inside and taken is None:
        return False
    region = layout.close_region(list(drawn.values()), window)
    if region is not None:
        _inset(
            ax,
            drawn,
            region,
            samples if taken is None else np.concatenate([samples, taken.outline()]),
            summary,
        )
    return True


def _inset(ax: Axes, drawn: dict[str, Curve], region: Window, obstacles: Floats, summary: Summary) -> None:
    """Magnify a region in the largest free place, its tick labels included; none where nothing is free."""
    left, below = 0.1, 0.08  # room for the inset's tick labels
    for size in (0.42, 0.36, 0.3, 0.25):
        place = layout.free_box(
            obstacles, size + left, size + below, [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]
        )
        if place is not None:
            break
    else:
        return
    inset = ax.inset_axes((place.x + left, place.y + below, size, size))
    _plot_curves(inset, drawn, summary)
    inset.set(xlim=region.rate, ylim=region.quality)
    inset.tick_params(labelsize=5.5, length=1.5, pad=1.2)
    inset.locator_params(nbins=3)
    inset.grid(True)
    mark = ax.indicate_inset_zoom(inset, edgecolor="0.35", linewidth=0.5, alpha=0.9)
    for connector in mark.connectors or ():
        connector.set(linewidth=0.4, color="0.6", zorder=1)


def place_legend(ax: Axes, samples: Floats) -> Box | None:
    """Put a legend where it hides none of `samples` (axes fractions [n, 2]) and return its box, or None."""
    legend = ax.legend(loc="lower left", borderaxespad=0)
    extent = legend.get_window_extent().transformed(ax.transAxes.inverted())
    box = layout.free_box(
        samples, extent.width, extent.height, [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
    )
    legend.remove()
    if box is not None:
        ax.legend(loc="lower left", bbox_to_anchor=(box.x, box.y), borderaxespad=0)
    return box


def _draw_savings(ax: Axes, summary: Summary, metric: str, _: float | None) -> Finish:
    found = {n: s for n, s in summary.savings[metric][summary.anchor].items() if len(s.qualities) > 1}
    for name, saving in found.items():
        style = summary.styles[name]
        ax.fill_between(
            saving.qualities, saving.low, saving.high, color=COLOURS[style.colour], alpha=0.18, linewidth=0
        )
        line = style.line | {"markevery": _apart(len(saving.qualities), style)}
        ax.plot(saving.qualities, saving.rate_percent, label=name, **line)
    ax.axhline(0, color="0.3", linewidth=0.8)
    label = METRIC_LABELS[metric].replace(" (dB of the mean)", " (dB)")
    ax.set(xlabel=label, ylabel=f"Rate against {summary.anchor} (%)")
    ax.set_title(captions.title(summary))
    ax.grid(True)
    ax.margins(x=0.02)
    return lambda ax, inside: (
        inside
        and place_legend(ax, np.concatenate([_fractions(ax, line) for line in ax.get_lines()])) is not None
    )


def _fractions(ax: Axes, line: Line2D) -> Floats:
    """Return a drawn line as dense axes fractions [n, 2]."""
    in_axes = ax.transAxes.inverted().transform(line.get_transform().transform(line.get_xydata()))
    steps = np.linspace(0, len(in_axes) - 1, 400)
    return np.column_stack([np.interp(steps, np.arange(len(in_axes)), in_axes[:, i]) for i in (0, 1)])


def _apart(samples: int, style: Style) -> slice:
    """Put few markers on a dense curve, shifted by codec so that those of close curves do not coincide."""
    step = max(1, samples // 7)
    return slice((style.colour * step) // len(COLOURS), None, step)


def _draw_per_image(ax: Axes, summary: Summary, metric: str, _: float | None) -> Finish:
    draw_strips(ax, summary, metric, ax.bbox.width / ax.figure.dpi)
    return lambda _ax, _inside: True


_KINDS: tuple[tuple[str, Callable[..., Finish], Callable[..., str], Callable[[Summary], float]], ...] = (
    ("rd", _draw_rd, captions.rd, lambda _: 2.7),
    ("savings", _draw_savings, captions.savings, lambda _: 2.5),
    (
        "per-image",
        _draw_per_image,
        captions.per_image,
        lambda s: 0.75 + 0.27 * max(2, len(s.against(s.metrics[0]))),
    ),
)
