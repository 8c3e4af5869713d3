from __future__ import annotations

import numpy as np
from synthetic import frame_of

from benchmark.report import captions
from benchmark.report.summary import summarize


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
