"""HDF5 files as embeddings (extra ``h5``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.embedding import Embedding
from avfeat.reading.restore import NAMES, derived, not_whole, restored
from avfeat.writers.h5 import import_h5py
from avfeat.writers.meta import METAS, parse_meta, parse_metas


def read_h5(path: Path) -> Iterator[Embedding]:
    """The embeddings of a file or table, one source in memory at a time."""
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as store:
            metas = _metas(store)
            begins = np.flatnonzero(store["window"][:] == 0).tolist()
            names = sorted(NAMES & set(store) - {"source"})
            for number, begin in enumerate(begins):
                rows = slice(begin, begins[number + 1] if number + 1 < len(begins) else None)
                arrays = {name: store[name][rows] for name in names}
                source = store["source"].asstr()[begin]
                yield restored(path, arrays, metas[number] if metas else derived(source, arrays))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise not_whole(path) from error


def _metas(store: Any) -> list[dict[str, Any]]:
    name = METAS.decode()
    if name in store:
        return parse_metas(store[name].asstr()[()])
    alone = parse_meta(store.attrs.get("meta"))
    return [] if alone is None else [alone]
