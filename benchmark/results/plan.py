"""The plan of a results folder: which rows its suite asks for, in which order; kept beside the rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import StoreError
from benchmark.files import read_text, write_atomically

if TYPE_CHECKING:
    import pandas as pd

PLAN = "_plan.json"


@dataclass(frozen=True)
class Plan:
    """What the suite asked for when it was last run, its `--codec` and `--image` filters aside."""

    dataset: str
    points: dict[str, tuple[float, ...]]
    """Codec labels in the suite's order, with their operating points."""
    images: tuple[str, ...] | None
    """None if images were missing then: which others the dataset has is not known."""
    folder: Path | None
    """Where the images of the dataset folder:PATH lay; None for other datasets."""
    titles: dict[str, str] = field(default_factory=dict)
    """What figures call codecs, by label, where the suite says it."""
    headline: tuple[str, ...] = ()
    """Metrics whose mean BD-rate reports quote, where the suite says it."""

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of `frame`, with the columns dataset, codec, point and image, that are planned."""
        asked = frame["dataset"] == self.dataset
        if self.images is not None:
            asked &= frame["image"].isin(self.images)
        at_points = [
            (frame["codec"] == codec) & frame["point"].isin(points) for codec, points in self.points.items()
        ]
        asked &= np.logical_or.reduce(at_points)
        return frame if asked.all() else frame[asked]


def read_planned(path: Path) -> pd.DataFrame:
    """Return the rows of a results folder that its plan asks for; all of them where there is no plan.

    Raises StoreError as `read_results` and `read_plan` do.
    """
    from benchmark.results.store import read_results

    frame, plan = read_results(path), read_plan(path)
    return frame if plan is None else plan.select(frame)


def write_plan(folder: Path, plan: Plan) -> None:
    """Keep `plan` in the results folder. Raises StoreError."""
    content = {
        "dataset": plan.dataset,
        "codecs": [{"codec": codec, "points": points} for codec, points in plan.points.items()],
        "images": plan.images,
        "folder": None if plan.folder is None else str(plan.folder),
        **({"titles": plan.titles} if plan.titles else {}),
        **({"headline": plan.headline} if plan.headline else {}),
    }
    try:
        write_atomically(folder / PLAN, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise StoreError(f"{folder / PLAN}: cannot be written: {error.strerror}") from error


def read_plan(folder: Path) -> Plan | None:
    """Return the plan kept in a results folder; None if there is none. Raises StoreError if it is damaged."""
    path = folder / PLAN
    try:
        plan = json.loads(read_text(path))
        return Plan(
            dataset=str(plan["dataset"]),
            points={str(c["codec"]): tuple(float(p) for p in c["points"]) for c in plan["codecs"]},
            images=None if plan["images"] is None else tuple(plan["images"]),
            folder=None if plan["folder"] is None else Path(plan["folder"]),
            titles={str(label): str(title) for label, title in plan.get("titles", {}).items()},
            headline=tuple(map(str, plan.get("headline", ()))),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: is damaged ({error}); delete it, the next run writes it again") from error
