"""NumPy archives: all arrays of an embedding, and ``meta`` as a JSON string."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.embedding import Embedding
from avfeat.writers.atomic import atomic
from avfeat.writers.meta import ARRAYS, meta, parse_meta


def write_npz(path: Path, embedding: Embedding) -> None:
    """Write ``start end video audio video_shared audio_shared has_video has_audio`` and ``meta``."""
    arrays = {name: getattr(embedding, name) for name in ARRAYS}
    with atomic(path) as file:
        np.savez(file, allow_pickle=False, meta=np.array(json.dumps(meta(embedding))), **arrays)


def read_npz_meta(path: Path) -> dict[str, Any] | None:
    """The ``meta`` of an archive of ours that is whole, else None."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(path, allow_pickle=False) as arrays:
            return parse_meta(str(arrays["meta"])) if all(name in arrays for name in ARRAYS) else None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
