"""NumPy archives as embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avfeat.embedding import Embedding
from avfeat.reading.restore import not_whole, restored
from avfeat.writers.npz import read_npz


def read_npz_file(path: Path) -> Iterator[Embedding]:
    """The one embedding of an archive."""
    whole = read_npz(path)
    if whole is None:
        raise not_whole(path)
    yield restored(path, *whole)
