"""What a folder of outputs says of files that cannot say it themselves (npy, jsonl, h5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.plain import sha256_of
from avfeat.writers.atomic import encode_line, writing
from avfeat.writers.meta import meta

NAME = ".avfeat-journal.jsonl"


class OutputJournal:
    """A hidden file with one line an output: its name, the sha256 of its bytes, and its ``meta``."""

    def __init__(self, folder: Path) -> None:
        """Read what earlier runs noted; a line that is no entry counts as not there."""
        self._folder = folder
        self._path = folder / NAME
        self._entries: dict[str, dict[str, Any]] = {}
        raw = self._path.read_bytes() if self._path.is_file() else b""
        # The last run may have died within a line: the next entry then begins a new one.
        self._torn = bool(raw) and not raw.endswith(b"\n")
        for line in raw.split(b"\n"):
            entry = _entry(line)
            if entry is not None:
                self._entries[entry["output"]] = entry

    def note(self, output: Path, embedding: Embedding) -> None:
        """Append a line for an output that has just been written."""
        entry = {"output": self._key(output), "sha256": sha256_of(output), "meta": meta(embedding)}
        with writing(self._path), self._path.open("ab") as file:
            file.write(b"\n" * self._torn + encode_line(json.dumps(entry, ensure_ascii=False)))
        self._torn = False

    def read(self, output: Path) -> dict[str, Any] | None:
        """The ``meta`` of the newest line for ``output``, if the file is still as it was then."""
        entry = self._entries.get(self._key(output))
        if entry is None or entry["sha256"] != sha256_of(output):
            return None
        found: dict[str, Any] = entry["meta"]
        return found

    def _key(self, output: Path) -> str:
        return output.relative_to(self._folder).as_posix()


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    whole = isinstance(found, dict) and isinstance(found.get("output"), str) and isinstance(found.get("meta"), dict)
    return found if whole and "sha256" in found else None
