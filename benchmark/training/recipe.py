"""A recipe: all that a training depends on beside its data, read from TOML, kept in the checkpoint."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.errors import TrainingError, UsageError, did_you_mean
from benchmark.files import read_text
from benchmark.learned.architectures import ARCHITECTURES
from benchmark.learned.quantizers import QUANTIZERS
from benchmark.training.rules import PROXIES

"""In the place of a quantizer's name: step 1 goes on with its noise, all else equal."""


class Schedule(BaseModel):
    """What every recipe has: steps, batches and the learning rate's course."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    lmbda: float = Field(gt=0, lt=10)
    """Of the network; of a variable-rate network the one at which costs have weight 1."""
    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    crop: int = Field(ge=64)
    share: float = Field(default=1.0, ge=0, le=1)
    """An image is drawn by the number of places that a crop can take in it, to this power."""
    learning_rate: float = Field(gt=0, le=1)
    warmup_steps: int = Field(ge=0)
    hold: float = Field(ge=0, le=1)
    """The share of the steps before the learning rate begins to fall, linearly, to zero."""
    linear_rate: float = Field(default=1.0, gt=0, le=1)
    """Learning rate of g_s_linear over that of the rest: its weights are small and its inputs large."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential average of the weights that is validated and exported; 0 for none."""
    turned: float = Field(default=0.0, ge=0, le=1)
    """The share of the crops that are turned by 90 degrees."""
    clip_norm: float = Field(gt=0)
    seed: int = Field(ge=0, lt=2**31)
    save_every: int = Field(default=500, ge=1)
    precision: Literal["bf16", "fp32"] = "bf16"

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of `step` (0 is the first): linear warm-up, hold, linear decay to zero."""
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        decay_from = self.hold * self.steps
        fall = 1.0 if step < decay_from else (self.steps - step) / (self.steps - decay_from)
        return self.learning_rate * min(rise, fall)


class TrainRecipe(Schedule):
    """Step 1: the whole network, end to end, with a differentiable stand-in for quantization."""

    architecture: str = "mean-scale"
    """A name of the registry of architectures."""
    network: dict[str, Any]
    """The sizes of the network, as its architecture's config has them."""
    proxy: str = "noise"
    """What stands for quantization: a name in `rules.PROXIES`."""

    @property
    def description_of_network(self) -> dict[str, Any]:
        """Architecture and config, as weights files have them."""
        return {"architecture": self.architecture, **self.network}

    @field_validator("proxy")
    @classmethod
    def _is_known(cls, proxy: str) -> str:
        if proxy not in PROXIES:
            raise ValueError(f"{proxy!r} is no stand-in for quantization; {did_you_mean(proxy, PROXIES)}")
        return proxy

    @model_validator(mode="after")
    def _network_fits(self) -> TrainRecipe:
        try:
            kind = ARCHITECTURES.find(self.architecture)
        except UsageError as error:
            raise ValueError(str(error)) from error
        try:
            kind.config_type.model_validate(self.network)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("network", *first["loc"])))
            raise ValueError(f"{where}: {first['msg']}") from error
        check_crop(self.crop, kind.image_multiple)
        return self


class FinetuneRecipe(Schedule):
    """Step 2: parts of the decoder, on truly quantized latents."""

    quantizer: str
    """A name of the registry of quantizers, or, for the control, of a proxy in `rules.PROXIES`."""
    parts: str = Field(min_length=1)
    """Parts of the architecture to retrain, or single layers of them: g_s, g_s+h_s, g_s.4+g_s.6."""
    delta: float | None = Field(default=None, gt=0)
    """Step of the quantizer; by default the calibrated one of the model."""
    trellis_lambda: float | None = Field(default=None, ge=0)

    @field_validator("quantizer")
    @classmethod
    def _is_known(cls, quantizer: str) -> str:
        known = (*QUANTIZERS.names(), *PROXIES)
        if quantizer not in known:
            raise ValueError(f"no quantizer is called {quantizer!r}; {did_you_mean(quantizer, known)}")
        return quantizer


def check_crop(crop: int, multiple: int) -> None:
    """Raise ValueError unless the network takes crops of this side."""
    if crop % multiple:
        raise ValueError(f"crop is {crop}: it must be a multiple of {multiple}, as the network takes images")


_Recipe = TypeVar("_Recipe", bound=Schedule)


def load_recipe(
    kind: type[_Recipe],
    name: str,
    defaults: Mapping[str, float] | None = None,
    **changes: float | str | Mapping[str, Any] | None,
) -> _Recipe:
    """Read the recipe `name`, one of the package's or the path of a TOML file, with fields overridden.

    Changes that are None are left as the file has them; `defaults` are for fields that the file leaves out.
    Raises TrainingError naming file, field and remedy.
    """
    path = Path(name)
    try:
        text = read_text(path) if path.is_file() else _shipped(name)
        fields = tomllib.loads(text)
        return kind.model_validate(
            {**(defaults or {}), **fields}
            | {key: value for key, value in changes.items() if value is not None}
        )
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"recipe {name}: cannot be read as text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"recipe {name}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "recipe"
        remedy = _remedy(field, kind, fields) if first["type"] == "extra_forbidden" else ""
        raise TrainingError(f"recipe {name}: {field}: {first['msg']} {remedy}".rstrip()) from error


def _remedy(field: str, kind: type[Schedule], fields: Mapping[str, Any]) -> str:
    """Return where a field that does not stand where it should belongs, or the names near it."""
    if "network" in kind.model_fields:
        sizes = ARCHITECTURES.find(str(fields.get("architecture", "mean-scale"))).config_type.model_fields
        if field in sizes:
            return f"here: sizes of the network stand under [network]; move {field} there"
    return did_you_mean(field, kind.model_fields)


def _shipped(name: str) -> str:
    folder = resources.files("benchmark.training") / "recipes"
    file = folder / f"{name}.toml"
    if not file.is_file():
        names = [entry.name.removesuffix(".toml") for entry in folder.iterdir()]
        raise TrainingError(
            f"no recipe file and no recipe of the package: {name!r}; {did_you_mean(name, names)}"
        )
    return file.read_text(encoding="utf-8")
