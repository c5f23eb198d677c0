"""NumPy archives: all arrays of an embedding, and ``meta`` as a JSON string."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import DENSE, Embedding
from avfeat.plain import read_arrays
from avfeat.writers.atomic import atomic
from avfeat.writers.meta import ARRAYS, arrays_of, meta, parse_meta


def write_npz(path: Path, embedding: Embedding) -> None:
    """Write ``start end video audio video_shared audio_shared has_video has_audio``, dense rows, and ``meta``."""
    arrays = arrays_of(embedding)
    with atomic(path) as file:
        np.savez(file, allow_pickle=False, meta=np.array(json.dumps(meta(embedding))), **arrays)


def read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """The arrays and the ``meta`` of an archive of ours that is whole, as its checksums say; else None."""
    try:
        # Nothing in it is compressed: it holds no more than it is large.
        arrays = read_arrays(path, path.stat().st_size)
        found = parse_meta(str(arrays["meta"]))
        dense = [name for name in DENSE if name in arrays]
        return None if found is None else ({name: arrays[name] for name in (*ARRAYS, *dense)}, found)
    except (OSError, ValueError, KeyError):
        return None


def read_npz_meta(path: Path) -> dict[str, Any] | None:
    """The ``meta`` of an archive of ours that is whole, else None."""
    whole = read_npz(path)
    return None if whole is None else whole[1]
