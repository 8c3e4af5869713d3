"""Successive compression: what is left of an image that is coded, decoded and coded again, many times over.

The question, and the 50 rounds, are those of Kim et al. 2022, "Successive learned image compression".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from benchmark.arrays import Image
from benchmark.codecs.base import Codec
from benchmark.data.dataset import ImageRef
from benchmark.errors import BitstreamError, UsageError
from benchmark.report.figures.base import Panel
from benchmark.report.looks import looks
from benchmark.runs.target import BitsPerPixel, search
from benchmark.studies.base import Candidate, Job, Row, Study, Subject

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LEAST_SHOWN = 0.01
"""Below this many levels the axis of the change is linear, so that a change of zero can be shown."""


@dataclass(frozen=True)
class Generations(Study):
    """Each image is coded `rounds` times at one point, whose rate is the nearest to `bpp` in the first round.

    Rows: codec, image, round (from 1), point, bytes, bpp, mse (to the original), change (mean squared
    difference to the round before, the original before the first), in squared 8-bit levels.
    """

    name = "generations"
    title = "Successive compression"
    summary = "what many rounds of coding and decoding leave of an image (Kim et al. 2022)"
    version = "1"

    rounds: Annotated[int, Field(ge=2, le=10_000)] = 50
    bpp: Annotated[float, Field(gt=0, le=1000)] = 0.5

    def jobs(self, subject: Subject) -> Iterable[Job]:
        """Return a job for each codec and image. Raises UsageError without codecs."""
        if not subject.codecs:
            raise UsageError(
                f"study {self.name!r}: no codec of the suite can run here; name others by --codec"
            )
        for candidate in subject.codecs:
            version = candidate.make().version()
            for image in subject.images:
                what = {"codec": candidate.label, "codec_version": version, **subject.about(image)}
                work = partial(self._work, candidate, subject, image)
                yield Job(what, work, self.rounds)

    def _work(
        self, candidate: Candidate, subject: Subject, image: ImageRef, step: Callable[[], None]
    ) -> list[Row]:
        pixels, codec = subject.load(image), candidate.make()
        point = search(codec, candidate.points, pixels, BitsPerPixel(self.bpp)).point
        return [{"point": point, **row} for row in generations(codec, pixels, point, self.rounds, step)]

    def panels(self, rows: pd.DataFrame) -> Sequence[Panel]:
        """Return loss, bits and change against the round."""
        means = by_round(rows)
        return [
            Panel("Loss since the first round", partial(_draw, rows=means, column="loss", unit="dB")),
            Panel("Bits", partial(_draw, rows=means, column="bits", unit="% of first round")),
            Panel("Change per round", partial(_draw_change, rows=means)),
        ]

    def said(self, rows: pd.DataFrame) -> Sequence[str]:
        """Return what was done, and each codec's rate and loss."""
        rounds, images = int(rows["round"].max()), rows["image"].nunique()
        means = by_round(rows)
        first, last = (means[means["round"] == number] for number in (1, rounds))
        each = [
            f"{codec} {bpp:.2f} bpp, {loss:.2f} dB{_settled(rows, codec)}"
            for codec, bpp, loss in zip(first["codec"], first["bpp"], last["loss"], strict=True)
        ]
        return [
            f"{rounds} rounds of coding and decoding, means over {images} image{'s' * (images > 1)}, each "
            f"codec at the point nearest to {self.bpp:g} bpp in the first round.",
            f"Rate of the first round and PSNR lost between the first and the last: {'; '.join(each)}.",
            "Change: root mean square of the differences to the round before, in 8-bit levels.",
        ]


def generations(
    codec: Codec, pixels: Image, point: float, rounds: int, step: Callable[[], None] = lambda: None
) -> list[Row]:
    """Code `pixels`, uint8 [height, width, 3], and what comes of it, `rounds` times; a row for each.

    Once a round gives what it was given, all that follow are alike and are not coded: codecs are
    deterministic. Raises CodecError as the codec does, BitstreamError for a picture of another size.
    """
    codec.prepare(point)
    found: list[Row] = []
    before = pixels
    for number in range(1, rounds + 1):
        if found and found[-1]["change"] == 0.0:
            found.append({**found[-1], "round": number})
        else:
            stream = codec.encode(before, point)
            after = codec.decode(stream)
            if after.shape != pixels.shape:
                raise BitstreamError(f"{codec.name}: round {number} gave an image of shape {after.shape}")
            size, area = len(stream), pixels.shape[0] * pixels.shape[1]
            row = {"bytes": size, "bpp": 8 * size / area, "mse": _mse(pixels, after)}
            found.append({"round": number, **row, "change": _mse(before, after)})
            before = after
        step()
    return found


def _mse(a: Image, b: Image) -> float:
    return float(np.square(a.astype(np.int32) - b).mean())


def by_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Return means over images by codec and round: bpp, loss (dB), bits (%), change (root mean square).

    The loss is the PSNR of the first round less that of this one, 0 where both are lossless.
    """
    rows = rows.assign(first=rows.groupby(["codec", "image"])["mse"].transform("first"))
    rows["first_bytes"] = rows.groupby(["codec", "image"])["bytes"].transform("first")
    rows["loss"] = [_loss(*pair) for pair in zip(rows["first"], rows["mse"], strict=True)]
    rows["bits"] = 100 * rows["bytes"] / rows["first_bytes"]
    rows["change"] = np.sqrt(rows["change"])
    shown = ["bpp", "loss", "bits", "change"]
    return rows.groupby(["codec", "round"], sort=False)[shown].mean().reset_index()


def _loss(first: float, now: float) -> float:
    """Return the difference of two PSNRs in dB, by their mean squared errors; of 1e-5 where lossless."""
    if first == now:
        return 0.0
    least = 1e-5
    return 10 * math.log10(max(now, least) / max(first, least))


def _settled(rows: pd.DataFrame, codec: str) -> str:
    """Say from which round on a codec's images stay as they are, if all do."""
    mine = rows[(rows["codec"] == codec) & (rows["change"] > 0)]
    last = int(mine["round"].max()) if len(mine) else 0
    return f" (unchanged from round {last + 1} on)" if last < rows["round"].max() else ""


def _draw(ax: Axes, rows: pd.DataFrame, column: str, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    styles = looks(list(dict.fromkeys(rows["codec"])))
    for codec, mine in rows.groupby("codec", sort=False):
        style = styles[str(codec)].line()
        every = max(1, len(mine) // 6)
        ax.plot(mine["round"], mine[column], label=str(codec), markevery=every, **style)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="Round", ylabel=f"{column.capitalize()} ({unit})")


def _draw_change(ax: Axes, rows: pd.DataFrame) -> None:
    _draw(ax, rows, "change", "RMS, levels")
    ax.set_yscale("symlog", linthresh=_LEAST_SHOWN)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(bottom=0)
