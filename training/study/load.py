"""Plans by name or from a file, and as the values that a study keeps of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from avfeat.errors import ArgumentError
from avfeat.training.recipes import Recipe, load_recipe
from avfeat.training.recipes.merge import merged
from avfeat.training.renamed import with_new_names
from avfeat.training.schema import build, read_yaml
from avfeat.training.shipped import Shipped, is_file
from avfeat.training.study.plan import StudyPlan
from avfeat.writers.atomic import atomic

_SHIPPED = Shipped("plan", "avfeat.training.study", "plans")
NAME = "plan.yaml"
"""Where a study keeps its plan."""


@dataclass(frozen=True)
class Loaded:
    """A plan, and the base recipe that it names, resolved.

    Attributes:
        plan: with the recipe as values.
        base: the recipe's values, every setting of it.
        where: how messages call it.
    """

    plan: StudyPlan
    base: Mapping[str, Any]
    where: str


def list_plans() -> dict[str, str]:
    """The plans that come with avfeat: name and description."""
    return {name: str(read_yaml(_SHIPPED.path(name)).get("description", "")) for name in _SHIPPED.names()}


def load_plan(name: str, data: str | None = None) -> Loaded:
    """A shipped plan by name, or one from a YAML file.

    Args:
        name: which.
        data: instead of the plan's own.

    Raises:
        ArgumentError: no such plan, a file that is none, or a recipe that no training can have.
    """
    path = _SHIPPED.path(name)
    plan = build(StudyPlan, read_yaml(path), name)
    base = _base(plan, path.parent, name)
    return Loaded(replace(plan, recipe=base, data=data or plan.data), base, name)


def write_plan(loaded: Loaded, path: Path) -> None:
    """Write a plan so that ``load_plan`` reads it back, wherever its recipe came from."""
    text = yaml.safe_dump(to_values(loaded.plan), sort_keys=False, default_flow_style=None, width=116)
    with atomic(path) as file:
        file.write(text.encode())


def to_values(plan: StudyPlan) -> dict[str, Any]:
    """A plan as YAML values."""
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    values["tables"] = [asdict(table) | {"cells": [_cell(cell) for cell in table.cells]} for table in plan.tables]
    values["augmentations"] = {
        name: {key: value for key, value in asdict(piece).items() if value}
        for name, piece in plan.augmentations.items()
    }
    values |= {name: _cell(values[name]) for name in ("baseline", "reference")}
    plain: dict[str, Any] = _plain(values)
    return plain


def _base(plan: StudyPlan, folder: Path, where: str) -> dict[str, Any]:
    values = {"extends": plan.recipe} if isinstance(plan.recipe, str) else with_new_names(plan.recipe, where)
    parent = values.pop("extends", None)
    steps = {} if plan.steps is None else {"steps": plan.steps}
    try:
        if parent is None:
            return Recipe.from_values(values | steps, "recipe").to_values()
        beside = folder / str(parent)
        chosen = str(beside) if is_file(str(parent)) else str(parent)
        known = load_recipe(chosen).to_values()
        return Recipe.from_values(merged(known, values | steps), "recipe").to_values()
    except ArgumentError as error:
        raise ArgumentError(f"{where}: {error}") from error


def _cell(cell: Any) -> dict[str, Any]:
    defaults = type(cell)(cell.name)
    return {
        name: value for name, value in asdict(cell).items() if name == "name" or value != getattr(defaults, name)
    }


def _plain(value: Any) -> Any:
    """As YAML has it: lists and mappings of the plain kinds."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
