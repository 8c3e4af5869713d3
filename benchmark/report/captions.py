"""What the captions of several figures and tables share: images, metrics, averaging, doubts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from benchmark.analysis import MEANING, Comparison, Status
from benchmark.analysis.figures import MEAN_CURVES
from benchmark.analysis.intervals import DASH, number
from benchmark.data.manifests import title_of
from benchmark.metrics import METRICS
from benchmark.report.summary import Summary


def short_label(metric: str) -> str:
    """Return a metric's name without its unit."""
    return METRICS.find(metric).short


def axis_label(metric: str) -> str:
    """Return a metric's name and unit, as an axis has them."""
    return METRICS.find(metric).axis


def in_unit(metric: str) -> str:
    """Return " (dB)", or what else the metric's qualities are in, to stand behind a heading."""
    unit = METRICS.find(metric).quality_unit
    return f" ({unit})" if unit else ""


def dataset_title(summary: Summary) -> str:
    """Return the dataset as a title writes it."""
    return title_of(summary.dataset)


def title(summary: Summary) -> str:
    """Return the panel's title: the dataset and how much of it."""
    return f"{dataset_title(summary)}, {summary.scope}"


def averaging(summary: Summary, metric: str) -> str:
    """Say how a metric's curve was averaged."""
    found = METRICS.find(metric)
    if found.decibels is None:
        return summary.averaging_note
    means = f"arithmetic means over images of bpp and of {found.short}"
    return f"{means}, the latter then as {found.decibels.formula} dB"


NEARLY_ALL, ROWS_FOR_ALL = 0.75, 3
"""What is said of this share of the rows of a table, of so many at least, is said once below it."""


def of_headline(c: Comparison) -> dict[Status, str]:
    """Return the doubts of the figure to quote, and of which images each is said, where it is of images.

    That an anchor is published is no doubt of the codec's: its name says it.
    """
    of_curves = c.headline == "mean curve"
    said: dict[Status, str] = {}
    for status, places in c.doubts.items():
        concerned = [place for place in places if (place == MEAN_CURVES) == of_curves]
        if status != "published" and (concerned or not places):
            said[status] = f" ({concerned[0]})" if concerned and not of_curves else ""
    return said


def said_once(found: Sequence[Comparison]) -> dict[Status, str]:
    """Return the doubts that nearly all rows of a table share, and the sentence that says so once."""
    held = [of_headline(c) for c in found]
    everyone = [c.codec for c in found]
    once: dict[Status, str] = {}
    for status in MEANING:
        codecs = [c.codec for c, said in zip(found, held, strict=True) if status in said]
        if len(codecs) >= max(ROWS_FOR_ALL, NEARLY_ALL * len(found)):
            images = " (single images)" if any(said.get(status) for said in held) else ""
            once[status] = f"{_named(codecs, everyone)}{images}: {MEANING[status]}."
    return once


def status_text(c: Comparison, once: Collection[Status] = ()) -> str:
    """Return what is doubtful of the figure to quote, in short, but for what is said `once` of all rows.

    `doubts` has all of it in words.
    """
    said = [
        status.replace("_", " ") + where for status, where in of_headline(c).items() if status not in once
    ]
    return ", ".join(said) or "ok"


def shared_range(c: Comparison) -> str:
    """Return the range of qualities over which the mean curves' rates are compared; a dash for none."""
    if c.mean_curve.shared is None:
        return DASH
    low, high = c.mean_curve.shared
    return f"{number(low)} to {number(high)}"


CAPTION_CHARACTERS = 330
"""About three lines of a page in the type of captions."""
NOTES = "notes.txt"
"""The file beside the pictures that has all of what captions have in part."""


def brief(said: Sequence[str], limit: int = CAPTION_CHARACTERS) -> str:
    """Return as many of the sentences as three lines hold, the first ones before others.

    The last words say so where others are left out, for the file of notes.
    """
    more = f" More in {NOTES}."
    whole = " ".join(said)
    if len(whole) <= limit:
        return whole
    kept = ""
    for sentence in said:
        longer = f"{kept} {sentence}".strip()
        if not kept or len(longer) + len(more) <= limit:
            kept = longer
    return kept + more


def codec_list(summary: Summary, names: Sequence[str]) -> str:
    """Return codecs as a sentence lists them."""
    return ", ".join(summary.text(name) for name in names)


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
