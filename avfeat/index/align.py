"""Lays the windows of a query over those of every file, at every offset in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.index.collection import Collection, Vectors

Combine = Literal["mean", "max"]
Floats = NDArray[np.float64]

Pair = tuple[Modality | Literal["text"], Modality]
"""Which of a query's vectors is compared with which of an index."""

WEIGHTS: dict[Pair, float] = {("video", "video"): 0.7, ("audio", "audio"): 0.3}
"""What each counts in a mean; others count alike. Copies with another sound, or noise on it, are still found."""

_CELLS = 1 << 24
"""Similarities that are held at a time."""


@dataclass(frozen=True)
class Query:
    """Windows to look for: times float64 ``(m,)`` in seconds, where their media end, and vectors by modality.

    ``vectors`` has ``text`` for a text, which has one window of no time.
    """

    start: Floats
    end: Floats
    duration: float
    vectors: dict[Modality | Literal["text"], Vectors]

    def reach(self) -> tuple[float, float]:
        """From when to when it goes; a single window to its end."""
        first, last = float(self.start[0]), float(self.end[-1])
        return first, last if len(self.start) == 1 else max(min(last, self.duration), float(self.start[-1]))


@dataclass(frozen=True)
class Laid:
    """A query over all files at all offsets.

    Attributes:
        file: int64 ``(k,)``, the file of each offset; those of a file lie together, in order of time.
        offset: float64 ``(k,)``, seconds that the query is moved by: its time 0 lies there in the file.
        score: float64 ``(k,)``, the mean similarity of windows that lie on each other: their sum over their number,
            or over the number that could, of the shorter of both, where only the ends overlap; -inf where none do.
    """

    file: NDArray[np.int64]
    offset: Floats
    score: Floats


def lay(query: Query, collection: Collection, pairs: Sequence[Pair], combine: Combine = "mean") -> Laid:
    """Compare every window of the query with every one of the collection, and sum up by offset.

    Args:
        query: what is looked for; several windows lie on the collection's grid or on a finer one.
        collection: where.
        pairs: which vectors are compared; of a window's similarities, the mean (0.7 of video, 0.3 of audio) or the
            greatest counts.
        combine: which.
    """
    hop = collection.hop()
    step = min(hop, float(np.diff(query.start).min())) if len(query.start) > 1 else hop
    bins = _Bins(query, collection, step)
    sums, counts = np.zeros(bins.total), np.zeros(bins.total)
    comparable = np.zeros(len(collection), bool)
    at_once = max(1, _CELLS // len(collection))
    for begin in range(0, len(query.start), at_once):
        rows = slice(begin, begin + at_once)
        similar = _similarities(query, collection, pairs, combine, rows)
        for column, start in zip(similar.T, query.start[rows], strict=True):
            there = np.isfinite(column)
            keys = bins.keys(float(start))[there]
            sums += np.bincount(keys, column[there], bins.total)
            counts += np.bincount(keys, minlength=bins.total)
            comparable |= there
    span = (query.start[-1] - query.start[0]) / hop
    # Between the grid's offsets, one window fewer lies on it.
    on_grid = 1 + round(span) if step == hop else max(1, int(span + 1e-6))
    in_file = np.bincount(collection.file, comparable, len(collection.first))
    file = np.repeat(np.arange(len(bins.sizes)), bins.sizes)
    least = np.minimum(on_grid, in_file)[file]
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(counts > 0, sums / np.maximum(counts, least), -np.inf)
    return Laid(file, bins.offsets(file), score)


class _Bins:
    """A number for each offset of each file, ``step`` seconds apart; steps count from a file's first window."""

    def __init__(self, query: Query, collection: Collection, step: float) -> None:
        self._step, self._query = step, query.start
        self._earliest = collection.start[collection.first]
        steps = np.rint((collection.start - self._earliest[collection.file]) / step).astype(np.int64)
        self._behind = self._steps(float(query.start[-1]))
        self.sizes = np.maximum.reduceat(steps, collection.first) + self._behind + 1
        self.base = np.cumsum(self.sizes) - self.sizes
        self.total = int(self.sizes.sum())
        self._keys: NDArray[np.int64] = self.base[collection.file] + steps + self._behind

    def keys(self, start: float) -> NDArray[np.int64]:
        """The offset at which each window of the collection lies on the query's that begins at ``start``."""
        found: NDArray[np.int64] = self._keys - self._steps(start)
        return found

    def offsets(self, file: NDArray[np.int64]) -> Floats:
        """Seconds that the query is moved by, for each number; ``file``: its file."""
        steps = np.arange(self.total) - self.base[file] - self._behind
        moved: Floats = self._earliest[file] - self._query[0] + steps * self._step
        return moved

    def _steps(self, start: float) -> int:
        return round((start - float(self._query[0])) / self._step)


def _similarities(
    query: Query, collection: Collection, pairs: Sequence[Pair], combine: Combine, rows: slice
) -> NDArray[np.float32]:
    """Similarities ``(n, windows)`` of all windows with some of the query's; NaN where nothing compares."""
    count = len(query.start[rows])
    best = np.full((len(collection), count), -np.inf, np.float32)
    total, weights = np.zeros_like(best), np.zeros_like(best)
    for ours, theirs in pairs:
        one, other = query.vectors.get(ours), collection.vectors.get(theirs)
        if one is None or other is None:
            continue
        similar = other.rows @ one.rows[rows].T
        both = other.there[:, None] & one.there[rows][None]
        np.maximum(best, similar, out=best, where=both)
        weight = np.float32(WEIGHTS.get((ours, theirs), 1.0))
        np.add(total, weight * similar, out=total, where=both)
        weights += weight * both
    with np.errstate(invalid="ignore", divide="ignore"):
        found = total / weights
    return np.where(weights > 0, best if combine == "max" else found, np.float32(np.nan))
