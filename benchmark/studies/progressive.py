"""Progressive coding: one embedded stream, cut behind each layer, against a stream for each rate.

Li et al. 2023: dead-zone quantizers make a trained network progressive without another training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmark.api.bdrate import BdRate, bd_rate, curve_of
from benchmark.arrays import Image
from benchmark.codecs import codec_entry, make_codec
from benchmark.data.dataset import ImageRef
from benchmark.metrics import DEFAULT, METRICS
from benchmark.report.figures.base import Panel
from benchmark.report.looks import looks
from benchmark.studies.base import Job, Row, Study, Subject

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from benchmark.analysis import Curve

_LAYERS = (6, 7, 8, 9, 10, 11, 12, 13)
"""The cuts whose pictures are decoded: rates from about 0.07 to 1 bpp."""
_STEPS = (8.0, 4.0, 2.0, 1.0)
"""Of the separate streams of the same network; 1 is what it was trained with."""
_DIGITS = 1
ONE_STREAM, SAME_NETWORK, OTHER_NETWORKS = "one stream", "streams by step", "networks by rate"
_CURVES = {
    ONE_STREAM: "one stream, cut",
    SAME_NETWORK: "same network, a stream for each step",
    OTHER_NETWORKS: "a network for each rate",
}
_PUBLISHED = ("kodak-dpict", "kodak-compressai-bpg")


@dataclass(frozen=True)
class Progressive(Study):
    """The codec `progressive` against what it could do at each rate if its streams were not embedded.

    Rows: curve, dataset, image, point (layers, step or lmbda), bytes, bpp, psnr (of RGB, dB).
    """

    name = "progressive"
    title = "Progressive coding"
    summary = "one stream for all rates against a stream for each (Li et al. 2023)"
    version = "1"
    uses_codecs = False

    def jobs(self, subject: Subject) -> Iterable[Job]:
        """Return a job for each image."""
        version = make_codec(self.name).version()
        steps = len(_LAYERS) + len(_STEPS) + len(codec_entry(_variant()).points)
        for image in subject.images:
            what = {"codec_version": version, "dataset": subject.dataset, **subject.about(image)}
            yield Job(what, partial(self._work, subject, image), steps)

    def _work(self, subject: Subject, image: ImageRef, step: Callable[[], None]) -> list[Row]:
        pixels, rows = subject.load(image), []
        for curve, point, stream, decoded in _coded(pixels):
            quality = METRICS.find(DEFAULT).compute(pixels, decoded)
            size = len(stream)
            bpp = 8 * size / (pixels.shape[0] * pixels.shape[1])
            rows.append({"curve": curve, "point": point, "bytes": size, "bpp": bpp, "psnr": quality})
            step()
        return rows

    def panels(self, rows: pd.DataFrame) -> Sequence[Panel]:
        """Return the curves, and how much more the one stream needs than the others at each quality."""
        return [
            Panel(
                "Rate and quality", partial(_draw_curves, curves=_curves(rows), published=_published(rows))
            ),
            Panel("What one stream for all rates costs", partial(_draw_costs, curves=_curves(rows))),
        ]

    def said(self, rows: pd.DataFrame) -> Sequence[str]:
        """Return what was compared, and BD-rates. Raises AnalysisError where curves are too short."""
        images, curves = rows["image"].nunique(), _curves(rows)
        ours = curves[ONE_STREAM]
        against = [f"{_figure(ours, curves[name])} against {_CURVES[name]}" for name in _others(curves)]
        published = _published(rows)
        said = [
            f"One embedded stream of the {_variant()} network of the highest rate, cut behind layers "
            f"{_LAYERS[0]} to {_LAYERS[-1]}; means over {images} image{'s' * (images > 1)}.",
            f"BD-rate of the stream that is cut: {'; '.join(against)}.",
        ]
        if published and published[0].coverage.dataset_size == images:
            more = [f"{_figure(ours, curve)} against {curve.label}" for curve in published]
            said.append(f"Against published curves: {'; '.join(more)}.")
        elif published:
            size = published[0].coverage.dataset_size
            said.append(f"Published curves (grey) are means over all {size} images: no BD-rate against them.")
        return said


def _variant() -> str:
    """Return the name of the network's own codec, which has a network for each rate."""
    return str(codec_entry(Progressive.name).options["variant"])


