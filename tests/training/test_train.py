from __future__ import annotations

import errno
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from benchmark.errors import TrainingError, WeightsError
from benchmark.learned.architectures.mean_scale import MeanScaleHyperprior
from benchmark.training.checkpoint import best_weights, read_checkpoint
from benchmark.training.objective import forward
from benchmark.training.recipe import TrainRecipe, load_recipe
from benchmark.training.rules import PROXIES, ROUND, Rule
from benchmark.training.sources import open_source
from benchmark.training.train import train

SIZES = {"N": 4, "M": 8}
ROOT = Path(__file__).parents[2]


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_training_lowers_the_held_out_cost(recipe_file: Path, photographs: Path, tmp_path: Path) -> None:
    short = load_recipe(TrainRecipe, str(recipe_file), network=SIZES, steps=1, learning_rate=1e-9)
    longer = load_recipe(TrainRecipe, str(recipe_file), network=SIZES, steps=60)
    start = read_checkpoint(train(short, photographs, tmp_path / "short"))[2].validations[-1]
    _, adam, course, about = read_checkpoint(train(longer, photographs, tmp_path / "long"))
    assert course.validations[-1]["cost"] < 0.8 * start["cost"]
    assert [entry["step"] for entry in course.losses] == [50, 60]
    assert about["recipe"] == longer.model_dump()
    assert about["versions"]["torch"] == torch.__version__ or about["versions"]["torch"] in torch.__version__
    assert "g_s.0.weight/exp_avg" in adam


def test_the_average_follows_the_weights_and_is_what_is_exported(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    states = []
    for steps in (1, 2, 3):
        recipe = load_recipe(TrainRecipe, str(recipe_file), steps=steps, hold=1.0, average=0.25)
        model, adam, course, _ = read_checkpoint(train(recipe, photographs, tmp_path / str(steps)))
        states.append((model, best_weights(model, adam), course.validations[-1]["cost"]))
    name = "g_s.0.weight"
    assert torch.equal(states[0][0][name], states[0][1][name])
    for (_, before, _), (model, average, _) in itertools.pairwise(states):
        expected = before[name] + 0.75 * (model[name] - before[name])
        torch.testing.assert_close(average[name], expected, rtol=1e-5, atol=1e-7)
    exported = open_source(str(tmp_path / "3" / "last.safetensors")).state
    assert torch.equal(exported[name], states[2][1][name])
    plain = load_recipe(TrainRecipe, str(recipe_file), steps=3, hold=1.0, average=0.0)
    model, adam, course, _ = read_checkpoint(train(plain, photographs, tmp_path / "plain"))
    assert torch.equal(model[name], states[2][0][name])
    assert torch.equal(best_weights(model, adam)[name], model[name])
    assert course.validations[-1]["cost"] != states[2][2]


def test_a_finished_training_is_not_run_again(recipe_file: Path, photographs: Path, tmp_path: Path) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file))
    last = train(recipe, photographs, tmp_path / "out")
    before = last.stat().st_mtime_ns
    assert train(recipe, photographs, tmp_path / "out") == last
    assert last.stat().st_mtime_ns == before


