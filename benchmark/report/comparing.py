"""`bench compare`: everything that is known of one codec against another, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis import MEANING, Comparison, Curve
from benchmark.analysis import compare as compare_codecs
from benchmark.analysis.published import list_curves, load
from benchmark.analysis.status import MIXED
from benchmark.errors import AnalysisError
from benchmark.report import captions
from benchmark.report.summary import FIGURE_METRICS
from benchmark.report.tables import text as tables

if TYPE_CHECKING:
    from rich.table import Table


def compare_text(
    frames: tuple[pd.DataFrame, pd.DataFrame | None],
    names: tuple[str, str],
    metrics: Sequence[str] = (),
    averaging: str = "per_image",
    *,
    allow_mixed: bool = False,
) -> Iterator[Table | str]:
    """Yield tables and lines that compare codec `names[0]` with `names[1]`.

    The second frame, if there is one, is where the second codec is taken from. The second name may be that
    of a published curve. Raises AnalysisError for names without results.
    """
    frame, anchor_frame = frames
    codec, anchor = names
    chosen = metrics or [m for m in FIGURE_METRICS if frame[m].notna().any()]
    for metric in chosen:
        by: str | Curve = anchor
        if anchor_frame is None and any(p.name == anchor for p in list_curves()):
            by = load(anchor, metric)
        found = compare_codecs(
            frame, codec, by, metric, averaging=averaging, anchor_frame=anchor_frame, allow_mixed=allow_mixed
        )
        yield comparison_table(found)
        if found.point_deltas:
            yield point_table(found)
        yield from image_lines(found)
        for status, places in found.doubts.items():
            yield from (f"  note: {place}{MEANING[status]}" for place in [f"{p}: " for p in places] or [""])
        if found.images and not allow_mixed and MIXED.intersection(found.statuses):
            yield "  --allow-mixed gives figures all the same."
    if not chosen:
        raise AnalysisError("the results have no PSNR or MS-SSIM to compare; name another metric")


def comparison_table(c: Comparison) -> Table:
    """Return both BD figures with their intervals."""
    from rich.markup import escape
    from rich.table import Table

    images = f"{len(c.images)} of {c.coverage.dataset_size} images"
    table = Table(
        title=escape(f"{captions.short_label(c.metric)}: {c.codec} against {c.anchor}, {c.dataset}, {images}")
    )
    for name in ("Figure", "Value", "95 % interval"):
        table.add_column(name, justify="left" if name == "Figure" else "right")
    mark = {True: " (to quote)", False: ""}
    is_mean = c.headline == "mean curve"
    mean, own = c.mean_curve, c.per_image
    table.add_row(
        f"BD-rate of the mean curves{mark[is_mean]}", _percent(mean.rate.value), tables.interval(mean.rate)
    )
    for method, figures in mean.by_method.items():
        if method != "pchip" and "methods_disagree" in c.statuses:
            table.add_row(f"  by {method}", _percent(figures.rate_percent), tables.DASH)
    if own is not None:
        table.add_row(
            f"BD-rate, mean of {own.n_images} images{mark[not is_mean]}",
            _percent(own.rate.value),
            tables.interval(own.rate),
        )
        table.add_row(
            "  median, standard deviation",
            f"{_percent(own.median_rate_percent)}, {tables.number(own.std_rate_percent)}",
            tables.DASH,
        )
    table.add_row(
        "BD-quality of the mean curves",
        f"{tables.number(mean.quality.value, 3, signed=True)} dB",
        tables.interval(mean.quality, 3),
    )
    overlap = f"mean curves overlap by {mean.overlap:.1%}; " if mean.by_method else ""
    table.caption = f"negative is fewer bits; {overlap}{c.resamples:,} resamples, paired over images"
    return table


def point_table(c: Comparison) -> Table:
    """Return rate and quality differences at each operating point that both share."""
    from rich.table import Table

    table = Table(title="At equal operating points, of the means")
    for name in ("Point", "Rate (%)", "95 % interval", "Quality (dB)", "95 % interval"):
        table.add_column(name, justify="right")
    for delta in c.point_deltas:
        table.add_row(
            f"{delta.point:g}",
            tables.number(delta.rate.value, signed=True),
            tables.interval(delta.rate),
            tables.number(delta.quality.value, 3, signed=True),
            tables.interval(delta.quality, 3),
        )
    return table


def image_lines(c: Comparison) -> Iterator[str]:
    """Yield on how many images the codec is better, and the two ends."""
    if c.per_image is None or not c.per_image.n_images:
        return
    held = c.per_image.table.dropna(subset=["bd_rate_percent"]).sort_values("bd_rate_percent", kind="stable")
    better = int((held["bd_rate_percent"] < 0).sum())
    best, worst = held.iloc[0], held.iloc[-1]
    yield (
        f"  better on {better} of {len(held)} images; "
        f"best {best['image']} {_percent(best['bd_rate_percent'])}, "
        f"worst {worst['image']} {_percent(worst['bd_rate_percent'])}"
    )


def _percent(value: float | None) -> str:
    return f"{tables.number(value, signed=True)} %"
