"""Output files: every one appears atomically. A format is one module and one entry in ``FORMATS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.writers.h5 import import_h5py, write_h5
from avfeat.writers.jsonl import jsonl_table, window_line, write_jsonl
from avfeat.writers.npy import write_npy
from avfeat.writers.npz import read_npz_meta, write_npz
from avfeat.writers.parquet import import_pyarrow, parquet_table, read_parquet_meta, write_parquet


@dataclass(frozen=True)
class Format:
    """How one embedding is written to a file.

    Attributes:
        write: writes it atomically.
        read_meta: what a whole file says of itself; None where a journal has to say it.
        check: raises if a package is missing, before any work.
    """

    write: Callable[[Path, Embedding], None]
    read_meta: Callable[[Path], dict[str, Any] | None] | None = None
    check: Callable[[], Any] | None = None


FORMATS = {
    "npz": Format(write_npz, read_npz_meta),
    "npy": Format(write_npy),
    "jsonl": Format(write_jsonl),
    "parquet": Format(write_parquet, read_parquet_meta, import_pyarrow),
    "h5": Format(write_h5, check=import_h5py),
}

__all__ = ["FORMATS", "Format", "jsonl_table", "parquet_table", "window_line"]
