"""Colour, shade, dash and marker belong to a codec's name, whatever is selected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.codecs import CODECS
from benchmark.data.find import find_dataset
from benchmark.errors import UsageError
from benchmark.report import read as request
from benchmark.report.figures.picture import picture
from benchmark.report.figures.plan import best_of_families, plan_plots
from benchmark.report.looks import looks
from benchmark.report.presentation import presentation
from benchmark.report.style import GREYS, HUES, MARKERS, Style
from benchmark.report.summary import Summary
from benchmark.results.plan import write_plan
from benchmark.runs.suite import parse_suite

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def test_a_look_belongs_to_the_name_whatever_is_selected() -> None:
    names = [*CODECS.names(), *(f"mine-{i}" for i in range(5)), "yours"]
    every = looks(names, known=names)
    for few in (["bpg", "yours"], ["mine-3"], names[::-1], ["vtm", "mine-0", "jpeg"]):
        assert looks(few, known=names) == {name: every[name] for name in few}


def test_up_to_a_hundred_codecs_look_different() -> None:
    names = [f"codec{i}" for i in range(60)] + [f"net-{i}" for i in range(40)]
    found = looks(names, known=names)
    assert len(set(found.values())) == len(names)
    lines = {(s.colour, s.dash) for name, s in found.items() if name.startswith("net")}
    assert len({s.hue for name, s in found.items() if name.startswith("net")}) == 1
    assert len(lines) > 12  # of 16 that there are, each family and name preferring its own


def test_hue_is_the_family_shade_the_weights_dash_the_quantizer() -> None:
    names = list(CODECS.names())
    found = looks(names)
    assert len(set(found.values())) == len(names)
    kin = {name: CODECS.find(name).kin for name in names}
    learned = {name: pair for name, pair in kin.items() if pair is not None}
    assert len(learned) >= 6
    for name, (weights, quantizer) in learned.items():
        for other, (their_weights, their_quantizer) in learned.items():
            same_family = weights.split("-")[0] == their_weights.split("-")[0]
            assert (found[name].hue == found[other].hue) == same_family
            if same_family and weights == their_weights:
                assert found[name].shade == found[other].shade
            assert (found[name].dash == found[other].dash) == (quantizer == their_quantizer)


def test_published_curves_are_grey_and_lie_below() -> None:
    found = looks(["a"], ["a (published)", "b (published)"])
    published = [found["a (published)"], found["b (published)"]]
    assert all(look.colour in GREYS and look.colour not in HUES for look in published)
    assert published[0] != published[1]
    assert all(look.line()["zorder"] < found["a"].line()["zorder"] for look in published)
    assert all(look.line()["markerfacecolor"] == "white" for look in published)
    assert len(set(HUES)) == 14
    assert len(set(MARKERS)) == 11


def test_shades_go_to_black_and_to_white() -> None:
    assert Style(1).colour == "#D55E00"
    assert Style(1, shade=1).colour == "#803800"
    assert Style(1, shade=2).colour == "#E69E66"


@pytest.fixture(scope="module")
def record() -> Summary:
    asked = request.find("kodak", REFERENCE)
    return request.summarize_suite(asked, request.read(asked))


def test_legends_are_in_the_order_of_bd_rate(record: Summary) -> None:
    rates = {c.codec: c.headline_rate.value for c in record.against("psnr_rgb")} | {record.anchor: 0.0}
    measured = [name for name in record.legend if name in record.codecs]
    known = [rates[name] for name in measured if rates[name] is not None]
    assert known == sorted(known)
    assert set(record.legend[len(measured) :]) == set(record.published["psnr_rgb"])


def test_a_paper_has_the_best_of_each_family(record: Summary) -> None:
    chosen = best_of_families(record, 6)
    assert len(chosen) == 6
    assert len({name.split("-")[0] for name in chosen}) == 6
    assert {"bpg", "vtm", "patch-finetuned-tcq"} <= set(chosen)


def test_what_a_user_asks_of_figures(record: Summary) -> None:
    asked = presentation(
        title="Our title", labels=["bpg=BPG 4:4:4"], order=["jpeg"], axes=(0.1, 0.9, 25, 40), width="page"
    )
    summary = replace(record, presentation=asked)
    plots = {plot.stem: plot for plot in plan_plots(summary)}
    assert all(plot.wide for plot in plots.values())
    canvas = picture(summary, plots["rd-wide"])
    assert canvas.get_suptitle() == "Our title"
    assert [ax.get_title() for ax in canvas.axes] == ["(a) PSNR", "(b) MS-SSIM"]
    assert canvas.axes[0].get_xlim() == canvas.axes[1].get_xlim() == (0.1, 0.9)
    assert canvas.axes[0].get_ylim() == (25, 40)
    assert canvas.axes[1].get_ylim()[1] < 25
    texts = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert texts[0] == "jpeg"
    assert "BPG 4:4:4" in texts
    assert "bpg" not in texts
    savings = picture(summary, plots["savings-wide"])
    assert savings.axes[0].get_ylabel() == "Rate against BPG 4:4:4 (%)"


def test_a_legend_inside_hides_no_curve(record: Summary) -> None:
    asked = replace(presentation(preset="paper"), only=best_of_families(record, 6))
    summary = replace(record, presentation=asked)
    (plot,) = plan_plots(summary)
    assert plot.stem == "rd-paper"
    canvas = picture(summary, plot)
    canvas.draw_without_rendering()
    ax = canvas.axes[0]
    assert ax.get_title() == "(a) PSNR"
    legend = ax.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 8
    box = legend.get_window_extent()
    for line in ax.get_lines():
        path = line.get_transform().transform_path(line.get_path())
        assert not path.intersects_bbox(box, filled=False), line.get_label()
    assert ax.get_xlim() == (0, 1)


def test_a_suite_names_its_codecs_for_figures(tmp_path: Path) -> None:
    images, suite = tmp_path / "images", tmp_path / "named.toml"
    images.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(images / "a.png")
    suite.write_text(
        'name = "named"\ndataset = "folder:images"\nmetrics = ["psnr_rgb"]\n'
        '[[codec]]\nname = "jpeg"\ntitle = "JPEG (ours)"\npoints = [30, 60]\n[[codec]]\nname = "webp"\n'
    )
    found = parse_suite(suite)
    plan = found.plan(find_dataset(found.dataset, None, base=tmp_path))
    assert plan.titles == {"jpeg": "JPEG (ours)"}
    folder = tmp_path / "results" / "named"
    folder.mkdir(parents=True)
    write_plan(folder, plan)
    asked = request.find("named", tmp_path / "results")
    assert presentation(titles=asked.titles).text("jpeg") == "JPEG (ours)"
    assert presentation(titles=asked.titles, labels=["jpeg=J"]).text("jpeg") == "J"
    assert presentation(titles=asked.titles).text("webp") == "webp"


def test_slides_are_large(record: Summary) -> None:
    summary = replace(record, presentation=presentation(style="slides", width="page"))
    plot = next(plot for plot in plan_plots(summary) if plot.stem == "rd-wide")
    assert picture(summary, plot).get_figwidth() == pytest.approx(13.33)


def test_a_name_that_there_is_not_is_refused() -> None:
    presentation(labels=["bpg=BPG"], order=["vtm"]).check({"bpg", "vtm"})
    with pytest.raises(UsageError, match="--label 'bgp': no such codec or curve; did you mean 'bpg'"):
        presentation(labels=["bgp=BPG"]).check({"bpg", "vtm"})
    with pytest.raises(UsageError, match="--order 'vtn'"):
        presentation(order=["vtn"]).check({"bpg", "vtm"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": ["bpg"]}, "--label 'bpg': give CODEC=TEXT"),
        ({"axes": (1.0, 0.5, 20, 40)}, "--axes 1 0.5 20 40: give X0 X1 Y0 Y1"),
        ({"width": "colum"}, "did you mean 'column'"),
        ({"style": "slide"}, "did you mean 'slides'"),
        ({"preset": "papr"}, "did you mean 'paper'"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match="--") as caught:
        presentation(**given)  # type: ignore[arg-type]
    assert said in str(caught.value)
