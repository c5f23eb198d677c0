"""Recipes by name or from a file, with settings changed by hand."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from avfeat.errors import ArgumentError
from avfeat.training.augment.compose import (
    Composition,
    list_compositions,
    load_composition,
    read_composition,
    without_nothing,
)
from avfeat.training.recipes.merge import Whole, merged
from avfeat.training.recipes.recipe import Recipe
from avfeat.training.renamed import new_name, with_new_names
from avfeat.training.schema import parse_yaml, read_yaml
from avfeat.training.shipped import Shipped, is_file

_SHIPPED = Shipped("recipe", "avfeat.training.recipes", "shipped")


def list_recipes() -> dict[str, str]:
    """The recipes that come with avfeat: name and description."""
    return {name: str(_read(name)[0].get("description", "")) for name in _SHIPPED.names()}


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """A shipped recipe by name, or one from a YAML file.

    A file may begin with ``extends: NAME`` and hold only what differs. ``augment`` is the name of a composition,
    the path of its file (from the recipe's folder), or its settings.

    Args:
        name: which.
        changes: settings of the form ``optimizer.lr=0.01``; the value is YAML.

    Raises:
        ArgumentError: no such recipe, a file that is none, or a change that no recipe can have.
    """
    values, folder = _read(name)
    values = _with_composition(values, folder, name)
    for change in changes:
        values = _apply_change(values, change)
    return Recipe.from_values(values, name)


def load_recipe_composition(name: str) -> Composition:
    """The composition of a recipe; that of a composition's own name or file, with a ``DeprecationWarning``.

    Raises:
        ArgumentError: neither, or a file that is none.
    """
    if not _is_composition(name):
        return load_recipe(name).augment
    warnings.warn(
        f"--recipe {name}: a composition is named by --composition now; this still works.",
        DeprecationWarning,
        stacklevel=2,
    )
    return load_composition(name)


def _is_composition(name: str) -> bool:
    if not is_file(name):
        return name in list_compositions() and name not in _SHIPPED.names()
    values = read_yaml(Path(name))
    return isinstance(values, Mapping) and values.keys() <= {one.name for one in fields(Composition)}


def _read(name: str, seen: tuple[str, ...] = ()) -> tuple[dict[str, Any], Path]:
    """The values of a recipe with what it extends, and the folder that paths in it are seen from."""
    path = _SHIPPED.path(name)
    # One file may have many names.
    here = str(path.resolve())
    if here in seen:
        raise ArgumentError(f"{name}: extends itself, by way of {' and '.join(seen)}.")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ArgumentError(f"{name}: must be settings (name: value), not {values!r}.")
    values = with_new_names(values, name)
    base = values.pop("extends", None)
    if base is None:
        return values, path.parent
    if not isinstance(base, str):
        raise ArgumentError(f"{name}: extends must be the name of a recipe, not {base!r}.")
    beside = path.parent / base
    known, folder = _read(str(beside) if is_file(base) and not Path(base).is_absolute() else base, (*seen, here))
    try:
        return merged(_with_composition(known, folder, base), values), path.parent
    except ArgumentError as error:
        raise ArgumentError(f"{name}: {error}") from error


def _with_composition(values: dict[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """``augment`` as settings, so that single ones can be changed."""
    named = values.get("augment")
    if named is None:
        return values
    if isinstance(named, str):
        path = folder / named
        named = read_composition(str(path) if is_file(named) and path.is_file() else named)
    if not isinstance(named, Mapping):
        raise ArgumentError(f"{where}: augment must be a composition's name, file or settings, not {named!r}.")
    listed = named.get("augmentations")
    if isinstance(listed, list):
        # Those that are names alone, too.
        named = {**named, "augmentations": [{one: {}} if isinstance(one, str) else one for one in listed]}
    return values | {"augment": without_nothing(named)}


def _apply_change(values: Mapping[str, Any], change: str) -> dict[str, Any]:
    key, sign, text = change.partition("=")
    if not sign or not key:
        raise ArgumentError(f"--set {change}: must be key=value, such as optimizer.lr=0.01.")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ArgumentError(f"--set {change}: the value is not YAML.") from error
    over: Any = Whole(value)
    for name in reversed(new_name(key, f"--set {change}").split(".")):
        over = {name: over}
    try:
        changed = merged(values, over)
    except ArgumentError as error:
        raise ArgumentError(f"--set {change}: {error}") from error
    return _with_composition(changed, Path(), f"--set {change}")
