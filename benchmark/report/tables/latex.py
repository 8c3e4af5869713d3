r"""The BD table of one metric for a paper: booktabs, to be \input; its caption says how it was made."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.analysis.intervals import DASH, MINUS
from benchmark.report import captions
from benchmark.report.summary import Summary
from benchmark.report.tables.rows import alone, headings, notes, rows

if TYPE_CHECKING:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

_COLUMNS = ("codec", "rate", "interval", "mean_of_images", "quality", "encode", "decode", "macs")
_OWN_RULES = {
    ord("<"): r"\textless", ord(">"): r"\textgreater", ord("|"): r"\textbar", ord("\n"): " ",
    ord(MINUS): "$-$", ord(DASH): "--",
}  # fmt: skip
"""Characters that LaTeX's old font encoding shows as others, and those of numbers."""


def latex(summary: Summary, metric: str) -> str:
    """Return the table of one metric; a comment instead where there is nothing to compare."""
    if said := alone(summary, metric):
        return f"% {latex_text(said)}\n"
    made = " ".join([*notes(summary, metric)[:5], *captions.doubts(summary, [metric])])
    caption = f"{captions.short_label(metric)} BD-rate against {summary.anchor}. {made}"
    cells = [[latex_text(getattr(row, name)) for name in _COLUMNS] for row in rows(summary, metric)]
    table = pd.DataFrame(
        [[_first(codec), *rest] for codec, *rest in cells],
        columns=[latex_text(getattr(headings(metric), name)) for name in _COLUMNS],
    )
    tabular = table.style.hide(axis="index").to_latex(
        caption=latex_text(caption),
        column_format="l" + "r" * (len(_COLUMNS) - 1),
        position_float="centering",
        hrules=True,
    )
    return "% needs \\usepackage{booktabs}\n" + tabular


def latex_text(text: str) -> str:
    """Return text that LaTeX shows as it is; letters that it has no command for are kept."""
    return str(_encoder().unicode_to_latex(text))


def _first(cell: str) -> str:
    r"""Keep the row's end before it, \\ or a rule, from taking the cell for its option."""
    return "{}" + cell if cell.startswith(("[", "*")) else cell


@cache
def _encoder() -> UnicodeToLatexEncoder:
    from pylatexenc.latexencode import RULE_DICT, UnicodeToLatexConversionRule, UnicodeToLatexEncoder

    return UnicodeToLatexEncoder(
        conversion_rules=[UnicodeToLatexConversionRule(RULE_DICT, _OWN_RULES), "defaults"],
        replacement_latex_protection="braces-after-macro",
        unknown_char_policy="keep",
        unknown_char_warning=False,
    )
