from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.errors import TrainingError, WeightsError
from benchmark.learned.architectures.loading import trained_state
from benchmark.learned.quantizers.base import QuantizerSettings
from benchmark.learned.quantizers.by_rate import CalibratedSettings
from benchmark.learned.weights import load_model, read_weights
from benchmark.training.calibrate import calibrate
from benchmark.training.checkpoint import read_checkpoint
from benchmark.training.coding import LoopQuantizer
from benchmark.training.data import load_held_out, split_photographs
from benchmark.training.export import check_destination, export
from benchmark.training.finetune import finetune
from benchmark.training.objective import encode, validate_by
from benchmark.training.recipe import FinetuneRecipe, TrainRecipe, load_recipe
from benchmark.training.rules import Quantized
from benchmark.training.sources import open_source
from benchmark.training.train import train


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A weights folder with a tiny baseline, trained for a moment."""
    folder = tmp_path_factory.mktemp("model")
    recipe = load_recipe(TrainRecipe, str(Path(__file__).parent / "tiny.toml"), steps=40)
    last = train(recipe, photographs, folder / "run")
    return export(open_source(str(last)), folder / "weights", "baseline")


@pytest.fixture
def recipe() -> str:
    return str(Path(__file__).parent / "tiny_finetune.toml")


@pytest.mark.parametrize("choice", list(itertools.product(["scalar", "tcq8", "noise"], ["g_s", "g_s+h_s"])))
def test_only_the_named_parts_move(
    model: Path, recipe: str, photographs: Path, tmp_path: Path, choice: tuple[str, str]
) -> None:
    quantizer, parts = choice
    loaded = load_recipe(FinetuneRecipe, recipe, parts=parts, quantizer=quantizer, steps=3)
    source = open_source(str(model))
    state, adam, _, _ = read_checkpoint(finetune(loaded, source, photographs, tmp_path / "out"))
    moved = {
        name.split(".")[0] for name, before in source.state.items() if not torch.equal(state[name], before)
    }
    expected = {"g_s", "g_s_linear"} | ({"h_s"} if parts == "g_s+h_s" else set())
    assert moved == expected
    assert {name.split(".")[0] for name in adam} == expected


@pytest.mark.parametrize("parts", ["g_s_linear", "g_s.0+g_s.5", "h_s.4"])
def test_single_layers_can_be_retrained(
    model: Path, recipe: str, photographs: Path, tmp_path: Path, parts: str
) -> None:
    loaded = load_recipe(FinetuneRecipe, recipe, parts=parts, steps=2)
    source = open_source(str(model))
    state = read_checkpoint(finetune(loaded, source, photographs, tmp_path / "out"))[0]
    moved = {
        name.rpartition(".")[0] for name, old in source.state.items() if not torch.equal(state[name], old)
    }
    assert moved == set(parts.split("+"))


def test_a_layer_that_does_not_exist_is_named_before_anything_is_trained(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    for parts in ("g_s.8", "g_a", "g_s+h_a"):
        loaded = load_recipe(FinetuneRecipe, recipe, parts=parts)
        wrong = re.escape(parts.removeprefix("g_s+"))
        with pytest.raises(
            TrainingError, match=rf"--parts {wrong}: no such layer; there are g_s, h_s, g_s\.0"
        ):
            finetune(loaded, open_source(str(model)), photographs, tmp_path / "out")


def test_finetuning_lowers_the_held_out_cost_of_its_quantizer(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    loaded = load_recipe(FinetuneRecipe, recipe, learning_rate=1e-3, linear_rate=0.1, steps=60)
    course = read_checkpoint(finetune(loaded, open_source(str(model)), photographs, tmp_path / "out"))[2]
    first, last = course.validations[0], course.validations[-1]
    assert (first["step"], last["step"]) == (0, 60)
    assert last["bpp"] == first["bpp"]  # h_s stays: bit for bit the same stream
    assert last["psnr"] > first["psnr"] + 0.05


def test_a_finetuned_variant_keeps_its_settings_and_provenance_as_differences(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    weights = model.parent.parent
    loaded = load_recipe(FinetuneRecipe, recipe, steps=3, delta=0.7, trellis_lambda=0.2)
    last = finetune(loaded, open_source(str(model)), photographs, tmp_path / "out")
    path = export(open_source(str(last)), weights, "finetuned-tcq")
    network, info = load_model("finetuned-tcq", 0.01, weights)
    assert {n: s.at(info.lmbda) for n, s in info.settings.items()} == {"tcq8": QuantizerSettings(0.7, 0.2)}
    assert info.base == "baseline/0.01.safetensors"
    assert path.stat().st_size < model.stat().st_size
    assert info.provenance["recipe"]["quantizer"] == "tcq8"
    assert info.provenance["course"]["steps"] == 3
    trained = read_checkpoint(last)[0]
    for name, tensor in trained_state(network).items():
        torch.testing.assert_close(tensor, trained[name], rtol=0, atol=1e-5)
    with pytest.raises(TrainingError, match="give another --variant"):
        export(open_source(str(last)), weights, "baseline")


def test_a_finetuned_variant_can_be_finetuned_again(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    weights = model.parent.parent
    loaded = load_recipe(FinetuneRecipe, recipe, steps=2)
    once = finetune(loaded, open_source(str(model)), photographs, tmp_path / "1")
    first = export(open_source(str(once)), weights, "first")
    second = finetune(loaded, open_source(str(first)), photographs, tmp_path / "2")
    export(open_source(str(second)), weights, "second")
    network, info = load_model("second", 0.01, weights)
    assert info.base == "baseline/0.01.safetensors"
    trained = read_checkpoint(second)[0]
    for name, tensor in trained_state(network).items():
        torch.testing.assert_close(tensor, trained[name], rtol=0, atol=1e-5)


def test_a_checkpoint_that_calls_its_base_an_arm_is_exported_as_differences(
    model: Path, tmp_path: Path
) -> None:
    source = open_source(str(model))
    former = replace(source, provenance={**source.provenance, "base_arm": "baseline"})
    path = export(former, model.parent.parent, "second")
    assert read_weights(path, model.parent.parent)[1].base == "baseline/0.01.safetensors"


def test_other_settings_of_the_quantizer_are_another_training(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    loaded = load_recipe(FinetuneRecipe, recipe, steps=1)
    source = open_source(str(model))
    finetune(loaded, source, photographs, tmp_path / "out")
    assert source.info is not None
    info = replace(source.info, settings={"tcq8": CalibratedSettings({0.01: QuantizerSettings(0.9, 0.1)})})
    with pytest.raises(TrainingError, match="of another training: settings differ"):
        finetune(loaded, replace(source, info=info), photographs, tmp_path / "out")


def test_latents_that_diverge_stop_a_finetuning_with_the_remedy(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    changes = {"learning_rate": 1.0, "clip_norm": 1e30, "steps": 60, "save_every": 1, "parts": "g_s+h_s"}
    loaded = load_recipe(FinetuneRecipe, recipe, **changes)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"step \d+: .*last\.safetensors is kept as it was; lower learn"):
        finetune(loaded, open_source(str(model)), photographs, tmp_path / "out")


@pytest.mark.parametrize("variant", ["", "../escaped", "a/b", ".hidden", "baseline"])
def test_a_variant_that_cannot_be_stored_is_refused_beforehand(variant: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="variant"):
        check_destination(tmp_path, variant, "baseline")
    assert not (tmp_path.parent / "escaped").exists()
    check_destination(tmp_path / "new", "finetuned-tcq.2", "baseline")
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"--weights .*cannot be written to"):
        check_destination(tmp_path / "file", "finetuned-tcq", "baseline")


def test_a_finetuning_resumes_bit_for_bit(
    model: Path, recipe: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_recipe(FinetuneRecipe, recipe, parts="g_s+h_s", steps=6, save_every=2)
    source = open_source(str(model))
    whole = read_checkpoint(finetune(loaded, source, photographs, tmp_path / "whole"))

    calls: list[int] = []

    def power_cut(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return encode(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("benchmark.training.finetune.encode", power_cut)
    with pytest.raises(KeyboardInterrupt):
        finetune(loaded, source, photographs, tmp_path / "cut")
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "cut" / "last.safetensors")[2].step == 4
    resumed = read_checkpoint(finetune(loaded, source, photographs, tmp_path / "cut"))
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in whole[0])
    assert all(torch.equal(whole[1][name], resumed[1][name]) for name in whole[1])
    assert whole[2].losses == resumed[2].losses


def test_another_lmbda_than_the_models_is_refused(
    model: Path, recipe: str, photographs: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"is of lmbda 0\.01, the recipe says 0\.02"):
        finetune(
            load_recipe(FinetuneRecipe, recipe, lmbda=0.02), open_source(str(model)), photographs, tmp_path
        )


def test_calibration_finds_settings_better_than_the_defaults(
    model: Path, recipe: str, photographs: Path
) -> None:
    network, _ = load_model("baseline", 0.01, model.parent.parent)
    held_out = load_held_out(split_photographs(photographs).held_out, "cpu", 64)
    tried: list[tuple[QuantizerSettings, float]] = []
    found = calibrate(
        network, 0.01, held_out, "rdoq", progress=lambda name, settings, cost: tried.append((settings, cost))
    )
    assert found.quality["cost"] == min(cost for _, cost in tried) < tried[0][1]
    assert 0.05 < found.settings.delta < 3
    rule = Quantized(LoopQuantizer("rdoq", found.settings))
    again = validate_by(network, held_out, [0.01], lambda lmbda: rule, low_precision=True)
    assert again == pytest.approx(found.quality)
    with pytest.raises(TrainingError, match="calibrated are: rdoq, tcq4, tcq8"):
        calibrate(network, 0.01, held_out, "scalar")


def test_sources_of_every_kind(model: Path, tmp_path: Path) -> None:
    state = dict(open_source(str(model)).state)
    plain = {name: tensor for name, tensor in state.items() if "linear" not in name}
    torch.save(plain, tmp_path / "plain.pth.tar")
    with pytest.raises(TrainingError, match="give --from-lmbda"):
        open_source(str(tmp_path / "plain.pth.tar"))
    source = open_source(str(tmp_path / "plain.pth.tar"), lmbda=0.0067)
    assert source.lmbda == 0.0067
    assert not source.network().linear_branch
    for stems in (("_matrix", "_bias", "_factor"), ("_matrices.", "_biases.", "_factors.")):
        old_names = {f"module.{_renamed(name, stems)}": tensor for name, tensor in plain.items()}
        assert f"module.entropy_bottleneck.{stems[0]}0" in old_names
        torch.save({"state_dict": old_names}, tmp_path / "old.pth.tar")
        assert open_source(str(tmp_path / "old.pth.tar"), lmbda=0.0067).sha256 == source.sha256
    with pytest.raises(TrainingError, match=r"was trained for lmbda 0\.01, not 0\.02"):
        open_source(str(model), lmbda=0.02)
    torch.save({"state_dict": {"x": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth: these are not the weights of any architecture"):
        open_source(str(tmp_path / "other.pth"), lmbda=0.0067)


def _renamed(name: str, stems: tuple[str, str, str]) -> str:
    for modern, old in zip(("matrices.", "biases.", "factors."), stems, strict=True):
        name = name.replace(f"entropy_bottleneck.{modern}", f"entropy_bottleneck.{old}")
    return name


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (marker,)  # type: ignore[return-value]

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(TrainingError, match="without running code"):
        open_source(str(tmp_path / "evil.pth"), lmbda=0.01)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compressai:mbt2018-mean:9", "known are compressai:mbt2018-mean:1 to :8"),
        ("compressai:mbt2018-man:3", "did you mean 'mbt2018-mean'"),
        ("compressai:mbt2018:9", "known are compressai:mbt2018:1 to :8"),
        ("absent.safetensors", "no such file"),
    ],
)
def test_unknown_sources_say_what_is_known(name: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        open_source(name)
