"""The watch over worker processes: it ends the tasks whose time is up, and those whose process is gone."""

from __future__ import annotations

import heapq
import os
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from threading import Thread

from pebble import ProcessExpired

GRACE_SECONDS = 2.0
"""How long after the end of a process its task may still turn out to be done, or be ended by the pool."""

POLL_SECONDS = 0.2
"""How often the watch looks around: it is not to wake up for each of a thousand short tasks a second."""

_MESSAGE = struct.Struct(">BQQd")
_BEGUN, _CLOCK, _CLOSED = range(3)
_OUT_OF_TIME, _GONE = range(2)


class Watch:
    """A thread that hears from worker processes which tasks they begin, and calls `end` with task and error.

    The error is TimeoutError for a task that runs `timeout_seconds` after it called `start_clock`, and
    ProcessExpired for one whose process has ended, with exit code 0, and without a result. (Those that end
    with another code are the pool's to find.)
    """

    def __init__(self, end: Callable[[int, Exception], None], timeout_seconds: float | None) -> None:
        self._end = end
        self._timeout_seconds = timeout_seconds
        self._inbox, self._outbox = Pipe(duplex=False)
        self.reporter = Reporter(self._outbox, with_clock=timeout_seconds is not None)
        self._tasks: dict[int, int] = {}
        """Process id -> the number of the task that it began last."""
        self._processes: dict[int, int] = {}
        """Descriptor of a process -> its id."""
        self._deadlines: list[tuple[float, int, int]] = []
        """A heap: when, which task, and what is then the matter."""
        Thread(target=self._run, daemon=True).start()

    def terminate(self) -> None:
        """Ask all processes that have begun a task, and have not ended, to end."""
        for process in list(self._processes.values()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def close(self) -> None:
        """End the thread."""
        self._outbox.send_bytes(_MESSAGE.pack(_CLOSED, 0, 0, 0.0))

    def _run(self) -> None:
        while True:
            ended = self._look()
            if not self._hear():
                break
            for process in ended:
                self._has_ended(process)
            while self._deadlines and self._deadlines[0][0] <= time.monotonic():
                _, number, matter = heapq.heappop(self._deadlines)
                self._end(number, _error(matter))
        for descriptor in self._processes:
            os.close(descriptor)

    def _look(self) -> list[int]:
        """Wait a moment, less if a deadline or the end of a process comes; return which processes ended."""
        left = max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else POLL_SECONDS
        descriptors = [
            fd for fd in wait(list(self._processes), min(left, POLL_SECONDS)) if isinstance(fd, int)
        ]
        for descriptor in descriptors:
            os.close(descriptor)
        return [self._processes.pop(descriptor) for descriptor in descriptors]

    def _hear(self) -> bool:
        """Take all that was reported; return False if the watch was closed."""
        while self._inbox.poll(0):
            kind, number, process, seconds = _MESSAGE.unpack(self._inbox.recv_bytes())
            if kind == _CLOSED:
                return False
            if kind == _BEGUN:
                self._begin(number, process)
            elif self._timeout_seconds is not None:
                self._plan(seconds + self._timeout_seconds, number, _OUT_OF_TIME)
        return True

    def _begin(self, number: int, process: int) -> None:
        known = process in self._tasks
        self._tasks[process] = number
        if not known:
            try:
                self._processes[os.pidfd_open(process)] = process
            except OSError:  # it has ended already
                self._has_ended(process)

    def _has_ended(self, process: int) -> None:
        self._plan(time.monotonic() + GRACE_SECONDS, self._tasks.pop(process), _GONE)

    def _plan(self, deadline: float, number: int, matter: int) -> None:
        heapq.heappush(self._deadlines, (deadline, number, matter))


def _error(matter: int) -> Exception:
    if matter == _OUT_OF_TIME:
        return TimeoutError("ran past the time limit (--timeout) and was stopped")
    gone: Callable[..., Exception] = ProcessExpired
    return gone("the process ended in the middle of the task", code=0)


class Reporter:
    """A worker's end of the watch: it says which task this process works on. Can be sent to a process."""

    def __init__(self, outbox: Connection, with_clock: bool) -> None:
        self._outbox = outbox
        self._with_clock = with_clock

    def begin(self, number: int) -> None:
        """Say that this process begins a task."""
        self._send(_BEGUN, number)

    def start_clock(self, number: int) -> None:
        """Say that the time limit of a task, if there is one, counts from now."""
        if self._with_clock:
            self._send(_CLOCK, number)

    def _send(self, kind: int, number: int) -> None:
        # One small write, which needs no lock among workers. The clock is the same for all processes.
        self._outbox.send_bytes(_MESSAGE.pack(kind, number, os.getpid(), time.monotonic()))
