"""The command line: parses, prints and sets the exit code; every command is a few lines over the library."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

FAILED = 1
"""Exit code: the request was fine, but some evaluations failed."""
BAD_INPUT = 2
"""Exit code: the request or its input was wrong."""
MACHINES = 3
"""Exit code: the machines failed, a full disk or a lost cluster; rerun to resume."""
INTERRUPTED = 130
"""Exit code: Ctrl-C. It is typer's own, which ends with it where a command is interrupted."""


def build_app() -> typer.Typer:
    """Return the whole command line."""
    import typer

    from benchmark.cli import complexity, export, gate, inspect, merge, options, report, run, study, train

    app = typer.Typer(
        name="bench",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich would take longer to load than the help to print
    )
    app.callback()(options.bench)
    for room in (run, complexity, inspect, report, study, merge, train, export, gate):
        room.register(app)
    return app


def main() -> None:
    """Run the command line: 0 done, 1 evaluations failed, 2 wrong request, 3 machines, 130 interrupted."""
    from benchmark.errors import (
        BenchError,
        BitstreamError,
        CodecError,
        CodecUnavailableError,
        MachineError,
        PointError,
    )
    from benchmark.files import printable

    try:
        build_app()()
    except BenchError as error:
        from benchmark.cli.options import tracebacks_wanted

        if tracebacks_wanted():
            traceback.print_exc()
        print(f"bench: {printable(str(error))}", file=sys.stderr)
        if isinstance(error, MachineError):
            sys.exit(MACHINES)
        on_request = isinstance(error, (BitstreamError, CodecUnavailableError, PointError))
        sys.exit(FAILED if isinstance(error, CodecError) and not on_request else BAD_INPUT)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("bench: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
