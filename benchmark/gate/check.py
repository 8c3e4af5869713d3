"""The gate: did a codec get worse than the results of record? Verdicts by codec and metric, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.analysis.comparison import compare
from benchmark.analysis.figures import Comparison, PointDelta
from benchmark.analysis.grid import resolve
from benchmark.analysis.intervals import Estimate
from benchmark.analysis.status import MEANING, MIXED, Status, joined
from benchmark.errors import AnalysisError, did_you_mean
from benchmark.gate.findings import Finding, Limits, find_in_rows, pair_rows
from benchmark.metrics import METRICS, shown
from benchmark.metrics.base import Metric

Verdict = Literal["pass", "regression", "improvement", "inconclusive"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "improvement": 0, "regression": 1, "inconclusive": 3}

_DOUBTFUL: frozenset[Status] = MIXED | {"no_shared_images"}


@dataclass(frozen=True)
class MetricVerdict:
    """The verdict on one codec by one metric.

    `bd_rate` (percent, more is worse) is the mean of the images' own BD-rates, paired, against the reference;
    `mean_curve_bd_rate` is that of the mean curves. `reason` says in words what decided.
    """

    codec: str
    metric: str
    verdict: Verdict
    reason: str
    bd_rate: Estimate
    mean_curve_bd_rate: Estimate
    images: int
    identical: bool
    statuses: tuple[Status, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True)
class GateReport:
    """All that the gate has to say. `exit_code` is 0, 1 or 3 as EXIT_CODES has them."""

    suite: str
    against: str
    limits: Limits
    verdicts: tuple[MetricVerdict, ...]
    findings: tuple[Finding, ...]
    rows: int
    reference_rows: int
    allow_inconclusive: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The worst that was found."""
        found = {v.verdict for v in self.verdicts}
        severities = {f.severity for f in self.findings}
        if "regression" in found or "fail" in severities:
            return "regression"
        if "inconclusive" in found or "doubt" in severities:
            return "inconclusive"
        return "improvement" if "improvement" in found else "pass"

    @property
    def exit_code(self) -> int:
        """What the process should return."""
        if self.verdict == "inconclusive" and self.allow_inconclusive:
            return 0
        return EXIT_CODES[self.verdict]


def check(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    suite: str = "",
    against: str = "",
    metrics: Sequence[Metric | str] = (),
    codecs: Sequence[str] = (),
    limits: Limits | None = None,
    allow_inconclusive: bool = False,
    seed: int = 0,
) -> GateReport:
    """Compare results with the results of record, the same images at the same points, pair by pair.

    Both frames have Record's columns. Without `metrics`, those of `metrics.shown` are judged; with `codecs`,
    nothing is said of others. Raises AnalysisError where there is nothing to compare: an empty frame, an
    unknown metric or none that either side holds, a codec that neither side holds, no codec in common.
    """
    current, reference = _only(codecs, current, reference)
    limits = limits or Limits()
    judged = [resolve(name) for name in metrics or shown(_measured(current, reference))]
    for name, frame in (("the results", current), ("the reference", reference)):
        if frame.empty:
            of = f"{', '.join(codecs)} in {suite or 'the suite'}" if codecs else suite or "the suite"
            raise AnalysisError(f"{name} of {of} hold no rows; run the suite first")
    pairs = pair_rows(current, reference)
    common = [codec for codec in reference["codec"].unique() if codec in set(current["codec"])]
    if not common:
        raise AnalysisError(
            f"no codec in common: the results have {', '.join(current['codec'].unique())}, "
            f"the reference has {', '.join(reference['codec'].unique())}"
        )
    verdicts = [
        verdict
        for codec in common
        for metric in judged
        if _is_measured((current, reference), codec, metric)
        for verdict in [_judge((current, reference), pairs, codec, metric, limits=limits, seed=seed)]
    ]
    if not verdicts:
        wanted = ", ".join(metric.name for metric in judged) or "that are known here"
        raise AnalysisError(f"neither side holds metrics {wanted}; known: {', '.join(METRICS.names())}")
    better = {v.codec for v in verdicts if v.verdict == "improvement"}
    return GateReport(
        suite=suite,
        against=against,
        limits=limits,
        verdicts=tuple(verdicts),
        findings=tuple(find_in_rows(pairs, judged, limits, better)),
        rows=len(current),
        reference_rows=len(reference),
        allow_inconclusive=allow_inconclusive,
    )


