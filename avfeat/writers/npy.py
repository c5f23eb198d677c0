"""One vector a file: the pooled embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avfeat.embedding import Embedding
from avfeat.writers.atomic import atomic


def write_npy(path: Path, embedding: Embedding) -> None:
    """Write ``embedding.pooled()``: float32 ``(d_video + d_audio,)``."""
    with atomic(path) as file:
        np.save(file, embedding.pooled(), allow_pickle=False)
