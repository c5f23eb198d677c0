"""Values of ``bundle.json`` by their type, or one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from avfeat.errors import BundleError

MANIFEST = "bundle.json"
T = TypeVar("T")


@dataclass(frozen=True)
class JsonValues:
    """Takes values of the bundle in ``folder``; what is wrong raises ``BundleError``."""

    folder: Path

    def take(self, values: Mapping[str, Any], key: str, kind: type[T]) -> T:
        """The value of a key, which must be there and of that type."""
        value = values.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, "is missing" if key not in values else f"must be of type {kind.__name__}")
        return value

    def number(self, values: Mapping[str, Any], key: str, zero: bool = False) -> float:
        """A number from 0 to below a million; 0 itself where ``zero`` says so."""
        value = values.get(key)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        if not (0 < number < 1e6 or (zero and number == 0)):
            raise self.wrong(key, f"must be a positive number{' or 0' * zero}")
        return float(number)

    def choice(self, values: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
        """A text that is one of some."""
        value = self.take(values, key, str)
        if value not in allowed:
            raise self.wrong(key, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def wrong(self, key: str, what: str) -> BundleError:
        """The error that says what is wrong with the value of a key."""
        return BundleError(f"{self.folder / MANIFEST}: {key!r} {what}; export the bundle again.")
