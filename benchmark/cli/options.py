"""Options of the command line itself, and those that several commands have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.errors import UsageError

DataDir = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="The folder of datasets, which must exist; BENCH_DATA_DIR by default.",
    ),
]

CodecOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="An option of the codec, as in a suite; repeatable. KEY.SUBKEY=VALUE fills a table.",
    ),
]


def codec_options(given: Iterable[str] | None) -> dict[str, Any]:
    """Return the options of `--option KEY=VALUE`, the values as TOML reads them, as text where it does not.

    "checkpoints.3=q3.pth" and "checkpoints.4=q4.pth" make one table. Raises UsageError for what is no
    KEY=VALUE, and for a key that is given twice.
    """
    found: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        *tables, last = key.split(".", 1) if equals else ("",)
        if not equals or not last:
            raise UsageError(f"--option {text}: give KEY=VALUE")
        into = found
        for table in tables:
            into = into.setdefault(table, {})
        if not isinstance(into, dict) or last in into:
            raise UsageError(f"--option {key}: is given twice")
        into[last] = _value(value)
    return found


def _value(text: str) -> object:
    import tomllib

    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, (bool, int, float, list, dict, str)) else text  # a date is a name


def _show_version(wanted: bool) -> None:
    """Print the version and end, before a command is looked for."""
    if wanted:
        from benchmark.environment import bench_version

        typer.echo(f"bench {bench_version()}")
        raise typer.Exit


def bench(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and the commit, and exit.",
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error comes from.")
    ] = False,
) -> None:
    """Measure image codecs on real images and real bitstreams, and compare them."""
    if traceback:
        _shown.add("traceback")


_shown: set[str] = set()
"""What the command line asks to be shown beyond messages."""


def tracebacks_wanted() -> bool:
    """Whether --traceback was given."""
    return bool(_shown)
