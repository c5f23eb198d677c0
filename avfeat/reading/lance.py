"""Indexes as embeddings (extra ``search``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.errors import OutputError
from avfeat.reading.columns import arrays_of, pieces
from avfeat.reading.restore import restored
from avfeat.writers.lance import WINDOWS, Entry, index_entries, index_tables, lance_errors, quoted

_ALL = (1 << 31) - 1


def read_index(path: Path) -> Iterator[Embedding]:
    """The embeddings of an index, at constant memory."""
    entries = {entry.source: entry for entry in index_entries(path)}
    windows = open_windows(path)
    with lance_errors(path):
        for table in pieces(batches_of(windows, windows.schema.names)):
            entry = entries.get(table["source"][0].as_py())
            if entry is not None:
                yield restored(path, arrays_of(table), {**entry.meta, "source": entry.source})


def open_windows(path: Path) -> Any:
    """The table of windows.

    Raises:
        OutputError: the index is not there, is no index, or is empty.
    """
    tables = index_tables(path)
    if not tables:
        raise OutputError(f"{path}: {'is an empty index' if path.is_dir() else 'no such index'}.")
    return tables[WINDOWS]


def batches_of(windows: Any, columns: Sequence[str], sources: Sequence[str] | None = None) -> Iterator[Any]:
    """Batches of rows with some of the columns, of all files or of some; the rows of a file lie together."""
    query = windows.search()
    if sources is not None:
        query = query.where(f"source IN ({quoted(sources)})")
    found: Iterator[Any] = query.select(list(columns)).limit(_ALL).to_batches()
    return found


__all__ = ["Entry", "batches_of", "index_entries", "open_windows", "read_index"]
