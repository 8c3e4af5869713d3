"""Signals that ask a run to end: each does what Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What `docker stop`, a preempted job and a closed terminal send."""


class Signalled(KeyboardInterrupt):
    """The process got a signal of ENDING, `number`."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)


@contextmanager
def ending_as_by_ctrl_c() -> Iterator[None]:
    """Raise Signalled where the main thread stands, once, when a signal of ENDING comes in the block.

    A signal that is ignored (`nohup`) stays so. Those that come later are ignored: what cleans up is not to
    be interrupted again.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for one in handled:
            signal.signal(one, signal.SIG_IGN)
        raise Signalled(number)

    try:
        for number in handled:
            signal.signal(number, end)
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
