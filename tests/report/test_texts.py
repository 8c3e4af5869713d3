"""Texts in pictures: of any length, in any script, without a raw warning."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
from report_small_run import SmallRun

from benchmark.report.figures.picture import picture
from benchmark.report.figures.plan import plan_plots
from benchmark.report.figures.texts import escape, wrapped
from benchmark.report.presentation import presentation
from benchmark.report.style import PAPER


def test_long_labels_are_wrapped_and_stay_inside(small_run: SmallRun) -> None:
    long = "a codec with a very long name, of the kind that papers give their best variant (ours, improved)"
    asked = presentation(labels=[f"{name}={long} {name}" for name in ("jpeg", "webp")])
    summary = replace(small_run.summary, presentation=asked)
    for plot in plan_plots(summary):
        with mpl.rc_context(dict(PAPER)):  # type: ignore[arg-type]
            canvas = picture(summary, plot)
            box, (width, height) = canvas.get_tightbbox(), canvas.get_size_inches()
        assert -0.01 <= box.x0 < box.x1 <= width + 0.01, plot.stem
        assert -0.01 <= box.y0 < box.y1 <= height + 0.01, plot.stem


def test_letters_without_a_font_are_escaped(small_run: SmallRun) -> None:
    labels = ["jpeg=Größe Ω", "webp=\u7de8\u78bc\U000f1234"]  # the last is a letter of no font
    summary = replace(small_run.summary, presentation=presentation(labels=labels, width="column"))
    plot = next(plot for plot in plan_plots(summary) if plot.stem == "rd-psnr")
    canvas = picture(summary, plot)
    canvas.draw_without_rendering()  # warnings are errors: a missing glyph would end the test here
    texts = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert "Größe Ω" in texts
    assert any(text.endswith(r"\U000f1234") for text in texts)
    assert escape("\u7de8") == r"\u7de8"


def test_words_are_broken_where_they_can_be() -> None:
    assert wrapped("finetuned-tcq", 26) == "finetuned-tcq"
    assert wrapped("one two three", 8) == "one two\nthree"
    assert wrapped("", 8) == ""
