"""YAML files by name, of those that come with avfeat, or by path."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion


def is_file(name: str) -> bool:
    """Whether a name is the path of a YAML file."""
    return Path(name).suffix in (".yaml", ".yml")


@dataclass(frozen=True)
class Shipped:
    """The YAML files of one kind.

    Attributes:
        kind: what one of them is called.
        package: that they are in.
        folder: of the package.
    """

    kind: str
    package: str
    folder: str

    def names(self) -> list[str]:
        """Of all that come with avfeat."""
        entries = (files(self.package) / self.folder).iterdir()
        return sorted(Path(entry.name).stem for entry in entries if entry.name.endswith(".yaml"))

    def path(self, name: str) -> Path:
        """The file of a name, or the path itself.

        Raises:
            ArgumentError: no such name; the message suggests one.
        """
        if is_file(name):
            return Path(name)
        if name not in self.names():
            raise ArgumentError(f"There is no {self.kind} {name!r}; {suggestion(name, self.names())}")
        return Path(str(files(self.package) / self.folder / f"{name}.yaml"))
