"""Output files: every one appears atomically. A format is one module and one entry in ``FORMATS``."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avfeat.arguments import check_path
from avfeat.embedding import Embedding
from avfeat.errors import ArgumentError
from avfeat.writers.h5 import h5_table, import_h5py, write_h5
from avfeat.writers.jsonl import jsonl_table, window_line, write_jsonl
from avfeat.writers.npy import write_npy
from avfeat.writers.npz import read_npz_meta, write_npz
from avfeat.writers.parquet import import_pyarrow, parquet_table, read_parquet_meta, write_parquet


@dataclass(frozen=True)
class Format:
    """How embeddings are written to a file.

    Attributes:
        write: writes one atomically.
        table: a file of many, which appears when the block ends; None where one file can hold only one.
        read_meta: what a whole file says of itself; None where a journal has to say it.
        check: raises if a package is missing, before any work.
    """

    write: Callable[[Path, Embedding], None]
    table: Callable[[Path], AbstractContextManager[Callable[[Embedding], None]]] | None = None
    read_meta: Callable[[Path], dict[str, Any] | None] | None = None
    check: Callable[[], Any] | None = None


FORMATS = {
    "npz": Format(write_npz, read_meta=read_npz_meta),
    "npy": Format(write_npy),
    "jsonl": Format(write_jsonl, jsonl_table),
    "parquet": Format(write_parquet, parquet_table, read_parquet_meta, import_pyarrow),
    "h5": Format(write_h5, h5_table, check=import_h5py),
}


def save(path: str | os.PathLike[str], embedding: Embedding) -> None:
    """Write one embedding in the format that the suffix of ``path`` names; see ``Embedding.save``."""
    place = Path(check_path("path", path))
    form = FORMATS.get(place.suffix.lower().removeprefix("."))
    if form is None:
        names = ", ".join(f".{name}" for name in FORMATS)
        raise ArgumentError(f"{place}: no format is called {place.suffix or 'so'}; end the name in {names}.")
    form.write(place, embedding)


__all__ = ["FORMATS", "Format", "save", "window_line"]
