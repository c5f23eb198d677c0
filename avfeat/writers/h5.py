"""HDF5 files: one data set a column, ``meta`` as an attribute (extra ``h5``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.embedding import Embedding
from avfeat.extras import extra_packages
from avfeat.writers.atomic import atomic, printable
from avfeat.writers.meta import ARRAYS, meta


def write_h5(path: Path, embedding: Embedding) -> None:
    """Write the arrays of one embedding, with ``source`` and ``window`` columns beside them."""
    h5py = import_h5py()
    rows = len(embedding)
    with atomic(path) as file, h5py.File(file, "w") as store:
        store.attrs["meta"] = json.dumps(meta(embedding))
        store.create_dataset("source", data=[printable(embedding.source)] * rows, dtype=h5py.string_dtype())
        store.create_dataset("window", data=np.arange(rows))
        for name in ARRAYS:
            store.create_dataset(name, data=getattr(embedding, name))


def import_h5py() -> Any:
    """The module ``h5py``; without it an error that names the extra."""
    with extra_packages("h5"):
        import h5py
    return h5py
