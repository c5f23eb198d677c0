"""How well audio and video agree: cosines in the space that they share, and of pairs that are mismatched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.index.collection import Collection

PAIRS = 20_000
"""Mismatched pairs that are drawn."""


@dataclass(frozen=True)
class Agreement:
    """Cosines of what is seen with what is heard.

    Attributes:
        windows: float32 ``(n,)``, of each window; NaN where one of the two is missing.
        chance: float32 ``(m,)`` in ascending order, of pictures with the sound of another file.
        share: how often a window's own cosine is above that of a mismatched pair, ties counting half; 0.5: chance.
    """

    windows: NDArray[np.float32]
    chance: NDArray[np.float32]
    share: float


def agreement_of(collection: Collection, seed: int) -> Agreement | None:
    """The agreement of an index; None where its bundle has no shared space, or no two files have both.

    Args:
        collection: the index.
        seed: which pairs are drawn.
    """
    video, audio = collection.vectors.get("video"), collection.vectors.get("audio")
    if not collection.shared or video is None or audio is None:
        return None
    both = np.flatnonzero(video.there & audio.there)
    rng = np.random.default_rng(seed)
    seen, heard = both[rng.integers(0, max(1, len(both)), (2, PAIRS))] if len(both) else np.empty((2, 0), np.int64)
    apart = collection.file[seen] != collection.file[heard]
    if not apart.any():
        return None
    chance = np.sort(np.einsum("nd,nd->n", video.rows[seen[apart]], audio.rows[heard[apart]]))
    windows = np.full(len(collection), np.nan, np.float32)
    windows[both] = np.einsum("nd,nd->n", video.rows[both], audio.rows[both])
    below = np.searchsorted(chance, windows[both], "left") + np.searchsorted(chance, windows[both], "right")
    return Agreement(windows, chance, float(below.mean() / 2 / len(chance)))
