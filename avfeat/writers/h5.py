"""HDF5 files: one data set a column, ``meta`` as an attribute (extra ``h5``)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.embedding import Embedding
from avfeat.extras import extra_packages
from avfeat.writers.atomic import Nothing, atomic, printable
from avfeat.writers.meta import METAS, TableMeta, arrays_of, meta

_CHUNK = 1 << 16
"""Bytes of a table's column that lie together, and have a checksum together."""


def write_h5(path: Path, embedding: Embedding) -> None:
    """Write the arrays of one embedding, with ``source`` and ``window`` columns beside them."""
    h5py = import_h5py()
    with atomic(path) as file, h5py.File(file, "w") as store:
        store.attrs["meta"] = json.dumps(meta(embedding))
        for name, values in _columns(embedding).items():
            store.create_dataset(name, data=values, dtype=h5py.string_dtype() if name == "source" else None)


@contextmanager
def h5_table(path: Path) -> Iterator[Callable[[Embedding], None]]:
    """The same columns for many embeddings; call what this gives with each. The file appears when all are written.

    HDF5 has no way to change a file that a crash in between leaves whole, so none is ever changed. Each 64 kB of a
    column have a checksum (Fletcher-32), which HDF5 compares when it reads them.
    """
    h5py = import_h5py()
    with atomic(path) as file:
        with h5py.File(file, "w") as store:
            metas = TableMeta()

            def add(embedding: Embedding) -> None:
                metas.add(embedding)
                for name, values in _columns(embedding).items():
                    _append(store, name, values, h5py.string_dtype() if name == "source" else values.dtype)

            yield add
            rows = len(store)
            if rows:
                # No attribute: those hold 64 kB at most.
                store.create_dataset(METAS.decode(), data=metas.text(), dtype=h5py.string_dtype())
        if not rows:
            raise Nothing


def import_h5py() -> Any:
    """The module ``h5py``; without it an error that names the extra."""
    with extra_packages("h5"):
        import h5py
    return h5py


def _columns(embedding: Embedding) -> dict[str, Any]:
    rows = len(embedding)
    source = np.array([printable(embedding.source)] * rows, dtype=object)
    return {"source": source, "window": np.arange(rows), **arrays_of(embedding)}


def _append(store: Any, name: str, values: Any, dtype: Any) -> None:
    """Add rows to a column, which the first ones make."""
    if name not in store:
        sides = values.shape[1:]
        # Of a modality that a bundle lacks, the vectors are of length 0, which no chunk can be.
        limits, chunk = [side or None for side in sides], [side or 1 for side in sides]
        rows = max(1, _CHUNK // (values.itemsize * math.prod(chunk)))
        options = {"maxshape": (None, *limits), "chunks": (rows, *chunk)}
        # A string lies elsewhere in the file, where no checksum can be.
        store.create_dataset(name, (0, *sides), dtype, fletcher32=name != "source", **options)
    column = store[name]
    before = len(column)
    column.resize(before + len(values), axis=0)
    column[before:] = values