def test_another_recipe_in_the_same_folder_is_refused(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    train(load_recipe(TrainRecipe, str(recipe_file)), photographs, tmp_path / "out")
    other = load_recipe(TrainRecipe, str(recipe_file), lmbda=0.02)
    with pytest.raises(TrainingError, match=r'recipe differ.*"lmbda".*another --out'):
        train(other, photographs, tmp_path / "out")


@pytest.mark.slow
def test_a_training_killed_at_any_moment_ends_bit_for_bit_as_if_it_had_not_been(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    def start(out: str) -> subprocess.Popen[bytes]:
        data = ["--recipe", str(recipe_file), "--data", str(photographs)]
        options = [*data, "--steps", "150", "--threads", "1"]
        command = [sys.executable, "-m", "benchmark", "train", *options, "--out", str(tmp_path / out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)

    assert start("whole").wait(300) == 0
    for _ in range(2):  # killed twice, each time after its first new checkpoint
        before = _step(tmp_path / "killed")
        process = start("killed")
        deadline = time.monotonic() + 120
        while _step(tmp_path / "killed") <= before and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < _step(tmp_path / "killed") < 150
    assert start("killed").wait(300) == 0

    whole, killed = (tensors_of(tmp_path / out / "last.safetensors") for out in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    courses = [read_checkpoint(tmp_path / out / "last.safetensors")[2] for out in ("whole", "killed")]
    assert courses[0].losses == courses[1].losses
    assert courses[0].validations == courses[1].validations
    assert (tmp_path / "killed" / "loss.png").read_bytes()[:4] == b"\x89PNG"


def _step(out: Path) -> int:
    last = out / "last.safetensors"
    return read_checkpoint(last)[2].step if last.exists() else 0


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    changes = {"learning_rate": 1.0, "clip_norm": 1e30, "warmup_steps": 40, "steps": 200, "save_every": 1}
    diverging = load_recipe(TrainRecipe, str(recipe_file), **changes)
    with pytest.raises(TrainingError, match=r"step \d+: the loss is .*kept as it was") as caught:
        train(diverging, photographs, tmp_path / "out")
    failed_at = int(re.search(r"step (\d+)", str(caught.value)).group(1))  # type: ignore[union-attr]
    state, adam, course, _ = read_checkpoint(tmp_path / "out" / "last.safetensors")
    assert 0 < failed_at == course.step
    assert all(bool(torch.isfinite(tensor).all()) for tensor in (*state.values(), *adam.values()))


def test_a_checkpoint_that_cannot_be_written_is_named_and_the_one_before_kept(
    recipe_file: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file))
    undisturbed = tensors_of(train(recipe, photographs, tmp_path / "whole"))
    monkeypatch.setattr("os.fsync", _full_after(3))
    with pytest.raises(TrainingError, match=r"last\.safetensors: step 8 cannot be saved \(No space left"):
        train(recipe, photographs, tmp_path / "out")
    monkeypatch.undo()
    assert _step(tmp_path / "out") == 4
    resumed = tensors_of(train(recipe, photographs, tmp_path / "out"))
    assert all(torch.equal(resumed[name], tensor) for name, tensor in undisturbed.items())


def _full_after(calls: int) -> Callable[[int], None]:
    """Return an fsync that succeeds `calls` - 1 times; a checkpoint takes two, for file and folder."""
    made = itertools.count(1)

    def fsync(_: int) -> None:
        if next(made) >= calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fsync


def test_a_folder_that_cannot_be_written_to_is_refused_before_training(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"--out .*file/out: cannot be written to: Not a directory"):
        train(load_recipe(TrainRecipe, str(recipe_file)), photographs, tmp_path / "file" / "out")


def test_the_checkpoint_tells_where_a_training_went_on(
    recipe_file: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file))
    monkeypatch.setattr("os.fsync", _full_after(3))
    with pytest.raises(TrainingError):
        train(recipe, photographs, tmp_path / "out")
    monkeypatch.undo()
    torch.set_num_threads(2)
    about = read_checkpoint(train(recipe, photographs, tmp_path / "out"))[3]
    assert about["threads"] == 1
    assert [(place["step"], place["threads"]) for place in about["elsewhere"]] == [(4, 2)]


def test_a_start_of_another_structure_is_refused_with_the_recipes_fields(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    plain = load_recipe(TrainRecipe, str(recipe_file), network=SIZES)
    start = open_source(str(train(plain, photographs, tmp_path / "plain")))
    with pytest.raises(WeightsError, match=r"not the network of the recipe \(.*M 8, linear_branch True\)"):
        train(load_recipe(TrainRecipe, str(recipe_file)), photographs, tmp_path / "out", start=start)


def test_a_warm_start_rescales_to_the_new_lmbda(recipe_file: Path, photographs: Path, tmp_path: Path) -> None:
    first = train(load_recipe(TrainRecipe, str(recipe_file)), photographs, tmp_path / "first")
    recipe = load_recipe(TrainRecipe, str(recipe_file), lmbda=0.04, steps=1, learning_rate=1e-9)
    second = train(recipe, photographs, tmp_path / "second", start=open_source(str(first)))
    old = best_weights(*read_checkpoint(first)[:2])
    new = read_checkpoint(second)[0]
    assert torch.allclose(new["g_a_linear.weight"], 2 * old["g_a_linear.weight"], atol=1e-6)
    assert torch.allclose(new["g_s.0.weight"], old["g_s.0.weight"] / 2, atol=1e-6)


def _network_and_image() -> tuple[MeanScaleHyperprior, torch.Tensor]:
    """A network whose hyper-latents are not all rounded to zero, and a smooth image."""
    torch.manual_seed(0)
    network = MeanScaleHyperprior(4, 8, linear_branch=True).train()
    with torch.no_grad():
        network.h_a[-1].get_parameter("weight").mul_(30.0)
    ramp = torch.linspace(0, 3, 128).sin().mul(0.9)
    planes = [torch.outer(rows, ramp) for rows in (ramp[:64], ramp[64:], ramp[32:96])]
    return network, torch.stack(planes)[None]


@pytest.mark.parametrize("proxy", ["noise", "ste", "mixed"])
def test_every_proxy_gives_every_part_a_gradient(proxy: str) -> None:
    network, x = _network_and_image()
    result = forward(network, x, PROXIES[proxy], low_precision=False)
    result.cost(0.01).backward()  # type: ignore[no-untyped-call]
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert without == ["entropy_bottleneck.quantiles"]


def test_ste_and_mixed_see_rounded_latents_and_noise_does_not() -> None:
    network, x = _network_and_image()
    with torch.no_grad():
        rules: dict[str, Rule] = {"round": ROUND, **PROXIES}
        of = {name: forward(network, x, rule, low_precision=False) for name, rule in rules.items()}
    exact = float(of["round"].mse)
    assert float(of["ste"].mse) == pytest.approx(exact, rel=1e-5)
    assert float(of["mixed"].mse) == pytest.approx(exact, rel=1e-5)
    assert abs(float(of["noise"].mse) / exact - 1) > 1e-3
    assert float(of["ste"].bpp) == pytest.approx(float(of["round"].bpp), rel=1e-4)


def test_low_precision_is_near_full_precision() -> None:
    torch.manual_seed(0)
    network = MeanScaleHyperprior(16, 24, linear_branch=True).eval()
    x = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        full, low = (forward(network, x, ROUND, low_precision=p) for p in (False, True))
    assert float(low.bpp) == pytest.approx(float(full.bpp), rel=0.01)
    assert float(low.mse) == pytest.approx(float(full.mse), rel=0.01)


def test_a_damaged_checkpoint_is_named(tmp_path: Path, recipe_file: Path, photographs: Path) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file))
    last = train(recipe, photographs, tmp_path / "out")
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=r"last\.safetensors.*damaged"):
        train(recipe, photographs, tmp_path / "out")


def test_the_loss_curve_shows_what_the_checkpoint_holds(
    recipe_file: Path, photographs: Path, tmp_path: Path
) -> None:
    last = train(load_recipe(TrainRecipe, str(recipe_file)), photographs, tmp_path / "out")
    import PIL.Image

    with PIL.Image.open(last.with_name("loss.png")) as image:
        assert min(image.size) > 500
        colours = image.convert("RGB").getcolors(1 << 20)
    assert colours is not None and (213, 94, 0) in {colour for _, colour in colours}  # the validation marker
    with safe_open(last, framework="pt") as file:
        assert json.loads(file.metadata()["course"])["step"] == 12
