"""JSON lines as embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding
from avfeat.plain import open_plain
from avfeat.reading.restore import NAMES, TIMES, VECTORS, derived, not_whole, restored
from avfeat.writers import journal


def read_jsonl(path: Path) -> Iterator[Embedding]:
    """The embeddings of a file, each as soon as its last line is read."""
    facts = _noted(path)
    try:
        for rows in _sources(path):
            arrays = _arrays(rows)
            yield restored(path, arrays, facts or derived(str(rows[0]["source"]), arrays))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise not_whole(path) from error


def _sources(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The lines of each source: its first is window 0."""
    rows: list[dict[str, Any]] = []
    with open_plain(path) as file:
        for line in file:
            row = json.loads(line)
            if row["window"] == 0 and rows:
                yield rows
                rows = []
            rows.append(row)
    if not rows:
        raise ValueError("holds no lines")
    yield rows


def _arrays(rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {name: np.array([row[name] for row in rows], np.float64) for name in TIMES}
    # Rows within windows, and whatever else later versions write beside them.
    for name in (*VECTORS, *sorted(NAMES & set(rows[0]) - {*TIMES, *VECTORS, "source"})):
        values = [row[name] for row in rows]
        shape = next((np.shape(value) for value in values if value is not None), None)
        if shape is None and name not in VECTORS:
            continue
        kind = np.float64 if name.endswith("_times") else np.float32
        empty = np.zeros(shape or (0,), kind)
        arrays[name] = np.stack([empty if value is None else np.array(value, kind) for value in values])
    for modality in ("video", "audio"):
        arrays[f"has_{modality}"] = np.array([row[modality] is not None for row in rows])
    return arrays


def _noted(path: Path) -> dict[str, Any] | None:
    """What the journal of a folder above says of the file, if it has not changed since."""
    whole = path.absolute()
    for folder in whole.parents:
        if (folder / journal.NAME).is_file():
            return journal.OutputJournal(folder).read(whole)
    return None
