from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import TrainingError
from benchmark.training.recipe import FinetuneRecipe, TrainRecipe, load_recipe


@pytest.mark.parametrize(
    ("kind", "name"), [(TrainRecipe, "baseline"), (TrainRecipe, "warm"), (FinetuneRecipe, "finetune")]
)
def test_shipped_recipes_load(kind: type[TrainRecipe] | type[FinetuneRecipe], name: str) -> None:
    recipe = load_recipe(kind, name, {"lmbda": 0.0067})
    assert recipe.lmbda == {"baseline": 0.013}.get(name, 0.0067)
    assert recipe.crop % 64 == 0
    assert recipe.learning_rate_at(recipe.steps - 1) < 0.01 * recipe.learning_rate


def test_changes_override_and_none_does_not(recipe_file: Path) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file), lmbda=0.5, steps=None)
    assert (recipe.lmbda, recipe.steps) == (0.5, 12)


def test_learning_rate_rises_holds_and_falls_to_zero(recipe_file: Path) -> None:
    recipe = load_recipe(TrainRecipe, str(recipe_file), steps=100)
    rates = [recipe.learning_rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.5e-3)
    assert set(rates[1:50]) == {1e-3}
    assert rates[75] == pytest.approx(0.5e-3)
    assert rates[100] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("crop = 100", "crop is 100: it must be a multiple of 64"),
        ("learning_rat = 1", "learning_rat: .*did you mean 'learning_rate'"),
        ("proxy = 'rounding'", "proxy: .*known: mixed, noise, ste"),
        ("lmbda = -1", "lmbda: .*greater than 0"),
        ("N = ", "not valid TOML"),
    ],
)
def test_a_bad_field_is_named(recipe_file: Path, line: str, message: str) -> None:
    key = line.split(" =", maxsplit=1)[0]
    lines = [x for x in recipe_file.read_text().splitlines() if not x.startswith(f"{key} =")]
    recipe_file.write_text("\n".join([line, *lines]))
    with pytest.raises(TrainingError, match=message) as caught:
        load_recipe(TrainRecipe, str(recipe_file))
    assert "tiny.toml" in str(caught.value)


def test_a_recipe_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"lmbda = \xff")
    with pytest.raises(TrainingError, match=r"recipe\.toml: cannot be read as text"):
        load_recipe(TrainRecipe, str(tmp_path / "recipe.toml"))


def test_an_unknown_recipe_offers_the_near_one() -> None:
    with pytest.raises(TrainingError, match="did you mean 'baseline'"):
        load_recipe(TrainRecipe, "baselin")


def test_a_byte_order_mark_is_no_part_of_a_recipe(recipe_file: Path) -> None:
    plain = load_recipe(TrainRecipe, str(recipe_file))
    recipe_file.write_bytes(b"\xef\xbb\xbf" + recipe_file.read_bytes())
    assert load_recipe(TrainRecipe, str(recipe_file)) == plain