def _only(codecs: Sequence[str], *frames: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of these codecs, all where none is named. Raises AnalysisError for one without rows."""
    known = {str(codec) for frame in frames for codec in frame["codec"].unique()}
    for codec in codecs:
        if codec not in known:
            raise AnalysisError(
                f"neither the results nor the reference have codec {codec!r}; {did_you_mean(codec, known)}"
            )
    return [frame[frame["codec"].isin(list(codecs))] if codecs else frame for frame in frames]


def _measured(*frames: pd.DataFrame) -> list[str]:
    """Return the metrics of which either side holds values."""
    return [m for m in METRICS.names() if any(m in f and f[m].notna().any() for f in frames)]


def _is_measured(frames: Sequence[pd.DataFrame], codec: str, metric: Metric) -> bool:
    """Whether at least one side holds the metric for this codec."""
    held = (frame for frame in frames if metric.name in frame)
    return any(frame.loc[frame["codec"] == codec, metric.name].notna().any() for frame in held)


def _judge(
    frames: tuple[pd.DataFrame, pd.DataFrame],
    pairs: pd.DataFrame,
    codec: str,
    metric: Metric,
    *,
    limits: Limits,
    seed: int,
) -> MetricVerdict:
    mine = pairs[(pairs["codec"] == codec) & pairs["both_ok"]]
    if len(mine) and (mine["same_bits"] & mine["same_pixels"]).all():
        zero = Estimate(0.0, 0.0, 0.0)
        images = int(mine["image"].nunique())
        return MetricVerdict(
            codec, metric.name, "pass", "the same bits and the same pixels", zero, zero, images, True, ("ok",)
        )
    found = compare(frames[0], codec, codec, metric, anchor_frame=frames[1], seed=seed)
    verdict, reason = _decide(found, limits, metric.quality_unit)
    rate = found.per_image.rate if found.per_image is not None else Estimate(None)
    return MetricVerdict(
        codec,
        metric.name,
        verdict,
        reason,
        rate,
        found.mean_curve.rate,
        len(found.images),
        False,
        joined(found.statuses, found.image_statuses),
        found,
    )


def _decide(found: Comparison, limits: Limits, unit: str) -> tuple[Verdict, str]:
    """Decide on the bounds of the intervals; the mean alone never decides."""
    doubts = [MEANING[status] for status in found.statuses if status in _DOUBTFUL]
    if doubts:
        return "inconclusive", "; ".join(doubts)
    limit = limits.max_regression_percent
    figure = _deciding_figure(found)
    if figure is None:
        return _decide_by_points(found.point_deltas, limits, unit)
    verdict, reason = _decide_by_figure(figure, limit)
    if verdict in ("pass", "inconclusive"):
        moved, where = _decide_by_points(found.point_deltas, limits, unit)
        if moved == "regression":
            return moved, f"{reason}, but {where}"
    return verdict, reason


def _decide_by_figure(figure: tuple[float, float, float], limit: float) -> tuple[Verdict, str]:
    value, low, high = figure
    if low > 0 and value > limit:
        return "regression", f"significant regression: BD-rate above {limit:g} %, interval above 0"
    if high < 0 and value < -limit:
        return "improvement", f"significant improvement: BD-rate below -{limit:g} %, interval below 0"
    if high > limit:
        return "inconclusive", f"the interval reaches past {limit:g} %"
    return "pass", f"the interval stays below {limit:g} %"


def _deciding_figure(found: Comparison) -> tuple[float, float, float] | None:
    """Return the paired figure, else that of the mean curve; None where neither has an interval."""
    figures = [found.mean_curve.rate]
    if found.per_image is not None and found.per_image.n_images == len(found.images):
        figures.insert(0, found.per_image.rate)
    for figure in figures:
        if figure.value is not None and figure.low is not None and figure.high is not None:
            return figure.value, figure.low, figure.high
    return None


def _decide_by_points(deltas: Sequence[PointDelta], limits: Limits, unit: str) -> tuple[Verdict, str]:
    """Decide by what happened at each operating point, where BD-rate has no figure or sees no change.

    BD-rate does not see a codec that slides along its own curve, and has none where curves have one point.
    """
    if not deltas:
        return "inconclusive", "no BD-rate, and no operating point in common"
    costly = [d for d in deltas if _beyond(d.rate, limits.max_regression_percent, +1)]
    cheaper = [d for d in deltas if _beyond(d.rate, limits.max_regression_percent, -1)]
    worse = [d for d in deltas if _beyond(d.quality, limits.max_point_loss_db, -1)]
    better = [d for d in deltas if _beyond(d.quality, limits.max_point_loss_db, +1)]
    if not (costly or worse):
        return ("improvement" if cheaper or better else "pass"), _most_moved(deltas, unit)
    return "regression", f"points moved: {_most_moved(worse or costly, unit)}"


def _beyond(figure: Estimate, limit: float, sign: int) -> bool:
    """Whether the whole interval (or the value, of a single image) lies past the limit in this direction."""
    if figure.value is None:
        return False
    bounds = [figure.value if bound is None else bound for bound in (figure.low, figure.high)]
    return sign * figure.value > limit and min(sign * bound for bound in bounds) > 0


def _most_moved(deltas: Sequence[PointDelta], unit: str) -> str:
    def size(delta: PointDelta) -> float:
        return abs(delta.quality.value or 0) * 16 + abs(delta.rate.value or 0)

    most = max(deltas, key=size)
    rate, quality = (np.nan if figure.value is None else figure.value for figure in (most.rate, most.quality))
    return f"at {most.point:g}, {rate:+.2f} % bits and {quality:+.3f} {unit}".rstrip()
