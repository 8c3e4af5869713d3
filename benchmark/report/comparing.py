"""`bench compare`: everything that is known of one codec against another, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis import MEANING, Comparison, Curve, Estimate
from benchmark.analysis import compare as compare_codecs
from benchmark.analysis.intervals import DASH, number
from benchmark.analysis.status import MIXED
from benchmark.errors import AnalysisError
from benchmark.metrics import METRICS, shown
from benchmark.report import captions
from benchmark.report.headline import of_comparisons
from benchmark.report.published import Beside, anchors, published_curves

if TYPE_CHECKING:
    from rich.table import Table


def compare_text(
    frames: tuple[pd.DataFrame, pd.DataFrame | None],
    names: tuple[str, str],
    metrics: Sequence[str] = (),
    averaging: str = "per_image",
    published: Sequence[str] = (),
    *,
    allow_mixed: bool = False,
    headline: Sequence[str] = (),
) -> Iterator[Table | str]:
    """Yield tables and lines that compare codec `names[0]` with `names[1]`.

    `headline` are metrics whose mean BD-rate is given too, where all were measured.

    The second frame, if there is one, is where the second codec is taken from. The second name may be that
    of a published curve, a file of one, or the label of one in the files `published`. Raises AnalysisError
    for names without results, and for a bad file.
    """
    frame, anchor_frame = frames
    codec, anchor = names
    measured = [m for m in METRICS.names() if m in frame and frame[m].notna().any()]
    curves = {} if anchor_frame is not None else published_anchor(frame, anchor, published)
    chosen = metrics or shown([m for m in measured if not curves or m in curves])
    for metric in chosen:
        if curves and metric not in curves:
            raise AnalysisError(f"{anchor} reports {', '.join(curves)}, not {metric!r}")
        by: str | Curve = curves.get(metric, anchor)
        found = compare_codecs(
            frame, codec, by, metric, averaging=averaging, anchor_frame=anchor_frame, allow_mixed=allow_mixed
        )
        yield comparison_table(found)
        if isinstance(by, Curve):
            yield f"  {by.label}: published at {by.provenance}"
        if found.point_deltas:
            yield point_table(found)
        yield from image_lines(found)
        for status, places in found.doubts.items():
            yield from (f"  note: {place}{MEANING[status]}" for place in [f"{p}: " for p in places] or [""])
        if found.headline_rate.value is not None and not found.quotable:
            yield "  BD-rate should not be used here, as noted: compare point by point."
        if found.images and not allow_mixed and MIXED.intersection(found.statuses):
            yield "  --allow-mixed gives figures all the same."
    if headline and set(headline) <= set(measured) and not curves:
        options = {"averaging": averaging, "anchor_frame": anchor_frame, "allow_mixed": allow_mixed}
        yield of_comparisons([compare_codecs(frame, codec, anchor, m, **options) for m in headline])  # type: ignore[arg-type]
    if not chosen:
        raise AnalysisError(f"the results have values of no metric; known: {', '.join(METRICS.names())}")


def published_anchor(frame: pd.DataFrame, named: str, published: Sequence[str]) -> Mapping[str, Curve]:
    """Return the published curve that an anchor's name means, by metric; none if it means a codec."""
    from benchmark.analysis.grid import only_dataset

    rows = only_dataset(frame, None)
    if named in set(rows["codec"].unique()):
        return {}
    results = Beside(str(rows["dataset"].iloc[0]), int(rows["dataset_size"].max()))
    label, by_metric = anchors(results, named)
    if published:
        by_metric = published_curves(results, published) | by_metric
    return {metric: by_label[label] for metric, by_label in by_metric.items() if label in by_label}


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
    is_mean = c.headline == "mean curve"
    said = " (to quote)" if c.quotable else " (not to be quoted)"
    mark = {True: said if c.headline_rate.value is not None else "", False: ""}
    mean, own = c.mean_curve, c.per_image
    table.add_row(f"BD-rate of the mean curves{mark[is_mean]}", mean.rate.figure("%"), mean.rate.interval())
    if mean.interpolation_error_percent is not None:
        table.add_row(
            "  leaving out a point, at most", f"±{number(mean.interpolation_error_percent)} points", DASH
        )
    for method, figures in mean.by_method.items():
        if method != "pchip" and "methods_disagree" in c.statuses:
            table.add_row(f"  by {method}", Estimate(figures.rate_percent).figure("%"), DASH)
    if own is not None:
        table.add_row(
            f"BD-rate, mean of {own.n_images} images{mark[not is_mean]}",
            own.rate.figure("%"),
            own.rate.interval(),
        )
        table.add_row(
            "  median, standard deviation",
            f"{Estimate(own.median_rate_percent).figure('%')}, {number(own.std_rate_percent)}",
            DASH,
        )
    unit = METRICS.find(c.metric).quality_unit
    table.add_row("BD-quality of the mean curves", mean.quality.figure(unit, 3), mean.quality.interval(3))
    table.caption = "\n".join(_how(c))
    return table


def _how(c: Comparison) -> Iterator[str]:
    """Yield over which qualities the rates are compared, and how the intervals were made."""
    yield "negative is fewer bits"
    if c.mean_curve.shared is not None:
        unit = METRICS.find(c.metric).quality_unit
        over = f"{captions.shared_range(c)} {unit}".rstrip()
        yield f"over {over}, {c.mean_curve.overlap * 100:.0f} % of the shorter mean curve"
    if c.per_image is None:
        yield "no intervals: a published curve has no images to resample"
    else:
        yield f"intervals: {c.resamples:,} resamples, paired over images"


def point_table(c: Comparison) -> Table:
    """Return rate and quality differences at each operating point that both share."""
    from rich.table import Table

    table = Table(title="At equal operating points, of the means")
    quality = f"Quality{captions.in_unit(c.metric)}"
    for name in ("Point", "Rate (%)", "95 % interval", quality, "95 % interval"):
        table.add_column(name, justify="right")
    for delta in c.point_deltas:
        table.add_row(
            f"{delta.point:g}",
            delta.rate.figure(),
            delta.rate.interval(),
            delta.quality.figure(digits=3),
            delta.quality.interval(3),
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
        f"best {best['image']} {Estimate(best['bd_rate_percent']).figure('%')}, "
        f"worst {worst['image']} {Estimate(worst['bd_rate_percent']).figure('%')}"
    )
