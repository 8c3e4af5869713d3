"""What the page carries: means, comparisons, and as many images' own numbers as fit, ready for JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.analysis import MEANING, Comparison, Curve
from benchmark.analysis.grid import CodecGrid
from benchmark.arrays import F64
from benchmark.metrics import METRICS
from benchmark.report import captions
from benchmark.report import savings as savings_module
from benchmark.report.figures.rd import asked_quality
from benchmark.report.savings import Savings
from benchmark.report.style import Style
from benchmark.report.summary import Summary

MAX_NUMBERS = 400_000
"""Per-image numbers in the page, about eight bytes each: with all else it stays under 8 MB."""

Library = Mapping[str, Mapping[str, Curve]]


def page_data(summary: Summary, library: Library, library_styles: Mapping[str, Style]) -> dict[str, Any]:
    """Return the page's data, JSON-ready (no NaN). `library` are further published curves, off at first."""
    grids = summary.grids
    images = shown_images(summary, grids)
    every = sum(1 for _ in _all_images(grids))
    note = (
        ""
        if len(images) == every
        else f"{len(images):,} of {every:,} images, evenly spread from best to worst"
    )
    point_names = {c.codec: c.point_name for c in summary.provenance.codecs}
    published = {label for by_label in summary.published.values() for label in by_label}
    looks = {**summary.styles, **library_styles}
    more = [label for label in library_styles if label not in published]
    names = [
        n
        for n in dict.fromkeys([*summary.legend, *looks])
        if any(n in by for by in (*summary.curves.values(), *summary.published.values(), *library.values()))
    ]
    return {
        "metrics": [_metric(summary, m) for m in summary.metrics],
        "codecs": [
            _look(n, summary.text(n), looks[n])
            | {
                "pointName": point_names.get(n, "point"),
                "more": n in more,
                "note": _note(n, summary, library),
            }
            for n in names
        ],
        "offAtFirst": more,
        "anchor": summary.anchor,
        "scope": summary.scope,
        "protocol": protocol(summary),
        "images": list(images),
        "imagesNote": note,
        "axes": {m: _asked_axes(summary, m) for m in summary.metrics},
        "curves": {
            m: {n: _points(c) for n, c in _every_curve(summary, library, m).items()} for m in summary.metrics
        },
        "used": {
            m: {n: c.coverage.images_used for n, c in summary.curves[m].items()} for m in summary.metrics
        },
        "perImage": _per_image(grids, images),
        "comparisons": {
            m: {a: _comparisons(summary.against(m, a), images) for a in summary.comparisons[m]}
            for m in summary.metrics
        },
        "savings": _savings(summary),
        "savingsResamples": savings_module.RESAMPLES,
        "speeds": {
            c: {"encode": _short(s.encode.median), "decode": _short(s.decode.median)}
            for c, s in summary.speeds.items()
        },
        "timeNote": time_note(summary),
        "meanings": MEANING,
    }


def protocol(summary: Summary) -> str:
    """Say under which protocol the rows were measured, or that there are several."""
    found = summary.provenance.protocols
    if len(found) > 1:
        return f"{len(found)} different ones, see below"
    return readable(found[0]) if found else "not recorded"


