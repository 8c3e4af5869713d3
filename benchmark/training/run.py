"""One training in its folder: restore, step, record, save; what `train` and `finetune` have in common."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import BenchError, TrainingError
from benchmark.learned.architectures.base import Architecture
from benchmark.training.checkpoint import (
    AVERAGE,
    Course,
    check_writable,
    read_checkpoint,
    restore_optimizer,
    save_checkpoint,
)
from benchmark.training.curves import draw_course
from benchmark.training.objective import RateDistortion
from benchmark.training.provenance import resumed
from benchmark.training.recipe import Schedule

LOG_EVERY, VALIDATE_EVERY = 50, 1000

CourseObserver = Callable[[Course, int], None]
"""Called after each logged window with the course so far and the number of steps in all."""


class Run:
    """The state of one training: network, Adam, course; all of it is in `last`, the checkpoint.

    The random numbers of a step are a function of seed and step alone (see `begin_step`), so a checkpoint
    needs none of their state, and a run that was killed resumes bit for bit on the same machine.
    """

    def __init__(
        self,
        out: Path,
        network: Architecture,
        recipe: Schedule,
        about: Mapping[str, Any],
        *,
        trained: Sequence[str],
        device: str,
    ) -> None:
        """Restore from `out`/last.safetensors if there is one, else begin with `network` as it is.

        Tensors whose name starts with one of `trained` are trained. Raises TrainingError if `out` holds
        another training, or cannot be written.
        """
        self._recipe, self._about = recipe, about
        self.last = out / "last.safetensors"
        self.course = Course()
        adam: dict[str, Tensor] = {}
        check_writable(out, "--out")
        if self.last.exists():
            state, adam, self.course, found = read_checkpoint(self.last)
            _check_same(self.last, found, about)
            self._about = resumed(found, about, self.course.step)
            network.load_state_dict(state)
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.train()
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(tuple(trained)) and not name.endswith("quantiles"))
        self.trainable = [p for p in network.parameters() if p.requires_grad]
        trainable = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        slow = {name for name, _ in trainable if name.startswith(network.slow_tensors)}
        groups = [
            {"params": [p for name, p in trainable if (name in slow) is chosen]} for chosen in (False, True)
        ]
        self._optimizer = torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)
        restore_optimizer(self._optimizer, network, adam)
        self._started = time.monotonic() - self.course.seconds

    @property
    def unfinished(self) -> bool:
        """Whether steps are left."""
        return self.course.step < self._recipe.steps

    def validate_start(self, validate: Callable[[], dict[str, float]]) -> None:
        """Validate the model as it was before the first step; nothing if that was done."""
        if not self.course.validations:
            self.course.validations.append({"step": 0, **validate()})

    def begin_step(self) -> None:
        """Set the learning rate and seed the noise of the step about to be made."""
        learning_rate = self._recipe.learning_rate_at(self.course.step)
        for group, factor in zip(self._optimizer.param_groups, (1.0, self._recipe.linear_rate), strict=True):
            group["lr"] = learning_rate * factor
        torch.manual_seed(hash((self._recipe.seed, self.course.step)))

    def descend(self, loss: Tensor, result: RateDistortion) -> None:
        """Make one step of Adam down `loss`, its gradient clipped.

        Raises TrainingError if loss or gradient is not finite; nothing is changed then, and the last
        checkpoint stays as it is.
        """
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.trainable, self._recipe.clip_norm)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise self._diverged(f"the loss is {loss.item()}, the gradient's norm {norm.item()}")
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.course.step += 1
        if self._recipe.average:
            self._follow()
        self.course.window.append((loss.item(), result.bpp.mean().item(), result.mse.mean().item()))

    def _follow(self) -> None:
        """Move the averages, which are kept with Adam's moments, towards the weights; faster at first."""
        state, step = self._optimizer.state, self.course.step
        for parameter in self.trainable:
            if AVERAGE not in state[parameter]:
                state[parameter][AVERAGE] = parameter.detach().clone()
        averages = [state[parameter][AVERAGE] for parameter in self.trainable]
        decay = min(self._recipe.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(averages, [p.detach() for p in self.trainable], 1 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Let the network have its averaged weights, if the recipe asks for any."""
        own = {p: p.data for p in self.trainable if AVERAGE in self._optimizer.state[p]}
        try:
            for parameter in own:
                parameter.data = self._optimizer.state[parameter][AVERAGE]
            yield
        finally:
            for parameter, data in own.items():
                parameter.data = data

    @contextmanager
    def stopping_at(self, kind: type[BenchError]) -> Iterator[None]:
        """Turn an error of `kind`, a consequence of divergence, into the TrainingError that says so."""
        try:
            yield
        except kind as error:
            raise self._diverged(str(error)) from error

    def _diverged(self, what: str) -> TrainingError:
        kept = f"{self.last} is kept as it was" if self.last.exists() else "no checkpoint was made yet"
        return TrainingError(
            f"step {self.course.step}: {what}; {kept}; lower learning_rate or clip_norm in the recipe and "
            f"begin in another --out"
        )

    def record(self, validate: Callable[[], dict[str, float]], progress: CourseObserver | None) -> None:
        """Log every 50 steps, validate and draw every 1000, save as the recipe says; all of it at the end."""
        step, finished = self.course.step, not self.unfinished
        if step % VALIDATE_EVERY == 0 or finished:
            with self._averaged():
                self.course.validations.append({"step": step, **validate()})
        if step % LOG_EVERY == 0 or finished:
            self._log()
            if progress is not None:
                progress(self.course, self._recipe.steps)
        if step % self._recipe.save_every == 0 or finished:
            save_checkpoint(self.last, self.network, self._optimizer, self.course, self._about)
        if step % VALIDATE_EVERY == 0 or finished:
            with suppress(OSError):  # a picture does not end a training
                draw_course(self.course, self._about["recipe"], self.last.with_name("loss.png"))

    def _log(self) -> None:
        window = self.course.window
        loss, bpp, mse = (sum(column) / len(window) for column in zip(*window, strict=True))
        learning_rate = self._optimizer.param_groups[0]["lr"]
        entry = {
            "step": self.course.step,
            "loss": loss,
            "bpp": bpp,
            "mse": mse,
            "learning_rate": learning_rate,
        }
        self.course.losses.append(entry)
        self.course.seconds = time.monotonic() - self._started
        window.clear()


def _check_same(last: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found["identity"] == wanted["identity"]:
        return
    kinds = ("recipe", "data_sha256", "start_sha256", "settings")
    parts = [key for key in kinds if found.get(key) != wanted[key]]
    fields = [k for k, v in wanted["recipe"].items() if found["recipe"].get(k) != v]
    detail = f" (recipe: {json.dumps(sorted(fields))})" if fields else ""
    raise TrainingError(
        f"{last} is of another training: {', '.join(parts)} differ{detail}; give another --out or delete it"
    )
