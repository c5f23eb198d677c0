"""Settings of a recipe that had another name before: recipes, runs and studies with the old names still work."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from avfeat.errors import ArgumentError

RENAMED = {
    "accumulate": "grad_accumulation_steps",
    "needs": "required_streams",
    "optimizer.clip": "optimizer.max_grad_norm",
    "optimizer.final": "optimizer.min_lr_ratio",
    "optimizer.rate": "optimizer.lr",
    "optimizer.trust": "optimizer.trust_coefficient",
}
"""Old to new; a group keeps its name."""


FAMILIES = {"spatial": "lossy spatial"}
"""Families in the plan of a study: old to new."""


def with_new_names(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings of a recipe, or a part of them, with old names replaced; a ``DeprecationWarning`` names each.

    Args:
        values: JSON values.
        where: how messages call the place.

    Raises:
        ArgumentError: a setting is there by both of its names.
    """
    return _renamed(values, RENAMED, where)


def with_old_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by the names that they had at first: what identities are made of must not change."""
    return _renamed(values, {new: old for old, new in RENAMED.items()})


def new_name(key: str, where: str) -> str:
    """The name now of one setting, with dots between groups; a ``DeprecationWarning`` if it was an old one."""
    if key not in RENAMED:
        return key
    _warn(key, RENAMED[key], where)
    return RENAMED[key]


def new_family(name: Any) -> Any:
    """The name now of a family of augmentations in a plan; a ``DeprecationWarning`` if it was an old one."""
    if not isinstance(name, str) or name not in FAMILIES:
        return name
    # Pydantic calls this: no line of a caller to name.
    _warn(name, FAMILIES[name], "family", stacklevel=1)
    return FAMILIES[name]


def _renamed(values: Mapping[str, Any], names: Mapping[str, str], where: str | None = None) -> dict[str, Any]:
    found = {name: dict(one) if isinstance(one, Mapping) else one for name, one in values.items()}
    for old, new in names.items():
        group, _, name = old.rpartition(".")
        settings = found.get(group) if group else found
        if not isinstance(settings, dict) or name not in settings:
            continue
        target = new.rpartition(".")[2]
        if target in settings:
            raise ArgumentError(f"{where}: {old} is called {new} now, and both are set; keep {new}.")
        if where is not None:
            _warn(old, new, where)
        # In its old place, as messages name the first difference.
        renamed = {target if one == name else one: value for one, value in settings.items()}
        settings.clear()
        settings.update(renamed)
    return found


def _warn(old: str, new: str, where: str, stacklevel: int = 4) -> None:
    warnings.warn(
        f"{where}: {old} is called {new} now; the old name still works.", DeprecationWarning, stacklevel=stacklevel
    )
