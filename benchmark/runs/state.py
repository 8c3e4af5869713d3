"""What a codec may change in its process, and what is put back before the next codec runs there."""

from __future__ import annotations

import decimal
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.codecs.base import note
from benchmark.errors import CodecError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _Part:
    """A part of the state of a process: how it is read, and how it is set to what was read."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


@contextmanager
def state_put_back(threads: int) -> Iterator[None]:
    """Put back, when the block ends, what is changed in it, and note which parts that were (`left_changed`).

    These are the working directory, environment variables, umask, signal handlers, NumPy's error state, the
    context of decimal, PyTorch's number of threads (`threads`, where it is loaded in the block) and its
    default type. Raises CodecError, naming the part, for what cannot be put back, such as a working directory
    that is gone.
    """
    parts = (*_PARTS, *_torch_parts(threads))
    before = [part.read() for part in parts]
    try:
        yield
    finally:
        changed = [(part, old) for part, old in zip(parts, before, strict=True) if part.read() != old]
        for part, old in changed:
            with suppress(Exception):
                part.write(old)
        if changed:
            note(left_changed=[part.name for part, _ in changed])
        if stuck := [part.name for part, old in changed if part.read() != old]:
            raise CodecError(f"the codec changed what cannot be put back: {', '.join(stuck)}")


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (Path takes ten times as long)
    except FileNotFoundError:
        return None


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _environment() -> dict[bytes, bytes]:
    return dict(os.environb)  # as text it takes three times as long


def _set_environment(variables: Mapping[bytes, bytes]) -> None:
    os.environb.clear()
    os.environb.update(variables)


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in SIGNALS}


def _set_handlers(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _decimal() -> tuple[Any, ...]:
    context = decimal.getcontext()
    return (context.prec, context.rounding, context.Emin, context.Emax, dict(context.traps))


def _set_decimal(before: tuple[Any, ...]) -> None:
    precision, rounding, lowest, highest, traps = before
    on = [kind for kind, is_on in traps.items() if is_on]
    decimal.setcontext(decimal.Context(precision, rounding, lowest, highest, traps=on))


_PARTS = (
    _Part("working directory", _folder, os.chdir),
    _Part("environment variables", _environment, _set_environment),
    _Part("umask", _umask, os.umask),
    _Part("signal handlers", _handlers, _set_handlers),
    _Part("numpy's error state", np.geterr, lambda before: np.seterr(**before)),
    _Part("decimal's context", _decimal, _set_decimal),
)


def _torch_parts(threads: int) -> tuple[_Part, ...]:
    """Return the parts of PyTorch, which has its defaults as long as it is not loaded."""

    def read_threads() -> int:
        torch = sys.modules.get("torch")
        return threads if torch is None else int(torch.get_num_threads())

    def read_type() -> str:
        torch = sys.modules.get("torch")
        return "torch.float32" if torch is None else str(torch.get_default_dtype())

    def write_type(name: str) -> None:
        torch = sys.modules["torch"]
        torch.set_default_dtype(getattr(torch, name.removeprefix("torch.")))

    def write_threads(number: int) -> None:
        sys.modules["torch"].set_num_threads(number)

    return (
        _Part("torch's threads", read_threads, write_threads),
        _Part("torch's default type", read_type, write_type),
    )
