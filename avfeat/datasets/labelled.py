"""A file of a data set, and what the data set says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelledFile:
    """A media file with its label and group.

    Attributes:
        name: independent of where the data set lies.
        path: of the file, which may not be there.
        label: its class; None where the data set has none for it.
        group: files of one group are not independent of each other; None: of a group of its own.
    """

    name: str
    path: Path
    label: str | None = None
    group: str | None = None
