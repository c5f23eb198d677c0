from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from small_studies import RECIPE, TABLES, write_study

from avfeat.errors import ArgumentError
from avfeat.training.recipes import load_recipe
from avfeat.training.recipes.merge import merged
from avfeat.training.study.load import list_plans, load_plan, write_plan

CELL = {"name": "a", "pieces": ["fade"]}


def composition(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "composition", "kind": "composition", **changes}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 3}, "there is no setting 'seed'; did you mean 'seeds'?"),
        ({"seeds": 0}, "seeds must be a whole number from 1 on, not 0"),
        ({"seeds": "three"}, "seeds must be a whole number from 1 on, not 'three'"),
        ({"tables": []}, "tables must name one at least"),
        ({"tables": {}}, "tables: must be a list"),
        ({"tables": composition(pairs=["fade", "mask"])}, "There is no augmentation 'mask'; did you mean"),
        ({"tables": composition()}, "composition: has no cells"),
        ({"tables": composition(kind="matrix", singles=["fade"])}, "tables[0]: kind must be one of composition, "),
        ({"tables": composition(cells=[CELL, CELL])}, "the cell 'a' occurs twice"),
        ({"tables": composition(cells=[CELL], singles=["a"])}, "the cell 'a' occurs twice"),
        ({"tables": composition(cells=[{**CELL, "against": "b"}])}, "a is against 'b'; there are: a."),
        ({"tables": composition(cells=[{**CELL, "strenght": 1}])}, "cells[0]: there is no setting 'strenght'"),
        ({"tables": composition(cells=[{**CELL, "strength": 2}])}, "cells[0]: strength must be a number from 0"),
        ({"tables": composition(cells=[{**CELL, "pieces": ["fade", "fade"]}])}, "a piece occurs twice"),
        ({"tables": composition(name="../x", singles=["fade"])}, "a table's name is made of a-z"),
        ({"tables": composition(singles=["fade"]) * 2}, "the table 'composition' occurs twice"),
        ({"tables": [{"name": "sync", "kind": "sync", "pairs": ["fade"]}]}, "only composition has singles"),
        ({"tables": [{"name": "length", "kind": "length", "cells": [CELL]}]}, "length: a needs its x, the seconds"),
        ({"tables": [{"name": "length", "kind": "length", "cells": [{**CELL, "x": 0}]}]}, "a needs its x"),
        ({"baseline": {"name": "b", "pieces": ["speed"], "strength": 0.5}}, "strength scales what is added"),
        ({"augmentations": {"fade": {"family": "lossy"}}}, "augmentations.fade: family must be one of"),
        ({"augmentations": {"fade": {"family": "incoherent"}}}, "one of add and sampling must say"),
        ({"recipe": {"extends": "smok"}}, "There is no recipe 'smok'; did you mean 'smoke'?"),
        ({"recipe": {**RECIPE, "setps": 3}}, "there is no setting 'setps'; did you mean 'steps'?"),
        ({"steps": 0}, "steps must be a whole number from 1 on, not 0"),
    ],
)  # fmt: skip
def test_what_no_plan_can_have_is_named(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = write_study(tmp_path, **changes)
    with pytest.raises(ArgumentError) as found:
        load_plan(str(path))
    assert str(found.value).startswith(str(path)) and sentence in str(found.value)


def test_unknown_plans_get_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="There is no plan 'defalt'; did you mean 'default'"):
        load_plan("defalt")
    with pytest.raises(ArgumentError, match=r"gone\.yaml: cannot be read"):
        load_plan(str(tmp_path / "gone.yaml"))


def test_shipped_plans_have_a_description_and_their_promises_hold() -> None:
    assert set(list_plans()) == {"default", "small"} and all(list_plans().values())
    plan = load_plan("default").plan
    assert plan.data == "synthetic:ave?videos=1400&seed=0"
    assert plan.seeds >= 3 and plan.baseline.seeds == plan.reference.seeds == 5
    kinds = {table.kind for table in plan.tables}
    assert kinds == {"composition", "intensity", "resolution", "length", "frameworks", "sync"}


def test_a_recipe_is_extended_and_a_plan_on_other_data_is_the_same(tmp_path: Path) -> None:
    recipe = {"extends": "smoke", "encoders": {"size": 32}, "augment": {"augmentations": [{"flip": {}}]}}
    found = load_plan(str(write_study(tmp_path, recipe=recipe, steps=7)), "other")
    smoke = load_recipe("smoke").to_values()
    assert found.plan.data == "other" and found.base["steps"] == 7
    assert found.base["encoders"] == {**smoke["encoders"], "size": 32}
    assert [list(one) for one in found.base["augment"]["augmentations"]] == [["flip"]]
    assert found.base["augment"]["sampling"] == smoke["augment"]["sampling"]
    assert found.base["optimizer"] == smoke["optimizer"]


def test_a_recipe_beside_the_plan_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(RECIPE))
    assert load_plan(str(write_study(tmp_path, recipe={"extends": "own.yaml"}))).base["batch_size"] == 8


@pytest.mark.parametrize("name", ["default", "small", "own"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    loaded = load_plan(str(write_study(tmp_path, tables=TABLES)) if name == "own" else name)
    write_plan(loaded, tmp_path / "plan.yaml")
    again = load_plan(str(tmp_path / "plan.yaml"))
    assert again.plan == loaded.plan and again.base == loaded.base


def test_settings_are_laid_on_top_lists_by_number() -> None:
    values = {"a": {"b": 1, "c": 2}, "list": [{"x": 1, "y": 2}, 3]}
    assert merged(values, {"a": {"b": 5}, "list": {"0": {"y": 9}}}) == {
        "a": {"b": 5, "c": 2},
        "list": [{"x": 1, "y": 9}, 3],
    }
    assert merged(values, {"list": [1]})["list"] == [1]
    with pytest.raises(ArgumentError, match="'2' is not a number from 0 to 1"):
        merged(values, {"list": {"2": 1}})
