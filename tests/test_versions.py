"""Versions of codecs: what points share, and whose model is whose."""

from __future__ import annotations

import json

import pytest

from benchmark.codecs import make_codec
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