def _coded(pixels: Image) -> Iterator[tuple[str, float, bytes, Image]]:
    """Yield curve, point, stream and decoded image of each point of each curve."""
    from benchmark.learned.codec import LearnedCodec
    from benchmark.learned.coding import bitstream
    from benchmark.learned.progressive import LAYERS, cut
    from benchmark.learned.quantizers.base import QuantizerSettings
    from benchmark.learned.quantizers.scalar import SCALAR

    codec = make_codec(Progressive.name)
    whole = codec.encode(pixels, LAYERS)
    for layers in _LAYERS:
        stream = cut(whole, layers)
        yield ONE_STREAM, layers, stream, codec.decode(stream)
    model = LearnedCodec(_variant(), _variant(), SCALAR.name).highest()
    for size in _STEPS:
        coded = model.encode(pixels, SCALAR.name, QuantizerSettings(size)).container
        yield SAME_NETWORK, size, bitstream.pack(coded), model.decode(coded)
    own = make_codec(_variant())
    for point in codec_entry(_variant()).points:
        stream = own.encode(pixels, point)
        yield OTHER_NETWORKS, point, stream, own.decode(stream)


def _curves(rows: pd.DataFrame) -> dict[str, Curve]:
    """Return the mean curves by name: arithmetic means of bpp and PSNR at each point."""
    means = rows.groupby(["curve", "point"], sort=False)[["bpp", "psnr"]].mean().reset_index()
    metric = METRICS.find(DEFAULT)
    return {
        name: curve_of(list(zip(mine["bpp"], mine["psnr"], strict=True)), metric, text)
        for name, text in _CURVES.items()
        if len(mine := means[means["curve"] == name])
    }


def _others(curves: dict[str, Curve]) -> list[str]:
    return [name for name in curves if name != ONE_STREAM]


def _published(rows: pd.DataFrame) -> list[Curve]:
    """Return the published curves of the dataset that the rows are of; none where they are cut."""
    from benchmark.analysis.published import publication

    found = [] if rows["crop"].any() else [publication(name) for name in _PUBLISHED]
    return [curve.curve() for curve in found if (rows["dataset"] == curve.dataset).all()]


def _figure(ours: Curve, other: Curve) -> str:
    found: BdRate = bd_rate(ours, other)
    return "no BD-rate" if found.percent is None else f"{found.percent:+.{_DIGITS}f} %"


def _draw_curves(ax: Axes, curves: dict[str, Curve], published: Sequence[Curve]) -> None:
    styles = looks(list(curves), [curve.label for curve in published])
    for curve in published:
        thin = styles[curve.label].line() | {"marker": ""}
        ax.plot(curve.rates, curve.qualities, label=curve.label, **thin)
    for name, curve in curves.items():
        ax.plot(curve.rates, curve.qualities, label=_CURVES[name], **styles[name].line())
    rates = [rate for curve in curves.values() for rate in curve.rates]
    qualities = [quality for curve in curves.values() for quality in curve.qualities]
    ax.set(xlim=(0, 1.05 * max(rates)), ylim=(min(qualities) - 0.5, max(qualities) + 1.0))
    ax.set(xlabel="Rate (bpp)", ylabel=METRICS.find(DEFAULT).axis)


def _draw_costs(ax: Axes, curves: dict[str, Curve]) -> None:
    from benchmark.analysis.bd import rate_savings

    styles = looks(list(curves))
    for name in _others(curves):
        qualities, percent = rate_savings(curves[name], curves[ONE_STREAM])
        ax.plot(qualities, percent, label=_CURVES[name], **(styles[name].line() | {"marker": ""}))
    ax.axhline(0, color="0.4", linewidth=0.6)
    ax.set(xlabel=METRICS.find(DEFAULT).axis, ylabel="Rate against each (%)")
