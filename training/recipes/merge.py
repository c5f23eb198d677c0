"""Settings laid on top of others: what a recipe extends, what a study's cell changes, what is set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avfeat.errors import ArgumentError


@dataclass(frozen=True)
class Whole:
    """A value that takes the place of another one, whatever both are."""

    value: Any


def merged(values: Any, over: Any) -> Any:
    """``values`` with ``over`` laid on top: mappings setting by setting, lists by number, all else replaced.

    Raises:
        ArgumentError: a number that the list does not have.
    """
    if isinstance(over, Whole):
        return over.value
    if not isinstance(over, Mapping):
        return over
    if isinstance(values, list):
        found = list(values)
        for key, value in over.items():
            if not str(key).isdecimal() or int(key) >= len(found):
                raise ArgumentError(f"{key!r} is not a number from 0 to {len(found) - 1} of a list.")
            found[int(key)] = merged(found[int(key)], value)
        return found
    known = values if isinstance(values, Mapping) else {}
    return {**known, **{name: merged(known.get(name), value) for name, value in over.items()}}
