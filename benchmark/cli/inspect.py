"""Commands that look and fetch: list, doctor, fetch."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
