"""Where the time of a call goes: phases that codecs name, timed only while somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

NETWORK, ENTROPY_CODER, QUANTIZER = "network", "entropy coder", "quantizer"
"""The phases that learned codecs have: their networks, the coder of symbols, the search for indices."""


class Stopwatch:
    """Seconds by phase. A phase inside another one stops the outer one's clock meanwhile."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        self._book()
        self._open.append(phase)

    def leave(self) -> None:
        """End the phase that was begun last."""
        self._book()
        self._open.pop()

    def _book(self) -> None:
        now = perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


_watch: ContextVar[Stopwatch | None] = ContextVar("watch", default=None)


def watch() -> Stopwatch | None:
    """Return the stopwatch that runs, if one does."""
    return _watch.get()


@contextmanager
def watching() -> Iterator[Stopwatch]:
    """Time the phases of what is done while the context is open."""
    stopwatch = Stopwatch()
    token = _watch.set(stopwatch)
    try:
        yield stopwatch
    finally:
        _watch.reset(token)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Be in a phase; costs next to nothing where nobody watches."""
    running = _watch.get()
    if running is None:
        yield
        return
    running.enter(name)
    try:
        yield
    finally:
        running.leave()
