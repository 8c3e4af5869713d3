"""Versions of codecs: what points share, and whose model is whose."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from synthetic import frame_of

from benchmark.analysis.grid import codec_grids
from benchmark.codecs import make_codec
from benchmark.gate.reference import _mixed_versions
from benchmark.learned.weights import shipped_folder
from benchmark.versions import common, covers, differ, merged

WHOLE = "format 1, tcq8, models 0.0018:24e9ab6a(1.1, 0.16) 0.0035:9d1c00f2(1, 0.15)"
FIRST = "format 1, tcq8, models 0.0018:24e9ab6a(1.1, 0.16)"
SECOND = "format 1, tcq8, models 0.0035:9d1c00f2(1, 0.15)"


def test_a_row_that_names_all_models_covers_each_of_them() -> None:
    assert covers(WHOLE, FIRST)
    assert covers(WHOLE, SECOND)
    assert covers(FIRST, FIRST)
    assert not covers(FIRST, SECOND)
    assert not covers(FIRST, WHOLE)
    assert covers("VTM 22.0", "VTM 22.0")
    assert not covers("VTM 22.0", "VTM 23.0")


@pytest.mark.parametrize(
    "other",
    [
        "format 2, tcq8, models 0.0018:24e9ab6a(1.1, 0.16)",
        "format 1, tcq4, models 0.0018:24e9ab6a(1.1, 0.16)",
        "format 1, tcq8, models 0.0018:24e9ab6a",  # no settings: a part of a model's text is not the model
        "format 1, tcq8, models 0.0018:24e9ab6a(1.1, 0.17)",
        "format 1, tcq8, models 18:24e9ab6a(1.1, 0.16)",
        "format 1, tcq8",
    ],
)
def test_what_differs_in_anything_is_not_covered(other: str) -> None:
    assert not covers(WHOLE, other)


def test_versions_are_told_together() -> None:
    assert common(WHOLE) == "format 1, tcq8"
    assert merged([SECOND, FIRST]) == (WHOLE,)
    assert merged([FIRST, WHOLE]) == (WHOLE,)
    assert merged(["VTM 23.0", "VTM 22.0"]) == ("VTM 22.0", "VTM 23.0")
    assert not differ([WHOLE, FIRST])
    assert differ([FIRST, SECOND])


def test_rows_of_record_stand_for_the_learned_codecs_of_today() -> None:
    """Their rows name the models of all points, as versions did before they were per point."""
    manifest = json.loads((shipped_folder() / "manifest.json").read_text())
    for held in manifest["codecs"]:
        codec = make_codec(held["name"])
        whole = codec.version()
        for entry in (e for e in manifest["files"] if e["variant"] == held["variant"]):
            assert covers(whole, codec.version_at(entry["lmbda"]))


def frame_at(versions: dict[float, list[str]]) -> pd.DataFrame:
    """Return good rows of one codec: at each point, an image a version."""
    frame = frame_of(["mine"], list(versions), images=2)
    for point, of_images in versions.items():
        frame.loc[frame["point"] == point, "codec_version"] = of_images
    return frame


MIXED = {
    "points with models of their own": ({1.0: [FIRST] * 2, 2.0: [SECOND] * 2}, False),
    "rows from before versions were per point": ({1.0: [WHOLE, FIRST], 2.0: [SECOND, WHOLE]}, False),
    "two models at one point": ({1.0: [FIRST, SECOND], 2.0: [SECOND] * 2}, True),
    "two programs": ({1.0: ["VTM 22.0"] * 2, 2.0: ["VTM 23.0"] * 2}, True),
}


@pytest.mark.parametrize("case", MIXED)
def test_models_of_points_are_no_mixture_but_those_of_one_point_are(case: str) -> None:
    versions, mixed = MIXED[case]
    frame = frame_at(versions)
    grid = codec_grids(frame, "psnr_rgb")["mine"]
    assert (len(set(grid.variants.flat)) > 1) == mixed
    assert (_mixed_versions(frame, "s") is not None) == mixed


def test_a_failed_row_of_another_model_mixes_nothing() -> None:
    frame = frame_at({1.0: [FIRST, SECOND], 2.0: [SECOND] * 2})
    frame.loc[frame["codec_version"].eq(SECOND) & frame["point"].eq(1.0), ["status", "bpp"]] = [
        "failed",
        None,
    ]
    grid = codec_grids(frame, "psnr_rgb")["mine"]
    assert len(set(grid.variants.flat) - {-1}) == 1
