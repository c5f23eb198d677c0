"""What a folder of outputs says of files that have no place for ``meta`` themselves (npy, jsonl)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.errors import OutputError
from avfeat.writers.meta import meta

NAME = ".avfeat-journal.jsonl"


class Journal:
    """A hidden file with one line an output: its name, the sha256 of its bytes, and its ``meta``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def note(self, output: Path, embedding: Embedding) -> None:
        """Append a line for an output that has just been written."""
        row = {"output": self._key(output), "sha256": _sha256(output), "meta": meta(embedding)}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}).") from error

    def read(self, output: Path) -> dict[str, Any] | None:
        """The ``meta`` of the newest line for ``output``, if the file is still as it was then."""
        key, found = self._key(output), None
        try:
            for line in self._path.read_text("utf-8").splitlines():
                row = json.loads(line)
                if row["output"] == key:
                    found = row
        except (OSError, json.JSONDecodeError, KeyError, TypeError):
            # A journal that cannot be trusted means work done again, never results taken for good.
            return None
        if found is None or found["sha256"] != _sha256(output):
            return None
        recorded: dict[str, Any] = found["meta"]
        return recorded

    def _key(self, output: Path) -> str:
        return output.relative_to(self._folder).as_posix()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
