from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.recipes import Recipe, load_recipe
from avfeat.training.renamed import RENAMED, with_new_names, with_old_names
from avfeat.training.schema import build
from avfeat.training.study.grid import identity_of
from avfeat.training.study.plan import Cell, Piece

OLD = """\
extends: smoke
accumulate: 2
needs: both
optimizer: {name: lars, rate: 0.4, trust: 0.002, clip: 1.0, final: 0.1, warmup: 0.05}
"""
"""A recipe as they were written before."""


def check(recipe: Recipe) -> None:
    chosen = recipe.optimizer
    assert (recipe.grad_accumulation_steps, recipe.required_streams) == (2, "both")
    assert (chosen.lr, chosen.trust_coefficient, chosen.max_grad_norm, chosen.min_lr_ratio) == (
        0.4,
        0.002,
        1.0,
        0.1,
    )


@pytest.fixture
def old_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_text(OLD)
    return path


def test_a_recipe_with_the_old_names_works_and_warns_of_each(old_recipe: Path) -> None:
    with pytest.warns(DeprecationWarning) as warned:
        check(load_recipe(str(old_recipe)))
    said = " ".join(str(one.message) for one in warned)
    assert all(f"{old} is called {new} now" in said for old, new in RENAMED.items())


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_set_takes_both_names(old: str, new: str, old_recipe: Path) -> None:
    value = {"needs": "any", "accumulate": "4"}.get(old, "0.5")
    with pytest.warns(DeprecationWarning, match=f"--set {old}={value}: {old} is called {new} now"):
        by_old = load_recipe("smoke", [f"{old}={value}"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_recipe("smoke", [f"{new}={value}"]) == by_old


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"optimizer\.rate is called optimizer\.lr now, and both are set"):
        with_new_names({"optimizer": {"rate": 0.1, "lr": 0.2}}, "recipe")


def test_what_is_written_has_the_new_names_alone() -> None:
    values = load_recipe("smoke").to_values()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_new_names(values, "recipe") == values


def test_a_checkpoint_with_the_old_names_is_the_same_training(old_recipe: Path, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning):
        recipe = load_recipe(str(old_recipe))
    before: dict[str, Any] = with_old_names(recipe.to_values())
    assert before["optimizer"]["rate"] == 0.4 and "lr" not in before["optimizer"] and before["needs"] == "both"
    Checkpoint(before, 3, {}, {}, {}, {}).save(tmp_path / "last.pt")
    with pytest.warns(DeprecationWarning, match="last.pt: optimizer.rate is called optimizer.lr now"):
        found = Checkpoint.load(tmp_path / "last.pt")
    assert json.dumps(found.recipe) == json.dumps(recipe.to_values())
    assert Recipe.from_values(found.recipe) == recipe


def test_a_studys_runs_keep_their_identity() -> None:
    # Of this recipe when its settings had their old names.
    assert identity_of(load_recipe("smoke"), "d", 4) == "4622d561d99e4cb2"


def test_a_family_of_a_plan_by_its_old_name() -> None:
    with pytest.warns(DeprecationWarning, match="spatial is called lossy spatial now"):
        piece = build(Piece, {"family": "spatial", "add": {"blur": {}}}, "blur")
    with pytest.warns(DeprecationWarning, match="spatial is called lossy spatial now"):
        cell = build(Cell, {"name": "a", "family": "spatial"}, "a")
    assert piece.family == cell.family == "lossy spatial"
