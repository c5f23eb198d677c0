"""Which files of an index show the same footage, and where: ``avfeat.duplicates``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import check_path, is_number, shown
from avfeat.errors import ArgumentError
from avfeat.index.collection import Collection, load_collection
from avfeat.index.overlap import best_run

THRESHOLD = 0.9
_CELLS = 1 << 25
"""Similarities that are held at a time."""

_LEAST = 3
"""Windows that lie on each other, or half of the shorter file's."""


@dataclass(frozen=True)
class Overlap:
    """Two files with the same footage.

    Attributes:
        a: a file, as it was named when it was embedded.
        b: another, whose name is later in the alphabet.
        score: mean similarity of the windows that lie on each other, at most 1.
        a_start: where the footage begins in ``a``, in seconds.
        a_end: where it ends in ``a``.
        b_start: where it begins in ``b``.
        b_end: where it ends in ``b``.
    """

    a: str
    b: str
    score: float
    a_start: float
    a_end: float
    b_start: float
    b_end: float


@dataclass(frozen=True)
class Duplicates:
    """Pairs, the best first, and groups of files that pairs join, the largest first."""

    pairs: list[Overlap]
    groups: list[list[str]]


def duplicates(index: str | os.PathLike[str], *, threshold: float = THRESHOLD) -> Duplicates:
    """Find the files of an index that share footage: copies, parts of each other, whole or cut.

    Args:
        index: a ``.lance`` folder or a ``.parquet`` table that ``embed`` has written.
        threshold: the score from which windows are the same, in (0, 1).

    Raises:
        ArgumentError: no index, or another threshold.
        OutputError: the index is not there, or not whole.
        BackendError: the index needs a package that is not installed.
    """
    return find(load_collection(Path(check_path("index", index))), threshold)


def find(
    collection: Collection, threshold: float = THRESHOLD, tell: Callable[[str], None] = lambda name: None
) -> Duplicates:
    """``duplicates`` of a collection; ``tell`` gets the name of each file that is done."""
    if not is_number(threshold) or not 0 < threshold < 1:
        raise ArgumentError(f"threshold must be a number between 0 and 1, not {shown(threshold)}.")
    steps = _steps(collection)
    pairs = []
    for one, other, similar in _candidates(collection, threshold, tell):
        pair = _compared(collection, one, other, similar, steps, threshold)
        if pair is not None:
            pairs.append(pair)
    pairs.sort(key=lambda pair: (-pair.score, pair.a, pair.b))
    return Duplicates(pairs, _groups(pairs))


def _similar(collection: Collection, rows: slice, others: slice) -> NDArray[np.float32]:
    """Similarities of windows with others: of what is seen, and of what is heard where a file has no video."""
    found = np.full((rows.stop - rows.start, others.stop - others.start), np.nan, np.float32)
    for modality in ("audio", "video"):
        vectors = collection.vectors.get(modality)
        if vectors is not None:
            both = vectors.there[rows, None] & vectors.there[None, others]
            np.copyto(found, vectors.rows[rows] @ vectors.rows[others].T, where=both)
    return found


def _steps(collection: Collection) -> NDArray[np.float32]:
    """Similarity of each window with the next."""
    found = np.full(max(0, len(collection) - 1), np.nan, np.float32)
    for modality in ("audio", "video"):
        vectors = collection.vectors.get(modality)
        if vectors is not None:
            both = vectors.there[:-1] & vectors.there[1:]
            np.copyto(found, np.einsum("nd,nd->n", vectors.rows[:-1], vectors.rows[1:]), where=both)
    return found


def _candidates(
    collection: Collection, threshold: float, tell: Callable[[str], None]
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Files that have windows which are similar enough, with the similarities of all their windows."""
    count, first = len(collection.first), collection.first
    begin = 0
    while begin < count:
        low = int(first[begin])
        left = len(collection) - low
        stop = max(begin + 1, int(np.searchsorted(first, low + _CELLS // left, "right")) - 1)
        high = len(collection) if stop == count else int(first[stop])
        similar = _similar(collection, slice(low, high), slice(low, len(collection)))
        best = np.maximum.reduceat(np.nan_to_num(similar, nan=-1.0), first[begin:] - low, axis=1)
        best = np.maximum.reduceat(best, first[begin:stop] - low, axis=0)
        for row in range(stop - begin):
            one = begin + row
            for other in (begin + np.flatnonzero(best[row] >= threshold)).tolist():
                if other > one:
                    ours, theirs = collection.rows_of(one), collection.rows_of(other)
                    yield (
                        one,
                        other,
                        similar[ours.start - low : ours.stop - low, theirs.start - low : theirs.stop - low],
                    )
            tell(collection.sources[one])
        begin = stop


def _compared(
    collection: Collection,
    one: int,
    other: int,
    similar: NDArray[np.float32],
    steps: NDArray[np.float32],
    threshold: float,
) -> Overlap | None:
    # The order in an index must not matter: the longer one is what gets windows in between.
    order = sorted((one, other), key=lambda file: (_count(collection, file), collection.sources[file]))
    if order[0] != one:
        similar = similar.T
    short, long = order
    rows = collection.rows_of(long)
    least = min(_LEAST, (len(similar) + 1) // 2)
    run = best_run(similar, steps[rows.start : rows.stop - 1], threshold, least)
    if run is None:
        return None
    times = {short: _reach(collection, short, run.first, run.last, 1.0)}
    speed = (run.end - run.begin) / (run.last - run.first) if run.last > run.first else 1.0
    times[long] = _reach(collection, long, run.begin, run.end, speed)
    a, b = sorted(times, key=lambda file: collection.sources[file])
    names = collection.sources[a], collection.sources[b]
    return Overlap(*names, round(run.score, 6), *times[a], *times[b])


def _count(collection: Collection, file: int) -> int:
    rows = collection.rows_of(file)
    return rows.stop - rows.start


def _reach(collection: Collection, file: int, first: float, last: float, speed: float) -> tuple[float, float]:
    """From when to when some windows go, which may lie between those of the file."""
    rows = collection.rows_of(file)
    starts = collection.start[rows]
    length = float(collection.end[rows.start] - starts[0])
    begin, end = np.interp([first, last], np.arange(len(starts)), starts) + length / 2
    half = length * speed / 2
    low = max(0.0, float(starts[0]), float(begin) - half)
    return round(low, 6), round(min(float(collection.durations[file]), float(end) + half), 6)


def _groups(pairs: list[Overlap]) -> list[list[str]]:
    """Files that are joined by pairs, directly or through others."""
    member: dict[str, list[str]] = {}
    for pair in pairs:
        ours, theirs = member.setdefault(pair.a, [pair.a]), member.setdefault(pair.b, [pair.b])
        if ours is not theirs:
            ours.extend(theirs)
            member.update(dict.fromkeys(theirs, ours))
    groups = {id(group): sorted(group) for group in member.values()}
    return sorted(groups.values(), key=lambda group: (-len(group), group))
