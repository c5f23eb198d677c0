"""Indexes: folders of LanceDB with the columns of a parquet table, changed file by file (extra ``search``)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.errors import ArgumentError, OutputError
from avfeat.extras import extra_packages
from avfeat.lock import hold_lock
from avfeat.writers.atomic import PREFIX, printable, writing
from avfeat.writers.meta import meta, parse_meta
from avfeat.writers.parquet import table_of

INDEX = ".lance"
"""The suffix of an index."""

MANY = 1_000_000
"""From so many windows on, vectors are found by LanceDB's approximate search; below, all are compared."""

WINDOWS = "windows"
SOURCES = "sources"
_LOCK = f"{PREFIX}index.lock"
# What is written together: each change is a version of the table.
_BATCH_WINDOWS, _BATCH_SECONDS = 4096, 10.0
# Readers of an older version have that long.
_KEPT = timedelta(hours=1)


@dataclass(frozen=True)
class Entry:
    """A file of an index: the name of its rows, its whole path, and its ``meta``."""

    source: str
    path: str
    meta: dict[str, Any]


def file_key(path: str) -> str:
    """By what an index knows a file, wherever the command is run; a link is a file of its own."""
    place = Path(path)
    try:
        return printable(str(place.parent.resolve() / place.name))
    except (OSError, ValueError):
        # No file can have this name; embedding it says so.
        return printable(path)


def import_lancedb() -> Any:
    """The module ``lancedb``; without it an error that names the extra."""
    with extra_packages("search"):
        import lancedb
        import pyarrow  # noqa: F401
    return lancedb


