"""What is drawn: the windows of an index, or its files, each with one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import MODALITIES, Modality
from avfeat.errors import ArgumentError
from avfeat.index.collection import Collection, Mask, Rows, Vectors, unit

Kind = Literal["windows", "files"]
By = Literal["video", "audio", "both"]

MOST = 50_000
"""Points on a map; of more, a sample that is spread evenly over the index."""


@dataclass(frozen=True)
class Points:
    """What is drawn, in the order of the index.

    Attributes:
        kind: windows or files.
        file: int64 ``(n,)``, the number of each point's file.
        start: float64 ``(n,)``, seconds.
        end: float64 ``(n,)``, seconds, at most the file's duration.
        vectors: float32 ``(n, d)`` of unit length. Of ``both``, those of video and audio in a row: the dot product
            of two points that have both is the mean of their cosines.
        of: how many windows or files could have been drawn.
        without: how many have nothing of what is compared.
    """

    kind: Kind
    file: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vectors: Rows
    of: int
    without: int

    def __len__(self) -> int:
        """The number of points."""
        return len(self.file)


def make_points(collection: Collection, kind: Kind, by: By, most: int = MOST) -> Points:
    """The points of an index.

    Args:
        collection: the index.
        kind: each window, or each file with the mean of its windows.
        by: which vectors.
        most: points at most.

    Raises:
        ArgumentError: nothing in it has such vectors.
    """
    wanted: list[Modality] = [name for name in MODALITIES if by in (name, "both")]
    found = {name: collection.vectors[name] for name in wanted if name in collection.vectors}
    if kind == "files":
        found = {name: _means(one, collection.first) for name, one in found.items()}
    count = len(collection.first) if kind == "files" else len(collection)
    there = np.zeros(count, bool)
    for one in found.values():
        there |= one.there
    if not there.any():
        raise ArgumentError(f"{collection.path}: has no {by} to draw; choose another --by.")
    rows = spread(np.flatnonzero(there), most)
    file = rows if kind == "files" else collection.file[rows]
    length = collection.durations[file]
    start = np.zeros(len(rows)) if kind == "files" else np.maximum(collection.start[rows], 0.0)
    end = length if kind == "files" else np.minimum(collection.end[rows], length)
    together = _together([Vectors(one.rows[rows], one.there[rows]) for one in found.values()])
    return Points(kind, file, start, end, together, int(there.sum()), int((~there).sum()))


def spread(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the values, at equal distances."""
    return values if len(values) <= most else values[np.arange(most) * len(values) // most]


def _means(vectors: Vectors, first: NDArray[np.int64]) -> Vectors:
    """Of each file the mean of its windows that have a vector, of unit length."""
    kept = np.where(vectors.there[:, None], vectors.rows, np.float32(0))
    there = np.logical_or.reduceat(vectors.there, first)
    return unit(np.add.reduceat(kept, first, axis=0), there)


def _together(parts: list[Vectors]) -> Rows:
    rows = np.concatenate([_masked(part.rows, part.there) for part in parts], axis=1)
    return unit(rows, np.ones(len(rows), bool)).rows


def _masked(rows: Rows, there: Mask) -> Rows:
    masked: Rows = np.where(there[:, None], rows, np.float32(0))
    return masked
