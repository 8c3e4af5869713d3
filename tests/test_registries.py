"""The one kind of registry: targets imported on use, near names, packages that are broken or take a name."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import install_package

from benchmark.errors import CodecUnavailableError, UsageError, WeightsError
from benchmark.registry import Registry


@dataclass(frozen=True)
class Toy:
    colour: str


FILES: dict[str, Toy] = {}


def files() -> Mapping[str, Toy]:
    return FILES


@pytest.fixture
def toys(site: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Toy]:
    """A registry of the toys `red` and `blue`, of the module `shelf`, and of those in FILES."""
    monkeypatch.setattr(sys.modules[__name__], "FILES", {})
    (site / "shelf.py").write_text(f"from {__name__} import Toy\nRED, BLUE = Toy('red'), Toy('blue')\n")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return Registry(
        what="toy",
        group="bench.toys",
        form="test_registries.Toy",
        accepts=lambda entry: isinstance(entry, Toy),
        builtin={"red": "shelf:RED", "blue": "shelf:BLUE"},
        more=files,
        unavailable=CodecUnavailableError,
        hint="or make one",
    )


def add(site: Path, name: str, source: str, module: str = "toybox") -> None:
    install_package(
        site, module, f"from {__name__} import Toy\n{source}\n", f"[bench.toys]\n{name} = {module}:MINE\n"
    )


def test_nothing_is_imported_before_it_is_used(toys: Registry[Toy], site: Path) -> None:
    add(site, "green", "MINE = Toy('green')")
    FILES["paper"] = Toy("white")
    assert toys.names() == ("red", "blue", "paper", "green")
    assert {"shelf", "toybox"}.isdisjoint(sys.modules)
    assert toys.find("green") == Toy("green")
    assert "shelf" not in sys.modules
    assert toys.find("red") == Toy("red")
    assert list(toys.items()) == [(n, toys.find(n)) for n in ("red", "blue", "paper", "green")]
    assert not toys.faults


def test_an_unknown_name_offers_near_ones_of_every_origin(toys: Registry[Toy], site: Path) -> None:
    add(site, "greenish", "MINE = Toy('green')")
    FILES["paper"] = Toy("white")
    with pytest.raises(UsageError, match=r"^unknown toy 'papr'; did you mean 'paper'\? \(or make one\)$"):
        toys.find("papr")
    with pytest.raises(UsageError, match="did you mean 'greenish'"):
        toys.find("grenish")
    with pytest.raises(UsageError, match="known: blue, greenish, paper, red"):
        toys.find("zzz")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("MINE = 'green'", "is no test_registries.Toy; fix or uninstall"),
        ("MINE = None", "is no test_registries.Toy"),
        ("", "cannot be loaded .*MINE.*uninstall"),
        ("raise OSError('no disk')", "cannot be loaded .*no disk"),
    ],
)
def test_a_broken_package_costs_its_own_entry_alone(
    toys: Registry[Toy], site: Path, source: str, reason: str
) -> None:
    add(site, "green", source)
    said = rf"^toy 'green': entry point green = toybox:MINE of toybox {reason}"
    with pytest.raises(CodecUnavailableError, match=said):
        toys.find("green")
    assert re.search(said, toys.faults["green"])
    assert [name for name, _ in toys.items()] == ["red", "blue"]
    assert toys.names() == ("red", "blue", "green")


@pytest.mark.parametrize("name", ["red", "paper", "green"])
def test_a_name_that_is_taken_stands_under_another(toys: Registry[Toy], site: Path, name: str) -> None:
    FILES["paper"] = Toy("white")
    add(site, "green", "MINE = Toy('green')", "abox")
    add(site, name, "MINE = Toy('false')", "rival")
    if name != "green":  # which of two packages comes first is not ours to say
        assert toys.find(name).colour != "false"
    (loser,) = toys.faults
    assert re.fullmatch(rf"{name} of (rival|abox)", loser)
    with pytest.raises(CodecUnavailableError, match=rf"adds the toy '{name}', .* already; rename it"):
        toys.find(loser)


def test_what_files_describe_is_asked_each_time(toys: Registry[Toy]) -> None:
    FILES["paper"] = Toy("white")
    assert toys.find("paper") == Toy("white")
    FILES["paper"] = Toy("grey")
    assert toys.find("paper") == Toy("grey")
    del FILES["paper"]
    with pytest.raises(UsageError, match="unknown toy 'paper'"):
        toys.find("paper")


def test_what_a_target_gives_may_have_to_be_read(toys: Registry[Toy], site: Path) -> None:
    def read(name: str, given: object) -> object:
        if given == "dull":
            raise WeightsError("dull.toy, line 1: no colour")
        return Toy(f"{given} of {name}") if isinstance(given, str) else given

    toys.read = read
    add(site, "green", "MINE = 'bright'")
    assert toys.find("green") == Toy("bright of green")
    assert toys.find("red") == Toy("red")
    add(site, "grey", "MINE = 'dull'", "attic")
    toys.forget()
    with pytest.raises(CodecUnavailableError, match=r"cannot be loaded \(dull.toy, line 1: no colour\); fix"):
        toys.find("grey")


def test_packages_installed_later_are_seen_once_the_registry_forgets(toys: Registry[Toy], site: Path) -> None:
    assert not toys.faults
    add(site, "green", "MINE = 3")
    with pytest.raises(UsageError, match="unknown toy"):
        toys.find("green")
    toys.forget()
    assert list(toys.faults) == ["green"]


def test_a_line_of_our_own_that_leads_nowhere_is_named(site: Path) -> None:
    toys = Registry[Toy]("toy", "bench.toys", "Toy", lambda entry: True, {"red": "no_such_shelf:RED"})
    with pytest.raises(UsageError, match=r"toy 'red': no_such_shelf:RED cannot be loaded .*no_such_shelf"):
        toys.find("red")