def readable(text: str) -> str:
    """Return a JSON object as words, "name value" after "name value"; other text as it is."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    return _words(parsed) if isinstance(parsed, dict) else text


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')} {_words(item)}" for key, item in value.items())
    return str(value)


def time_note(summary: Summary) -> str:
    """Say under what condition times were taken."""
    if not summary.speeds:
        return "none recorded."
    return f"medians per megapixel, {next(iter(summary.speeds.values())).condition}."


def shown_images(summary: Summary, grids: Mapping[str, Mapping[str, CodecGrid]]) -> tuple[str, ...]:
    """Return the images whose own numbers the page carries: all, or an even spread from best to worst."""
    every = list(_all_images(grids))
    points = sum(len(grid.points) for grid in next(iter(grids.values())).values())
    arrays = 1 + sum(1 if METRICS.find(metric).is_own_quality else 2 for metric in grids)
    room = max(20, MAX_NUMBERS // max(1, points * arrays))
    if len(every) <= room:
        return tuple(every)
    ranked = every
    for comparison in summary.against(summary.metrics[0]):
        if comparison.per_image is not None and comparison.per_image.n_images:
            table = comparison.per_image.table.dropna(subset=["bd_rate_percent"])
            ranked = [str(name) for name in table.sort_values("bd_rate_percent", kind="stable")["image"]]
            break
    chosen = {ranked[i] for i in np.linspace(0, len(ranked) - 1, min(room, len(ranked))).round().astype(int)}
    return tuple(image for image in every if image in chosen)


def _all_images(grids: Mapping[str, Mapping[str, CodecGrid]]) -> list[str]:
    return sorted(
        {image for by_codec in grids.values() for grid in by_codec.values() for image in grid.images}
    )


def _metric(summary: Summary, metric: str) -> dict[str, Any]:
    found = METRICS.find(metric)
    return {
        "key": metric,
        "label": found.axis,
        "short": found.short,
        "unit": found.value_unit,
        "digits": found.digits,
        "qualityUnit": found.quality_unit,
        "ownQuality": found.is_own_quality,
        "averaging": captions.averaging(summary, metric),
    }


def _look(name: str, text: str, style: Style) -> dict[str, Any]:
    return {
        "name": name,
        "text": text,
        "colour": style.colour,
        "dash": style.dash,
        "marker": style.marker,
        "published": style.published,
    }


def _note(name: str, summary: Summary, library: Library) -> str:
    for curves in (*summary.published.values(), *library.values()):
        if name in curves:
            return f"published, not measured here: {curves[name].provenance}"
    versions = [" or ".join(c.versions) for c in summary.provenance.codecs if c.codec == name]
    return versions[0] if versions else ""


def _asked_axes(summary: Summary, metric: str) -> dict[str, list[float]]:
    """Return the axes that the user asked for; those of the curves that are on are found on the page."""
    found = {"x": summary.presentation.rate, "y": asked_quality(summary, metric)}
    return {axis: list(range_) for axis, range_ in found.items() if range_ is not None}


def _every_curve(summary: Summary, library: Library, metric: str) -> dict[str, Curve]:
    return {**summary.drawn(metric), **library.get(metric, {})}


def _points(curve: Curve) -> list[list[float | None]]:
    """Return [point, bpp, quality, plain value] for each point of a curve."""
    columns = (curve.points, curve.rates, curve.qualities, curve.values)
    return [
        [_exact(float(v)) for v in row] for row in zip(*columns, strict=True) if np.isfinite(row[1:3]).all()
    ]


def _per_image(grids: Mapping[str, Mapping[str, CodecGrid]], images: Sequence[str]) -> dict[str, Any]:
    """Return each codec's points and, in the order of `images`, its rates, values and qualities.

    Of a metric that is compared by its values as they are, these are not repeated as qualities.
    """
    found: dict[str, dict[str, Any]] = {}
    for metric, by_codec in grids.items():
        for codec, grid in by_codec.items():
            place = {image: i for i, image in enumerate(grid.images)}
            shown = [place.get(image) for image in images]
            entry = found.setdefault(codec, {"points": grid.points.tolist(), "metrics": {}, "qualities": {}})
            entry.setdefault("bpp", _of_images(grid.rates, shown))
            entry["metrics"][metric] = _of_images(grid.values, shown)
            if not grid.metric.is_own_quality:
                entry["qualities"][metric] = _of_images(grid.metric.quality(grid.values), shown)
    return found


def _of_images(cells: F64, places: Sequence[int | None]) -> list[list[float | None] | None]:
    """Return the columns of [points, images] at these places, None for an image that is not there."""
    return [None if i is None else _rounded(cells[:, i]) for i in places]


def _comparisons(found: Sequence[Comparison], images: Sequence[str]) -> list[dict[str, Any]]:
    once = captions.said_once(found)
    return [_comparison(c, images) | {"status": captions.status_text(c, once)} for c in found]


def _comparison(c: Comparison, images: Sequence[str]) -> dict[str, Any]:
    rate, mean, own = c.headline_rate, c.mean_curve, c.per_image
    found: dict[str, Any] = {
        "codec": c.codec,
        "rate": rate.value,
        "low": rate.low,
        "high": rate.high,
        "headline": c.headline,
        "meanRate": mean.rate.value,
        "meanLow": mean.rate.low,
        "meanHigh": mean.rate.high,
        "quality": mean.quality.value,
        "resamples": c.resamples,
        "statuses": [[status, "; ".join(places)] for status, places in c.doubts.items()],
    }
    if "methods_disagree" in c.statuses:
        found["methods"] = {name: figures.rate_percent for name, figures in mean.by_method.items()}
    if own is not None:
        values = dict(zip(own.table["image"], own.table["bd_rate_percent"], strict=True))
        found |= {
            "imageRate": own.rate.value,
            "imageLow": own.rate.low,
            "imageHigh": own.rate.high,
            "median": own.median_rate_percent,
            "spread": own.std_rate_percent,
            "images": own.n_images,
            "better": int((own.table["bd_rate_percent"] < 0).sum()),
            "values": [_short(float(values[i])) if i in values else None for i in images],
        }
    return {key: _exact(v) if isinstance(v, float) else v for key, v in found.items()}


def _savings(summary: Summary) -> dict[str, Any]:
    return {
        m: {
            anchor: {codec: _saving(saving) for codec, saving in by_codec.items()}
            for anchor, by_codec in by_anchor.items()
        }
        for m, by_anchor in summary.savings.items()
    }


def _saving(saving: Savings) -> dict[str, Any]:
    """Return a saving, its even qualities as the first and their step: pairs grow with the codecs' square."""
    q = saving.qualities
    return {
        "from": float(q[0]) if len(q) else 0.0,
        "step": float(q[-1] - q[0]) / max(len(q) - 1, 1) if len(q) else 0.0,
        "rate": _rounded(saving.rate_percent, 4),
        "low": _rounded(saving.low, 4),
        "high": _rounded(saving.high, 4),
    }


def _exact(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(value: float) -> float | None:
    """Seven significant digits: more than any table shows, and half the bytes."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _rounded(values: F64, digits: int = 7) -> list[float | None]:
    """Return many values with so many significant digits, at once; None for those that are not finite."""
    with np.errstate(all="ignore"):
        exponent = digits - 1 - np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** np.abs(exponent)
        found = np.where(exponent > 0, np.round(values * scale) / scale, np.round(values / scale) * scale)
    found = np.where(values == 0, 0.0, found)
    return [value if math.isfinite(value) else None for value in found.tolist()]
