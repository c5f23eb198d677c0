"""How alike all windows of a collection are, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.index.collection import Collection, Vectors

Similar = NDArray[np.float32]

CELLS = 1 << 23
"""Similarities that are held at a time."""


class Likeness:
    """Similarities of windows: of what is seen, or of what is heard where one of two has no video."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._video = _present(collection, "video")
        self._audio = _present(collection, "audio")

    def block(self, rows: slice, others: slice) -> Similar:
        """Similarities ``(n, m)`` of windows with others; NaN where nothing compares."""
        found = _products(self._video, rows, others)
        if found is None or np.isnan(found).any():
            heard = _products(self._audio, rows, others)
            if heard is not None:
                found = heard if found is None else np.where(np.isnan(found), heard, found)
        if found is None:
            found = np.full((rows.stop - rows.start, others.stop - others.start), np.nan, np.float32)
        return found

    def steps(self, file: int) -> NDArray[np.float32]:
        """Similarity of each window of a file with its next one, ``(n - 1,)``."""
        rows = self._collection.rows_of(file)
        return np.diagonal(self.block(rows, rows), 1)

    def candidates(self, least: float) -> Iterator[tuple[int, list[int]]]:
        """Each file, and those after it of which some window is ``least`` alike to one of its own."""
        first, file = self._collection.first, self._collection.file
        stop = len(self._collection)
        for begin, end in self._blocks():
            low, high = int(first[begin]), int(first[end]) if end < len(first) else stop
            near = np.flatnonzero(self.block(slice(low, high), slice(low, stop)) >= least)
            ours, theirs = np.divmod(near, stop - low)
            pairs = np.unique(file[low + ours] * len(first) + file[low + theirs])
            found: dict[int, list[int]] = {one: [] for one in range(begin, end)}
            for one, other in zip(*np.divmod(pairs, len(first)), strict=True):
                if other > one:
                    found[int(one)].append(int(other))
            yield from found.items()

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Files ``begin`` to ``end`` whose windows, with all behind them, are as many as are held; one at least."""
        first, begin = self._collection.first, 0
        while begin < len(first):
            low = int(first[begin])
            rows = CELLS // (len(self._collection) - low)
            end = max(begin + 1, int(np.searchsorted(first, low + rows, "right")) - 1)
            end = len(first) if low + rows >= len(self._collection) else end
            yield begin, end
            begin = end


def _present(collection: Collection, modality: Modality) -> Vectors | None:
    vectors = collection.vectors.get(modality)
    return vectors if vectors is not None and vectors.there.any() else None


def _products(vectors: Vectors | None, rows: slice, others: slice) -> Similar | None:
    if vectors is None:
        return None
    found: Similar = vectors.rows[rows] @ vectors.rows[others].T
    found[~vectors.there[rows]] = np.nan
    found[:, ~vectors.there[others]] = np.nan
    return found
