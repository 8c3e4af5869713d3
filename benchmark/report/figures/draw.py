"""Figures for papers: RD curves, rate savings, per-image BD-rates, times; PDF, SVG and PNG without TeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.report import captions
from benchmark.report.figures.per_image import draw_strips
from benchmark.report.figures.rd import draw_rd
from benchmark.report.figures.savings import draw_savings
from benchmark.report.figures.time import draw_times, time_points
from benchmark.report.style import DOUBLE_COLUMN_INCHES, PAPER, SINGLE_COLUMN_INCHES
from benchmark.report.summary import FIGURE_METRICS, Summary

if TYPE_CHECKING:
    from concurrent.futures import Future

    from matplotlib.axes import Axes

FORMATS = ("pdf", "svg", "png")
_NO_DATE: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
"""Equal results give equal files: no dates, no versions of the drawing library."""

Finish = Callable[["Axes", bool], bool]
"""Called with the final layout; says whether the legend found a place inside, if the flag asks for one."""
Panel = Callable[["Axes"], Finish]


@dataclass(frozen=True)
class Plot:
    """One figure: `stem` is its file name without the suffix, `caption` how it was made.

    `kind` and `metrics` say what its panels show; `wide` is double column, panels side by side.
    """

    stem: str
    caption: str
    wide: bool
    kind: str
    metrics: tuple[str, ...]
    height_inches: float


def plan_plots(summary: Summary, max_bpp: float | None = None) -> list[Plot]:
    """Return the figures that a report has, not drawn yet. `max_bpp` ends the rate axis of the RD plots."""
    metrics = [m for m in FIGURE_METRICS if m in summary.metrics]
    plots: list[Plot] = []
    for kind, (_, describe, height) in _KINDS.items():
        shown = tuple(m for m in metrics if _has(kind, summary, m))
        size = height(summary)
        for m in shown:
            caption = describe(summary, [m], max_bpp)
            plots.append(Plot(f"{kind}-{short_name(m)}", caption, False, kind, (m,), size))
        if len(shown) > 1:
            plots.append(Plot(f"{kind}-wide", describe(summary, shown, max_bpp), True, kind, shown, size))
    if metrics and len(time_points(summary, metrics[0])) > 1:
        caption = captions.times(summary, metrics[0])
        plots.append(Plot("time", caption, False, "time", (metrics[0],), 4.8))
        plots.append(Plot("time-wide", caption, True, "time", (metrics[0],), 2.8))
    return plots


def draw_all(
    summary: Summary, folder: Path, formats: Sequence[str] = FORMATS, max_bpp: float | None = None
) -> list[Plot]:
    """Draw every figure of a report into `folder`, in these formats, and return what was drawn.

    Single-column figures are 3.5 inches wide with one panel (two stacked for times), double-column ones
    (`-wide`) 7.16 inches with two panels. Raises OSError.
    """
    with Drawing(summary, folder, formats, max_bpp) as drawing:
        return drawing.plots


class Drawing:
    """The figures of a report while they are drawn: by an executor if there is one, else on leaving.

        with Drawing(summary, folder, executor=executor) as drawing:
            ...  # other work; drawing.plots are known already

    Leaving raises OSError if a file could not be written.
    """

    def __init__(
        self,
        summary: Summary,
        folder: Path,
        formats: Sequence[str] = FORMATS,
        max_bpp: float | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.plots = plan_plots(summary, max_bpp)
        self._lean, self._max_bpp = _lean(summary), max_bpp
        self._folder, self._formats, self._executor = folder, tuple(formats), executor
        self._jobs: list[Future[None]] = []

    def __enter__(self) -> Drawing:
        """Make the folder and hand the figures out. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._executor is not None:
            self._jobs = [self._executor.submit(draw, *job) for job in self._work()]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the figures; draw here what no executor drew."""
        if kind is not None:
            return
        try:
            for job in self._jobs:
                job.result()
        except BrokenExecutor:  # a process was killed, for memory perhaps: here it may still do
            self._jobs = []
        if not self._jobs:
            for work in self._work():
                draw(*work)

    def _work(self) -> Iterator[tuple[Summary, Plot, Path, tuple[str, ...], float | None]]:
        return ((self._lean, plot, self._folder, self._formats, self._max_bpp) for plot in self.plots)


def draw(
    summary: Summary, plot: Plot, folder: Path, formats: Sequence[str], max_bpp: float | None = None
) -> None:
    """Draw one figure and save it in each format. Raises OSError."""
    with mpl.rc_context(PAPER):  # type: ignore[arg-type]
        figure = _figure(_panels(summary, plot, max_bpp), plot.wide, plot.height_inches)
        for suffix in formats:
            figure.savefig(folder / f"{plot.stem}.{suffix}", format=suffix, metadata=_NO_DATE[suffix])


def _lean(summary: Summary) -> Summary:
    """Return the summary without what no figure shows, small enough to be sent to another process."""
    kept = {
        metric: {
            summary.anchor: {
                name: replace(
                    c,
                    images=(),
                    per_image=c.per_image
                    and replace(c.per_image, table=c.per_image.table[["bd_rate_percent"]]),
                )
                for name, c in by_anchor.get(summary.anchor, {}).items()
            }
        }
        for metric, by_anchor in summary.comparisons.items()
    }
    savings = {
        m: {a: s for a, s in found.items() if a == summary.anchor} for m, found in summary.savings.items()
    }
    return replace(summary, comparisons=kept, savings=savings, grids={}, rows=summary.rows.iloc[:0, :0])


def _panels(summary: Summary, plot: Plot, max_bpp: float | None) -> list[Panel]:
    if plot.kind == "time":
        return [_bind(draw_times, summary, plot.metrics[0], side) for side in ("encode", "decode")]
    draw_panel = _KINDS[plot.kind][0]
    return [_bind(draw_panel, summary, metric, max_bpp) for metric in plot.metrics]


def _bind(draw_panel: Callable[..., Finish], *arguments: object) -> Panel:
    return lambda ax: draw_panel(ax, *arguments)


def short_name(metric: str) -> str:
    """Return the metric's name in file names: psnr, ms-ssim, psnr-y."""
    return metric.removesuffix("_rgb").replace("_", "-")


