"""What a study is: jobs that give rows, panels that draw the rows, sentences for the caption."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.arrays import Image
from benchmark.codecs import CodecEntry, make_codec
from benchmark.codecs.base import Codec
from benchmark.data.dataset import ImageRef
from benchmark.report.figures.base import Panel
from benchmark.runs.suite import CodecSpec

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
"""Values by column: numbers, texts, None where there is none."""
Work = Callable[[Callable[[], None]], list[Row]]
"""Does a job: it calls what it is given after each of the job's steps, and returns the rows."""


@dataclass(frozen=True)
class Job:
    """A part of a study that is done at once and kept when it is done.

    `what` are the columns that all its rows share, with all that the result depends on: codec, its version,
    image, its hash. `steps` says how much work it is, for the time left.
    """

    what: Mapping[str, str | float]
    work: Work
    steps: int = 1

    @property
    def said(self) -> str:
        """What a message calls the job."""
        return ", ".join(str(self.what[name]) for name in ("codec", "image") if name in self.what)


@dataclass(frozen=True)
class Candidate:
    """A codec that a study looks at: one of the suite, or of the registry."""

    spec: CodecSpec
    entry: CodecEntry
    folder: Path
    """Of the suite's file: relative paths in options are seen from it."""

    @property
    def label(self) -> str:
        """What rows and figures call it."""
        return self.spec.name

    @property
    def points(self) -> tuple[float, ...]:
        """Its operating points in rising quality: the suite's, else the registry's."""
        return self.spec.points or self.entry.points

    def make(self) -> Codec:
        """Return the codec."""
        return make_codec(self.spec.codec_id, self.spec.all_options, self.folder)


@dataclass(frozen=True)
class Subject:
    """What a study is made on: a suite's images, cut as the suite says, and codecs that can run here."""

    dataset: str
    images: tuple[ImageRef, ...]
    size: int
    """How many images the whole dataset has."""
    codecs: tuple[Candidate, ...] = ()
    crop: int | None = None

    def load(self, image: ImageRef) -> Image:
        """Return an image, uint8 [height, width, 3]. Raises ImageError."""
        from benchmark.images import centre_crop, load_image

        pixels = load_image(image.path).pixels
        return pixels if self.crop is None else centre_crop(pixels, self.crop)

    def about(self, image: ImageRef) -> dict[str, str | float]:
        """Return the columns that say which image it is."""
        return {"image": image.name, "image_sha256": image.sha256, "crop": self.crop or 0}


class Study(ABC):
    """One study. A class is a frozen dataclass whose fields are its options, each with a default.

    Its module is imported where only its name is listed: pandas and the drawing library are for the methods.
    """

    name: ClassVar[str]
    """The registry name, with which files begin."""
    title: ClassVar[str]
    """The heading of its figure."""
    summary: ClassVar[str]
    """A line for `bench list studies`."""
    version: ClassVar[str]
    """Whenever the rows of any job change, it changes: rows are kept per version."""
    uses_codecs: ClassVar[bool] = True
    """Whether it looks at the suite's codecs; if not, it says in its options what it looks at."""

    @classmethod
    def options(cls) -> tuple[dataclasses.Field[Any], ...]:
        """Return the options."""
        return dataclasses.fields(cls)  # type: ignore[arg-type]  # every study is a dataclass

    @abstractmethod
    def jobs(self, subject: Subject) -> Iterable[Job]:
        """Return what is to be done. Raises BenchError where the study cannot be made on the subject."""

    @abstractmethod
    def panels(self, rows: pd.DataFrame) -> Sequence[Panel]:
        """Return the panels of the figure, to be drawn side by side across a page."""

    @abstractmethod
    def said(self, rows: pd.DataFrame) -> Sequence[str]:
        """Return the caption's sentences: what is shown, with its figures, and what is doubtful.

        Raises AnalysisError where the rows do not give the figures.
        """

    def key(self, job: Job) -> str:
        """Return what identifies a job and all that its rows depend on: options and version included."""
        options = {field.name: getattr(self, field.name) for field in self.options()}
        everything = json.dumps([self.name, self.version, options, dict(job.what)], sort_keys=True)
        return hashlib.sha256(everything.encode()).hexdigest()[:16]
