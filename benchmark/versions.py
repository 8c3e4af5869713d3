"""What a codec's version says: what all points share, and where points have models of their own, those.

`format 1, tcq8, models 0.0018:24e9ab6a(1.1, 0.16) 0.0035:9d1c00f2(1, 0.15)`: a row's version may name the
models of all points, as it did until versions were per point, or that of its own point alone.
"""

from __future__ import annotations

from collections.abc import Iterable

_MODELS = ", models "


def common(version: str) -> str:
    """Return what does not depend on the point."""
    return version.partition(_MODELS)[0]


def covers(recorded: str, wanted: str) -> bool:
    """Tell whether a row of version `recorded` is what a codec of version `wanted`, at one point, gives."""
    models, model = (f" {version.partition(_MODELS)[2]} " for version in (recorded, wanted))
    return recorded == wanted or (
        common(recorded) == common(wanted) and model.strip() != "" and model in models
    )


def differ(versions: Iterable[str]) -> bool:
    """Tell whether versions of one point are of several models or programs."""
    return len(_distinct(versions)) > 1


def merged(versions: Iterable[str]) -> tuple[str, ...]:
    """Return one text for versions that differ in their models alone, with all of these; sorted."""
    models: dict[str, list[str]] = {}
    for version in _distinct(versions):
        models.setdefault(common(version), []).append(version.partition(_MODELS)[2])
    return tuple(_MODELS.join(filter(None, [shared, " ".join(own)])) for shared, own in models.items())


def _distinct(versions: Iterable[str]) -> list[str]:
    """Return the versions that no other one covers, sorted."""
    found = sorted(set(versions))
    return [v for v in found if not any(other != v and covers(other, v) for other in found)]
