"""Numbers of the tables as text: a true minus sign, a dash where there is none."""

from __future__ import annotations

import math

from benchmark.analysis import Estimate

MINUS = "\u2212"
DASH = "\u2013"


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def interval(estimate: Estimate, digits: int = 2) -> str:
    """Return an estimate's interval; a dash where there is none."""
    if estimate.low is None or estimate.high is None:
        return DASH
    return f"[{number(estimate.low, digits, signed=True)}, {number(estimate.high, digits, signed=True)}]"
