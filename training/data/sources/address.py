"""The grammar of DATA: ``PATH``, ``PATH?key=value&key=value``, ``synthetic:ave?videos=N&seed=S&split=train``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion


@dataclass(frozen=True)
class Address:
    """A source by name: ``text`` as given, its path, and its options."""

    text: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether it is a URL."""
        return "://" in self.path

    def check_options(self, known: Iterable[str], kind: str) -> None:
        """Refuse options that this kind of source does not have.

        Raises:
            ArgumentError: with the nearest one that it has.
        """
        names = list(known)
        for key in self.options:
            if key not in names:
                raise ArgumentError(f"{self.text}: {kind} has no option {key!r}; {suggestion(key, names)}")


def parse(text: str, base: Path | None = None) -> Address:
    """Take DATA apart; a path that exists is that path, whatever its name looks like.

    Args:
        text: DATA.
        base: folder that relative paths start from, None for the current one.

    Raises:
        ArgumentError: options that are no ``key=value``, or given twice.
    """
    if not text.strip():
        raise ArgumentError("DATA is empty; name a file, a folder, a list, a CSV, shards, or synthetic:ave.")
    if "://" in text or exists(_below(base, text)):
        # A URL's question mark is its own.
        return Address(text, text if "://" in text else str(_below(base, text)))
    path, mark, query = text.rpartition("?")
    options = _options(query, text) if mark else {}
    path = path if mark else text
    return Address(text, path if path.startswith("synthetic:") else str(_below(base, path)), options)


def exists(path: Path) -> bool:
    """Whether something has this path; a name that no file can have is nowhere."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _below(base: Path | None, path: str) -> Path:
    return Path(path) if base is None else base / path


def _options(query: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&"):
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise ArgumentError(f"{text}: what follows the question mark must be key=value, not {part!r}.")
        if key in found:
            raise ArgumentError(f"{text}: {key} is given twice.")
        found[unquote(key)] = unquote(value)
    return found
