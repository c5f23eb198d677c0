"""By which an input is known again: what it was when it was read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avfeat.media.source import is_special
from avfeat.plain import sha256_of


@dataclass(frozen=True)
class Stamp:
    """A file as it was at one moment.

    Attributes:
        size: in bytes.
        modified: time of its last change, nanoseconds since 1970.
        sha256: of its bytes.
    """

    size: int
    modified: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Stamp | None:
        """The stamp of a file as it is now; None for what is no file, or cannot be read.

        Size and time are taken before the bytes are: a file that grows meanwhile is known by them to have changed.
        """
        try:
            status = Path(path).stat()
            # Not opened, not even to be refused: who writes to a pipe would lose its reader.
            if is_special(Path(path)):
                return None
            digest = sha256_of(Path(path))
        except (OSError, ValueError):
            return None
        return cls(status.st_size, status.st_mtime_ns, digest)

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> Stamp:
        """The stamp that ``to_json`` says; ``KeyError``, ``TypeError`` or ``ValueError`` for something else."""
        return cls(int(stated["size"]), int(stated["modified_ns"]), str(stated["sha256"]))

    def to_json(self) -> dict[str, int | str]:
        """As outputs say it."""
        return {"size": self.size, "modified_ns": self.modified, "sha256": self.sha256}


def unchanged(path: str | os.PathLike[str], stated: Mapping[str, Any]) -> bool:
    """Whether a file is as ``Stamp.to_json`` says: in size and time or, where only its time differs, in bytes."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return False
    if status.st_size != stated.get("size"):
        return False
    if status.st_mtime_ns == stated.get("modified_ns"):
        return True
    now = Stamp.of(path)
    return now is not None and now.sha256 == stated.get("sha256")
