"""The registry of studies: a file here and a line below, or an entry point of another package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from benchmark.errors import UsageError, did_you_mean
from benchmark.registry import Registry

if TYPE_CHECKING:
    from benchmark.studies.base import Study


def _is_study(entry: object) -> TypeGuard[type[Study]]:
    from benchmark.studies.base import Study

    return isinstance(entry, type) and issubclass(entry, Study)


STUDIES: Registry[type[Study]] = Registry(
    what="study",
    group="bench.studies",
    form="subclass of benchmark.studies.base.Study",
    accepts=_is_study,
    name_of=lambda kind: kind.name,
    builtin={
        "generations": "benchmark.studies.generations:Generations",
        "progressive": "benchmark.studies.progressive:Progressive",
        "tiles": "benchmark.studies.tiles:Tiles",
    },
)
"""Studies by the name that `bench study` takes."""


def make_study(name: str, options: Mapping[str, Any]) -> Study:
    """Return the study `name` with these options.

    Raises UsageError for a name that there is not, and for an option that it has not or that is out of range.
    """
    import pydantic

    kind = STUDIES.find(name)
    fields = [field.name for field in kind.options()]
    for option in options:
        if option not in fields:
            raise UsageError(f"study {name!r} has no option {option!r}; {did_you_mean(option, fields)}")
    try:
        return pydantic.TypeAdapter(kind).validate_python(dict(options))
    except pydantic.ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg'].lower()}" for p in error.errors()]
        raise UsageError(f"study {name!r}, option {'; '.join(problems)}") from error
