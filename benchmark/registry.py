"""One kind of registry for everything that has a name: built-in lines, entry points of packages, near names.

It serves codecs, metrics, datasets, quantizers, architectures, figures and studies. A built-in line is a
name and a target, "module:ATTRIBUTE", that is imported when the entry is used and not before. Another package
adds an entry with `[project.entry-points."bench.metrics"] mine = "package.module:ATTRIBUTE"`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from benchmark.errors import BenchError, UsageError, did_you_mean

T = TypeVar("T")


@dataclass
class Registry(Generic[T]):
    """Names, each with an entry of type T.

    `what` is the kind in messages ("codec"), `group` the entry point group, `form` what an entry must be, as
    its author would import it; `accepts` tells whether an object is one. `builtin` maps names to targets.
    `name_of` is what an entry says its name is, where it says it: it must be the name that is registered.
    `more` gives entries that neither are listed nor come from packages, such as what files describe, and is
    asked each time. `read` makes an entry, by its name, of what a target gives, where that may be something
    else, such as a file's path. An entry that cannot be used raises `unavailable` when it is asked for, and
    costs the others nothing. `hint` ends the message on a name that there is not.
    """

    what: str
    group: str
    form: str
    accepts: Callable[[object], bool]
    builtin: Mapping[str, str]
    name_of: Callable[[T], str] | None = None
    more: Callable[[], Mapping[str, T]] = dict
    read: Callable[[str, object], object] = lambda name, given: given
    unavailable: type[BenchError] = UsageError
    hint: str = ""
    _loaded: dict[str, T] = field(default_factory=dict, init=False, repr=False)
    _added: dict[str, T] = field(default_factory=dict, init=False, repr=False)

    def names(self) -> tuple[str, ...]:
        """Return every name: the built-in ones, those of `more`, then those of packages; nothing is imported.

        A package's name that is taken stands there as "name of package", so that each name means one thing.
        """
        return tuple(dict.fromkeys([*self.builtin, *self.more(), *self._points, *self._added]))

    def find(self, name: str) -> T:
        """Return the entry `name`.

        Raises UsageError, with near names, if there is none, and `unavailable`, with the remedy, if it cannot
        be imported, is of another form, or comes from a package that uses a name which exists already.
        """
        if name in self._added:
            return self._added[name]
        if name not in self.builtin and name in (more := self.more()):
            return more[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def add(self, name: str, entry: T) -> None:
        """Add an entry for this process alone, such as a notebook's; it takes the place of one added before.

        Raises UsageError for a name that is taken, and for what is no entry.
        """
        if name in self.names() and name not in self._added:
            raise UsageError(f"{self.what} {name!r} exists already; give another name")
        if not self.accepts(entry):
            raise UsageError(f"{self.what} {name!r}: {type(entry).__name__} is no {self.form}")
        self._added[name] = entry

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield every entry that can be used, in the order of `names`."""
        for name in self.names():
            if name not in self.faults:
                yield name, self.find(name)

    @cached_property
    def faults(self) -> Mapping[str, str]:
        """Why entries cannot be used, by name."""
        found = {}
        for name in (*self.builtin, *self._points):
            try:
                self.find(name)
            except self.unavailable as error:
                found[name] = str(error)
        return found

    def forget(self) -> None:
        """Look for packages and entries anew at the next call."""
        self._loaded.clear()
        self.__dict__.pop("_points", None)
        self.__dict__.pop("faults", None)

    @cached_property
    def _points(self) -> Mapping[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            taken = point.name in {*self.builtin, *self.more(), *found}
            found[f"{point.name} of {_package(point)}" if taken else point.name] = point
        return found

    def _load(self, name: str) -> T:
        if name in self.builtin:
            return self._checked(name, self.builtin[name], lambda: load_target(self.builtin[name]), "")
        if name not in self._points:
            hint = f" ({self.hint})" if self.hint else ""
            raise UsageError(f"unknown {self.what} {name!r}; {did_you_mean(name, self.names())}{hint}")
        point = self._points[name]
        where = f"entry point {point.name} = {point.value} of {_package(point)}"
        if name != point.name:
            raise self.unavailable(
                f"{self.what} {name!r}: {where} adds the {self.what} {point.name!r}, which exists already; "
                f"rename it"
            )
        return self._checked(name, where, point.load, "; fix or uninstall the package")

    def _checked(self, name: str, where: str, load: Callable[[], object], remedy: str) -> T:
        try:
            entry = self.read(name, load())
        except Exception as error:  # it is perhaps a stranger's module that is imported here
            why = str(error) if isinstance(error, BenchError) else repr(error)
            raise self.unavailable(
                f"{self.what} {name!r}: {where} cannot be loaded ({why}){remedy}"
            ) from error
        if not self.accepts(entry):
            raise self.unavailable(f"{self.what} {name!r}: {where} is no {self.form}{remedy}")
        found: T = entry  # type: ignore[assignment]
        if self.name_of is not None and self.name_of(found) != name:
            raise self.unavailable(
                f"{self.what} {name!r}: {where} is named {self.name_of(found)!r} in itself{remedy}"
            )
        return found


def load_target(target: str, folder: Path = Path()) -> object:
    """Return what "module:ATTRIBUTE" or "file.py:ATTRIBUTE" names; a file's relative path begins at `folder`.

    Raises ImportError, AttributeError, ValueError if it is not of that form, or whatever the module raises.
    """
    module, attribute = target.rsplit(":", 1)
    if names_file(target):
        return attrgetter(attribute)(_module_of((folder / Path(module).expanduser()).resolve()))
    return attrgetter(attribute)(importlib.import_module(module))


def names_file(target: str) -> bool:
    """Tell "file.py:ATTRIBUTE" from a name and from "module:ATTRIBUTE"."""
    return target.rpartition(":")[0].endswith(".py")


def target_sha256(target: str, folder: Path = Path()) -> str:
    """Return the sha256 of the file in which a target is written: whoever changes it changes what it does.

    Raises as `load_target` does.
    """
    loaded = load_target(target, folder)
    module = inspect.getmodule(loaded) if hasattr(loaded, "__module__") else None
    file = inspect.getsourcefile(module) if module else None
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()


def _module_of(file: Path) -> ModuleType:
    """Import a file by its path, once a process while it stays as it is; files beside it can be imported."""
    if not file.is_file():
        raise ImportError(f"{file}: no such file")
    name = f"bench_file_{hashlib.sha256(f'{file} {file.stat().st_mtime_ns}'.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "a package"
