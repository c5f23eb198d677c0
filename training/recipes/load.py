"""Recipes by name or from a file, with settings changed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.augment.compose import read_composition
from avfeat.training.recipes.recipe import Recipe
from avfeat.training.renamed import new_name, with_new_names
from avfeat.training.schema import parse_yaml, read_yaml

_SHIPPED = files("avfeat.training.recipes") / "shipped"


def list_recipes() -> dict[str, str]:
    """The recipes that come with avfeat: name and description."""
    return {name: str(_read(name)[0].get("description", "")) for name in _names()}


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


def _names() -> list[str]:
    return sorted(Path(entry.name).stem for entry in _SHIPPED.iterdir() if entry.name.endswith(".yaml"))


def _read(name: str, seen: tuple[str, ...] = ()) -> tuple[dict[str, Any], Path]:
    """The values of a recipe with what it extends, and the folder that paths in it are seen from."""
    path = _path(name)
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
    known, folder = _read(str(beside) if _is_file(base) and not Path(base).is_absolute() else base, (*seen, here))
    return _merge(_with_composition(known, folder, base), values), path.parent


def _path(name: str) -> Path:
    if _is_file(name):
        return Path(name)
    if name not in _names():
        raise ArgumentError(f"There is no recipe {name!r}; {suggestion(name, _names())}")
    return Path(str(_SHIPPED / f"{name}.yaml"))


def _is_file(name: str) -> bool:
    return Path(name).suffix in (".yaml", ".yml")


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        old = merged.get(name)
        merged[name] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _with_composition(values: dict[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """``augment`` as settings, so that single ones can be changed."""
    named = values.get("augment")
    if named is None:
        return values
    if isinstance(named, str):
        path = folder / named
        named = read_composition(str(path) if _is_file(named) and path.is_file() else named)
    if not isinstance(named, Mapping):
        raise ArgumentError(f"{where}: augment must be a composition's name, file or settings, not {named!r}.")
    listed = named.get("augmentations")
    if isinstance(listed, list):
        # Those that are names alone, too.
        named = {**named, "augmentations": [{one: {}} if isinstance(one, str) else one for one in listed]}
    return values | {"augment": dict(named)}


def _apply_change(values: Mapping[str, Any], change: str) -> dict[str, Any]:
    key, sign, text = change.partition("=")
    if not sign or not key:
        raise ArgumentError(f"--set {change}: must be key=value, such as optimizer.lr=0.01.")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ArgumentError(f"--set {change}: the value is not YAML.") from error
    changed = _set_value(values, new_name(key, f"--set {change}").split("."), value, change)
    return _with_composition(changed, Path(), f"--set {change}")


def _set_value(values: Any, keys: list[str], value: Any, change: str) -> dict[str, Any]:
    """A copy with ``value`` at the place that ``keys`` name; lists are entered by number."""
    if not keys:
        return value  # type: ignore[no-any-return]
    key, rest = keys[0], keys[1:]
    if isinstance(values, list):
        if not key.isdigit() or int(key) >= len(values):
            raise ArgumentError(f"--set {change}: {key!r} is no number from 0 to {len(values) - 1}.")
        place = int(key)
        return [*values[:place], _set_value(values[place], rest, value, change), *values[place + 1 :]]  # type: ignore[return-value]
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ArgumentError(f"--set {change}: {values!r} has no settings of its own.")
    return {**values, key: _set_value(values.get(key), rest, value, change)}