def _figure(panels: Sequence[Panel], wide: bool, height: float) -> Figure:
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
    if len(panels) == 1:
        _lay_out(figure)
        if finishes[0](axes[0], True):
            figure.set_layout_engine("none")
            return figure
    _legend_below(figure, axes, 4 if wide else 2)
    _lay_out(figure)
    figure.set_layout_engine("none")  # what follows is placed by the axes' final size
    for ax, finish in zip(axes, finishes, strict=True):
        finish(ax, False)
    return figure


def _lay_out(figure: Figure) -> None:
    """Give the axes their place and size, without the cost of drawing them."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)


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


def _has(kind: str, summary: Summary, metric: str) -> bool:
    if kind == "rd":
        return any(c.n_points for c in summary.drawn(metric).values())
    if kind == "savings":
        return any(len(s.qualities) > 1 for s in summary.savings[metric].get(summary.anchor, {}).values())
    return any(c.per_image is not None and c.per_image.n_images for c in summary.against(metric))


def _draw_per_image(ax: Axes, summary: Summary, metric: str, _: float | None) -> Finish:
    draw_strips(ax, summary, metric, ax.bbox.width / ax.figure.dpi)
    return lambda _ax, _inside: True


_KINDS: dict[str, tuple[Callable[..., Finish], Callable[..., str], Callable[[Summary], float]]] = {
    "rd": (draw_rd, captions.rd, lambda _: 2.7),
    "savings": (draw_savings, captions.savings, lambda _: 2.5),
    "per-image": (
        _draw_per_image,
        captions.per_image,
        lambda s: 0.75 + 0.27 * max(2, len(s.against(s.metrics[0]))),
    ),
}
"""Each kind of figure but that of times: how a panel is drawn, described, and how many inches high it is."""
