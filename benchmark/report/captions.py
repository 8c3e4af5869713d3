"""What must be said wherever a figure is shown: images, averaging, protocol, intervals, what lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchmark.analysis import MEANING, Comparison, Status
from benchmark.analysis.figures import MEAN_CURVES
from benchmark.data.manifests import title_of
from benchmark.report import savings as savings_module
from benchmark.report.figures.layout import rd_window, savings_view
from benchmark.report.summary import Summary

SHORT_LABELS = {"psnr_rgb": "PSNR", "ms_ssim_rgb": "MS-SSIM", "psnr_y": "PSNR-Y", "psnr_yuv": "PSNR-YUV"}


def short_label(metric: str) -> str:
    """Return a metric's name without its unit."""
    return SHORT_LABELS[metric]


def dataset_title(summary: Summary) -> str:
    """Return the dataset as a title writes it."""
    return title_of(summary.dataset)


def title(summary: Summary) -> str:
    """Return the panel's title: the dataset and how much of it."""
    return f"{dataset_title(summary)}, {summary.scope}"


def averaging(summary: Summary, metric: str) -> str:
    """Say how a metric's curve was averaged."""
    if metric == "ms_ssim_rgb":
        return "arithmetic means over images of bpp and of MS-SSIM, the latter then as -10 log10(1 - x) dB"
    return summary.averaging_note


def rd(summary: Summary, metrics: Sequence[str], max_bpp: float | None = None) -> str:
    """Return the caption of an RD plot, with how many points the range leaves out."""
    said = [f"Rate-distortion curves on {title(summary)}; real bitstreams, headers counted."]
    for metric in metrics:
        said.append(f"{short_label(metric)}: {averaging(summary, metric)}.")
        drawn = summary.drawn(metric)
        window = rd_window(list(drawn.values()), max_bpp)
        beyond = {label: n for label, curve in drawn.items() if (n := window.beyond(curve))}
        if beyond:
            listed = ", ".join(f"{label}: {n}" for label, n in beyond.items())
            said.append(f"Points beyond the {short_label(metric)} axis range, not shown: {listed}.")
    return " ".join([*said, *_published(summary, metrics), *doubts(summary, metrics, of="curves")])


def savings(summary: Summary, metrics: Sequence[str], max_bpp: float | None = None) -> str:
    """Return the caption of a rate-savings plot."""
    del max_bpp
    how = (
        f"Rate of each codec's mean curve against {summary.anchor} at equal quality, on {title(summary)} "
        "(PCHIP through log rate over dB; below 0 is a saving). Bands: 95 % of "
        f"{savings_module.RESAMPLES} paired bootstrap resamples over the images that all codecs share."
    )
    said = [how]
    for metric in metrics:
        said.append(f"{short_label(metric)}: {averaging(summary, metric)}.")
        found = summary.savings[metric][summary.anchor]
        view = savings_view(found, list(summary.drawn(metric).values()))
        if view.outside:
            said.append(f"Beyond the {short_label(metric)} axes, not shown: {', '.join(view.outside)}.")
        if view.in_part:
            said.append(f"Beyond the {short_label(metric)} axis in part: {', '.join(view.in_part)}.")
    return " ".join([*said, *doubts(summary, metrics, of="curves")])


def per_image(summary: Summary, metrics: Sequence[str], max_bpp: float | None = None) -> str:
    """Return the caption of the per-image plot."""
    del max_bpp
    resamples = max(c.resamples for metric in metrics for c in summary.against(metric))
    how = (
        f"BD-rate image by image against {summary.anchor}, on {title(summary)} (PCHIP; below 0: fewer bits). "
        "Dots: images (quantiles where there are more than 200). "
        f"Diamond: their mean; bar: its 95 % interval, paired bootstrap, {resamples:,} resamples."
    )
    return " ".join([how, *doubts(summary, metrics, of="images")])


def times(summary: Summary, metric: str) -> str:
    """Return the caption of the time plot."""
    speed = next(iter(summary.speeds.values()))
    left_out = {codec: s.rows_left_out for codec, s in summary.speeds.items() if s.rows_left_out}
    missing = [codec for codec in summary.codecs if codec not in summary.speeds]
    no_rate = [
        c.codec
        for c in summary.against(metric)
        if c.headline_rate.value is None and c.codec in summary.speeds
    ]
    said = [
        f"{short_label(metric)} BD-rate against {summary.anchor} over median coding time, on "
        f"{title(summary)}; {speed.condition}. Encoding and decoding are timed apart, after a warm-up. "
        "Horizontal bars: quartiles over images and points; vertical bars: 95 % interval of the BD-rate."
    ]
    if left_out:
        listed = ", ".join(f"{codec}: {n}" for codec, n in left_out.items())
        said.append(f"Rows timed under other conditions, left out: {listed}.")
    if missing:
        said.append(f"No comparable times: {', '.join(missing)}.")
    if no_rate:
        said.append(f"No BD-rate, not shown: {', '.join(no_rate)}.")
    return " ".join([*said, *doubts(summary, [metric])])


def status_text(c: Comparison) -> str:
    """Return what is doubtful of the figure to quote, in short; `doubts` has all of it in words."""
    of_curves = c.headline == "mean curve"
    said = []
    for status, places in c.doubts.items():
        concerned = [place for place in places if (place == MEAN_CURVES) == of_curves]
        if concerned or not places:
            where = f" ({concerned[0]})" if concerned and not of_curves else ""
            said.append(status.replace("_", " ") + where)
    return ", ".join(said) or "ok"


def doubts(
    summary: Summary, metrics: Sequence[str], of: Literal["curves", "images", "both"] = "both"
) -> list[str]:
    """Name every doubt that the comparisons carry, with the codecs concerned.

    `of` says what is shown: the mean curves, whose doubts need no further word, single images, or both.
    """
    concerned: dict[Status, dict[str, list[str]]] = {}
    everyone: list[str] = []
    for metric in metrics:
        for comparison in summary.against(metric):
            everyone.append(comparison.codec)
            for status, places in comparison.doubts.items():
                shown = [p for p in places if of == "both" or (p == MEAN_CURVES) == (of == "curves")]
                if status == "published" or (places and not shown):
                    continue
                metric_name = f"{short_label(metric)}: " if len(metrics) > 1 else ""
                where = f" ({metric_name}{'; '.join(shown)})" if shown and of != "curves" else ""
                concerned.setdefault(status, {}).setdefault(where, []).append(comparison.codec)
    return [
        "; ".join(_named(codecs, everyone) + where for where, codecs in places.items())
        + f": {MEANING[status]}."
        for status, places in sorted(concerned.items())
    ]


def _named(codecs: Sequence[str], everyone: Sequence[str]) -> str:
    """List codecs, as "All but ..." where that is shorter: a caption is to be read."""
    listed = list(dict.fromkeys(codecs))
    others = [codec for codec in dict.fromkeys(everyone) if codec not in listed]
    if len(listed) <= 3 or len(others) > 2:
        return ", ".join(listed)
    return f"All but {' and '.join(others)}" if others else "All"


def _published(summary: Summary, metrics: Sequence[str]) -> list[str]:
    curves = {label: c for metric in metrics for label, c in summary.published.get(metric, {}).items()}
    if not curves:
        return []
    listed = "; ".join(f"{label}: {curve.provenance}" for label, curve in curves.items())
    return [f"Dashed: published, not measured here ({listed})."]
