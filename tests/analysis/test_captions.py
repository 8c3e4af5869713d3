from __future__ import annotations

import numpy as np
from synthetic import frame_of

from benchmark.analysis import published
from benchmark.report import captions
from benchmark.report.figures.savings import SAVINGS
from benchmark.report.published import Beside, library, published_curves
from benchmark.report.summary import summarize
from benchmark.report.tables.rows import notes, rows


def test_captions_group_the_codecs_of_a_doubt() -> None:
    frame = frame_of(codecs="abcdef", savings_percent=[0, -7, -9, -12, -15, -20])
    anchor, *others = list(frame["codec"].unique())
    frame.loc[frame["image"] == "image00.png", "status"] = "failed"
    said = captions.doubts(summarize(frame, anchor=anchor), ["psnr_rgb"])
    assert "All: some evaluations failed; their images were excluded." in said
    last = frame["codec"] == others[-1]
    frame.loc[last & (frame["image"] == "image01.png"), "psnr_rgb"] = np.nan
    said = " ".join(captions.doubts(summarize(frame, anchor=anchor), ["psnr_rgb"]))
    assert f"{others[-1]}: some values could not be measured" in said


def test_what_is_true_of_nearly_all_rows_is_said_once() -> None:
    frame = frame_of(codecs="abcde", images=3, savings_percent=[0, -7, -9, -12, -15])
    codecs = [str(name) for name in frame["codec"].unique()]
    frame.loc[frame["codec"] == codecs[4], "psnr_rgb"] += 20
    summary = summarize(frame, anchor=codecs[0])
    table = {row.codec: row.statuses for row in rows(summary, "psnr_rgb")}
    assert [table[name] for name in codecs[1:4]] == ["ok"] * 3
    assert table[codecs[4]] == "little overlap"
    said = [note for note in notes(summary, "psnr_rgb") if "fewer than ten images" in note]
    assert said == ["All: fewer than ten images: the interval is a rough guide."]
    assert f"Not to be quoted: {codecs[4]}." in notes(summary, "psnr_rgb")


def test_beside_part_of_a_dataset_published_curves_say_their_images() -> None:
    part = Beside("kodak", 24, partial=True)
    assert published_curves(part) == {}
    assert len(published_curves(Beside("kodak", 24))["psnr_rgb"]) == 2
    (label,) = published_curves(part, ["kodak-compressai-webp"])["psnr_rgb"]
    assert label == "WebP (Pillow 7.1.2), CompressAI (published, 24 images)"
    assert all(name.endswith("(published, 24 images)") for name in library("kodak", partial=True)["psnr_rgb"])


def test_against_a_published_curve_nothing_is_resampled_and_that_is_said() -> None:
    anchor = published.load("kodak-compressai-webp")
    curves = {"psnr_rgb": {anchor.label: anchor}}
    summary = summarize(frame_of(), anchor=anchor.label, published=curves)
    found = summary.savings["psnr_rgb"][anchor.label]["webp"]
    assert len(found.qualities) > 2
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert "No bands" in " ".join(SAVINGS.said(summary, ["psnr_rgb"]))
    assert "No intervals: a published curve has no images to resample." in notes(summary, "psnr_rgb")
    between = summary.savings["psnr_rgb"]["jpeg"]["webp"]
    assert np.isfinite(between.low).any()