@contextmanager
def lance_errors(path: Path) -> Iterator[None]:
    """What LanceDB says of a broken folder, as an ``OutputError``."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = str(error).split("\n")[0][:200]
        raise OutputError(f"{path}: cannot be read or written as an index ({reason}); make it anew.") from error


def index_tables(path: Path) -> dict[str, Any]:
    """The tables of an index by name: ``windows`` and ``sources``, or none where nothing is in it yet.

    Raises:
        OutputError: it is a folder with something else.
    """
    others = [file.name for file in path.iterdir() if not file.name.startswith(PREFIX)] if path.is_dir() else []
    if path.exists() and set(others) - {f"{WINDOWS}.lance", f"{SOURCES}.lance"}:
        raise OutputError(f"{path}: is not an index of avfeat; give another name.")
    if f"{SOURCES}.lance" not in others:
        return {}
    with lance_errors(path):
        store = import_lancedb().connect(path)
        return {name: store.open_table(name) for name in (WINDOWS, SOURCES)}


def index_entries(path: Path) -> list[Entry]:
    """The files of an index, in no order; rows of others, which a killed run may leave, do not count."""
    tables = index_tables(path)
    if not tables:
        return []
    with lance_errors(path):
        rows = tables[SOURCES].to_arrow().to_pylist()
        return [Entry(row["source"], row["path"], parse_meta(row["meta"]) or {}) for row in rows]


def index_metas(path: Path) -> dict[str, dict[str, Any]]:
    """The ``meta`` of each file of an index by its key."""
    return {entry.path: entry.meta for entry in index_entries(path)}


@contextmanager
def open_index(path: Path, bundle: str, keys: Sequence[str], folders: Iterable[Path]) -> Iterator[IndexWriter]:
    """An index to be brought up to date by one process; what is put before an error is kept.

    Args:
        path: of the index; made if it is not there.
        bundle: sha256 of the one bundle that all its rows are of.
        keys: of the files that are to be in it.
        folders: whose files that are gone are taken out.

    Raises:
        ArgumentError: it is of another bundle, and has files that are not among ``keys``.
        BusyError: another process writes it.
        OutputError: it is no index, or cannot be written.
    """
    import_lancedb()
    index_tables(path)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with hold_lock(path / _LOCK):
        writer = IndexWriter(path)
        writer.take_out_gone(folders)
        writer.begin_with(bundle, keys)
        try:
            yield writer
        finally:
            writer.flush()
        writer.tidy()


class IndexWriter:
    """Puts files into an index, and takes them out; see ``open_index``."""

    def __init__(self, path: Path) -> None:
        """Read what is in it."""
        self._path = path
        self._entries = {entry.path: entry for entry in index_entries(path)}
        self._names = {entry.source: entry.path for entry in self._entries.values()}
        self._waiting: dict[str, Embedding] = {}
        self._removed: set[str] = set()
        self._rows = 0
        self._since = time.monotonic()
        self._changed = False

    def take_out_gone(self, folders: Iterable[Path]) -> None:
        """Take out the files that were in these folders and are no longer there."""
        roots = [Path(printable(str(folder.resolve()))) for folder in folders]
        for key in list(self._entries):
            place = Path(key)
            if any(place.is_relative_to(root) for root in roots) and not place.exists():
                self.remove(key)

    def begin_with(self, bundle: str, keys: Sequence[str]) -> None:
        """Begin anew if all that is in it is of another bundle, and is to be embedded again."""
        stale = {key: entry for key, entry in self._entries.items() if entry.meta.get("bundle") != bundle}
        kept = {*keys, *self._removed}
        lost = [entry.source for key, entry in stale.items() if key not in kept]
        if lost:
            raise ArgumentError(
                f"{self._path}: {len(lost)} of its files, such as {lost[0]}, are of another bundle and not among "
                "the inputs; name them, too, or give another output."
            )
        if stale:
            with lance_errors(self._path):
                import_lancedb().connect(self._path).drop_all_tables()
            self._entries, self._names, self._removed = {}, {}, set()

    def put(self, key: str, embedding: Embedding) -> None:
        """Put a file in, in place of what is there of it; written with others, or after some seconds."""
        name = printable(embedding.source)
        other = self._names.get(name, key)
        if other != key and Path(other).exists():
            # A file of another folder has this relative name.
            name = key
        elif other != key:
            self.remove(other)
        self._names[name] = key
        self._waiting[key] = replace(embedding, source=name)
        self._rows += len(embedding)
        if self._rows >= _BATCH_WINDOWS or time.monotonic() - self._since >= _BATCH_SECONDS:
            self.flush()

    def remove(self, key: str) -> None:
        """Take a file out, if it is in."""
        if key in self._entries:
            self._removed.add(key)

    def flush(self) -> None:
        """Write what waits. A file whose rows are there in part, after a crash, has no entry: it is done again."""
        if self._waiting or self._removed:
            with writing(self._path), lance_errors(self._path):
                self._write()
            self._changed = True
        self._rows, self._since = 0, time.monotonic()

    def tidy(self) -> None:
        """Join small pieces, forget old versions, and index the vectors of many windows."""
        if not self._changed:
            return
        with lance_errors(self._path):
            for table in index_tables(self._path).values():
                table.optimize(cleanup_older_than=_KEPT)
            windows = index_tables(self._path)[WINDOWS]
            if windows.count_rows() >= MANY:
                _index_vectors(windows)

    def _write(self) -> None:
        import pyarrow

        put = {key: Entry(found.source, key, meta(found)) for key, found in self._waiting.items()}
        rows = [{"source": entry.source, "path": key, "meta": json.dumps(entry.meta)} for key, entry in put.items()]
        names = ("source", "path", "meta")
        sources = pyarrow.Table.from_pylist(rows, pyarrow.schema([(name, pyarrow.string()) for name in names]))
        tables = index_tables(self._path)
        if not tables and put:
            store = import_lancedb().connect(self._path)
            schema = table_of(next(iter(self._waiting.values()))).schema
            # In this order: who finds sources finds windows. What a killed run has left is of no use.
            store.drop_table(WINDOWS, ignore_missing=True)
            tables = {WINDOWS: store.create_table(WINDOWS, schema=schema)}
            tables[SOURCES] = store.create_table(SOURCES, schema=sources.schema)
        if not tables:
            return
        old = [self._entries[key] for key in {*put, *self._removed} if key in self._entries]
        for entry in old:
            del self._entries[entry.path]
        _delete(tables[SOURCES], "path", [entry.path for entry in old])
        # Of new ones, too: a run that was killed may have left rows of theirs.
        _delete(tables[WINDOWS], "source", [entry.source for entry in (*old, *put.values())])
        if put:
            tables[WINDOWS].add(pyarrow.concat_tables(map(table_of, self._waiting.values())))
            tables[SOURCES].add(sources)
        self._entries |= put
        self._waiting, self._removed = {}, set()


def quoted(values: Iterable[str]) -> str:
    """Text as a list in SQL."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _delete(table: Any, column: str, values: Sequence[str]) -> None:
    if values:
        table.delete(f"{column} IN ({quoted(values)})")


def _index_vectors(windows: Any) -> None:
    """An index of each column of the shared space that has vectors and no index yet, and of the names."""
    from lancedb.index import BTree, HnswSq

    there = {column for one in windows.list_indices() for column in one.columns}
    if "source" not in there:
        windows.create_index("source", config=BTree())
    for name in ("video_shared", "audio_shared"):
        kind = windows.schema.field(name).type
        if name not in there and getattr(kind, "list_size", None) and windows.count_rows(f"{name} IS NOT NULL"):
            windows.create_index(name, config=HnswSq(distance_type="dot"))
