"""The windows of an index or a table in memory: times, and the vectors that compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import MODALITIES, Modality
from avfeat.errors import ArgumentError, OutputError
from avfeat.reading.columns import pieces, there, vectors
from avfeat.reading.lance import batches_of, index_entries, open_windows
from avfeat.reading.parquet import open_parquet, parquet_metas
from avfeat.writers.lance import INDEX

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]
_AT_ONCE = 8192


@dataclass(frozen=True)
class Vectors:
    """The vectors of one modality: float32 ``(n, d)`` of unit length, and which windows have one, bool ``(n,)``."""

    rows: Rows
    there: Mask


@dataclass(frozen=True)
class Collection:
    """All windows of an index, those of a file together and in order.

    Attributes:
        path: of the index.
        bundle: sha256 of the bundle.
        sources: names of the files.
        places: where the files were when they were embedded; relative ones as they were named.
        durations: float64 ``(files,)``, seconds.
        first: int64 ``(files,)``, the first row of each file.
        file: int64 ``(n,)``, the number of each window's file.
        start: float64 ``(n,)``, seconds.
        end: float64 ``(n,)``, seconds.
        vectors: by modality.
        shared: whether the vectors are of the space that modalities share; else they are features of each.
    """

    path: Path
    bundle: str
    sources: tuple[str, ...]
    places: tuple[Path, ...]
    durations: NDArray[np.float64]
    first: NDArray[np.int64]
    file: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vectors: Mapping[Modality, Vectors]
    shared: bool

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.start)

    def rows_of(self, file: int) -> slice:
        """The windows of a file."""
        last = len(self) if file + 1 == len(self.first) else int(self.first[file + 1])
        return slice(int(self.first[file]), last)

    def hop(self, file: int | None = None) -> float:
        """Seconds from a window to the next, of a file or of all: their median; without any, the length of one."""
        rows = slice(0, len(self)) if file is None else self.rows_of(file)
        steps = np.diff(self.start[rows])[np.diff(self.file[rows]) == 0]
        return float(np.median(steps if len(steps) else self.end[rows] - self.start[rows]))


def load_collection(path: Path, sources: Sequence[str] | None = None, features: bool = False) -> Collection:
    """Read an index, or a table of ``embed``.

    Args:
        path: of it.
        sources: of an index, which to read; None for all.
        features: whether to read the features of each modality, even where there is a shared space.

    Raises:
        ArgumentError: neither.
        OutputError: it is not there, not whole, empty, or does not say its bundle.
        BackendError: it needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (INDEX, ".parquet"):
        raise ArgumentError(
            f"{path}: is no index; give a .lance folder or a .parquet table that embed has written."
        )
    if not path.exists():
        raise OutputError(f"{path}: no such index; make it with: avfeat embed FOLDER -o {path}")
    return _from_index(path, sources, features) if suffix == INDEX else _from_parquet(path, features)


def _from_index(path: Path, sources: Sequence[str] | None, features: bool) -> Collection:
    windows = open_windows(path)
    entries = {entry.source: entry for entry in index_entries(path)}
    columns, shared = _columns(windows.schema, features)
    tables = [
        table
        for table in pieces(batches_of(windows, list(columns), sources))
        # Rows of a run that was killed have no entry.
        if table["source"][0].as_py() in entries
    ]
    names = [table["source"][0].as_py() for table in tables]
    metas = [{**entries[name].meta, "source": name} for name in names]
    return _gathered(path, tables, metas, [entries[name].path for name in names], columns, shared)


def _from_parquet(path: Path, features: bool) -> Collection:
    with open_parquet(path) as file:
        columns, shared = _columns(file.schema_arrow, features)
        metas = parquet_metas(file)
        tables = list(pieces(file.iter_batches(_AT_ONCE, columns=list(columns))))
    if len(metas) != len(tables):
        raise OutputError(f"{path}: does not say which bundle it was made with; make it again with avfeat embed.")
    return _gathered(path, tables, metas, [meta["source"] for meta in metas], columns, shared)


def _columns(schema: Any, features: bool) -> tuple[dict[str, Modality | None], bool]:
    """The columns to read, with the modality that each is the vectors of; whether these are of a shared space."""
    import pyarrow

    chosen: dict[str, Modality | None] = dict.fromkeys(("source", "window", "start", "end"))

    def has(name: str) -> bool:
        return name in schema.names and pyarrow.types.is_fixed_size_list(schema.field(name).type)

    shared = not features and any(has(f"{modality}_shared") for modality in MODALITIES)
    for modality in MODALITIES:
        name = f"{modality}_shared" if shared else modality
        if has(name):
            chosen[name] = modality
    return chosen, shared


def _gathered(
    path: Path,
    tables: Sequence[Any],
    metas: Sequence[Mapping[str, Any]],
    places: Iterable[str],
    columns: Mapping[str, Modality | None],
    shared: bool,
) -> Collection:
    if not tables:
        raise OutputError(f"{path}: holds no windows; embed media into it first.")
    import pyarrow

    whole = pyarrow.concat_tables(tables)
    counts = np.array([len(table) for table in tables], dtype=np.int64)
    found = {
        modality: unit(vectors(whole[name]), there(whole[name]))
        for name, modality in columns.items()
        if modality is not None
    }
    return Collection(
        path=path,
        bundle=str(metas[0].get("bundle", "")),
        sources=tuple(str(meta["source"]) for meta in metas),
        places=tuple(map(Path, places)),
        durations=np.array([float(meta["duration"]) for meta in metas]),
        first=np.cumsum(counts) - counts,
        file=np.repeat(np.arange(len(counts)), counts),
        start=whole["start"].to_numpy(),
        end=whole["end"].to_numpy(),
        vectors=found,
        shared=shared,
    )


def unit(rows: Rows, mask: Mask) -> Vectors:
    """Vectors of unit length: those of the shared space are, to rounding; features are made so."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if np.abs(lengths[mask] - 1).max(initial=0) > 1e-3:
        rows = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return Vectors(np.ascontiguousarray(rows, dtype=np.float32), mask)
