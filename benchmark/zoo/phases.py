"""Where the time of a model of CompressAI goes, while somebody looks: its modules, and its entropy coder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from torch import nn

from benchmark.stopwatch import ENTROPY_CODER, NETWORK, Stopwatch, phase, watch

_CODERS = ("BufferedRansEncoder", "RansDecoder")
"""The coders of CompressAI's C++ part that autoregressive models call symbol by symbol."""


@contextmanager
def phases(model: nn.Module) -> Iterator[None]:
    """Let the stopwatch that runs, if one does, tell network and entropy coder of `model` apart meanwhile."""
    running = watch()
    with ExitStack() as stack:
        if running is not None:
            from compressai.entropy_models import EntropyModel

            coders = [module for module in model.modules() if isinstance(module, EntropyModel)]
            inside = {part for coder in coders for part in coder.modules()}
            for coder in coders:
                for method in ("compress", "decompress"):
                    stack.enter_context(patch.object(coder, method, _timed(getattr(coder, method))))
            for module in model.modules():
                if module is not model and module not in inside:
                    _hook(module, running, stack)
            _time_coders(stack)
        yield


def _timed(function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:  # noqa: ANN401 (whatever the function takes)
        with phase(ENTROPY_CODER):
            return function(*args, **options)

    return timed


def _hook(module: nn.Module, running: Stopwatch, stack: ExitStack) -> None:
    def enter(*_: Any) -> None:  # noqa: ANN401 (as torch calls hooks)
        running.enter(NETWORK)

    def leave(*_: Any) -> None:  # noqa: ANN401
        running.leave()

    stack.callback(module.register_forward_pre_hook(enter).remove)
    stack.callback(module.register_forward_hook(leave).remove)


class _Timed:
    """An object of which every method is timed as the entropy coder."""

    def __init__(self, kind: type, *args: Any) -> None:  # noqa: ANN401 (whatever the class takes)
        self._coder = kind(*args)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return _timed(getattr(self._coder, name))


def _time_coders(stack: ExitStack) -> None:
    """Replace the C++ coders in every module of CompressAI that has imported them."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("compressai.models.", "compressai.latent_codecs.")):
            for coder in _CODERS:
                if kind := vars(module).get(coder):
                    stack.enter_context(patch.object(module, coder, partial(_Timed, kind)))
