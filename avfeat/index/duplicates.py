"""Which files of an index show the same footage, and where: ``avfeat.duplicates``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avfeat.arguments import check_path, is_number, shown
from avfeat.errors import ArgumentError
from avfeat.index.collection import Collection, load_collection
from avfeat.index.likeness import Likeness
from avfeat.index.overlap import Run, best_run

THRESHOLD = 0.67
_NEAR = 0.9
"""Files are compared if two of their windows come so near to the threshold: what lies between two windows of the
other is less like each than like both."""

_LEAST, _SECONDS = 3, 4.0
"""Windows and seconds that lie on each other, or half of the shorter file's."""


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
    return find(load_collection(Path(check_path("index", index)), features=True), threshold)


def find(
    collection: Collection, threshold: float = THRESHOLD, tell: Callable[[str], None] = lambda name: None
) -> Duplicates:
    """``duplicates`` of a collection; ``tell`` gets the name of each file that is done."""
    if not is_number(threshold) or not 0 < threshold < 1:
        raise ArgumentError(f"threshold must be a number between 0 and 1, not {shown(threshold)}.")
    likeness = Likeness(collection)
    pairs = []
    for one, others in likeness.candidates(_NEAR * threshold):
        pairs += [_compared(collection, likeness, one, other, threshold) for other in others]
        tell(collection.sources[one])
    found = sorted((pair for pair in pairs if pair is not None), key=lambda pair: (-pair.score, pair.a, pair.b))
    return Duplicates(found, _groups(found))


def _compared(collection: Collection, likeness: Likeness, one: int, other: int, threshold: float) -> Overlap | None:
    # The order in an index must not matter: the longer one is what gets windows in between.
    short, long = sorted((one, other), key=lambda file: (_count(collection, file), collection.sources[file]))
    similar = likeness.block(collection.rows_of(short), collection.rows_of(long))
    least = min(_LEAST, (len(similar) + 1) // 2)
    hops = collection.hop(short) / collection.hop(long)
    run = best_run(similar, likeness.steps(collection.rows_of(long)), threshold, least, hops)
    if run is None:
        return None
    times = _times(collection, short, long, run)
    begin, end = times[short]
    # A last window may be hardly covered.
    if end - begin < min(_SECONDS, float(collection.durations[short]) / 2):
        return None
    a, b = sorted(times, key=lambda file: collection.sources[file])
    names = collection.sources[a], collection.sources[b]
    return Overlap(*names, round(min(1.0, run.score), 6), *times[a], *times[b])


def _count(collection: Collection, file: int) -> int:
    rows = collection.rows_of(file)
    return int(rows.stop - rows.start)


def _times(collection: Collection, short: int, long: int, run: Run) -> dict[int, tuple[float, float]]:
    """From when to when a run goes in both files, within each."""
    ours, theirs = (collection.start[collection.rows_of(file)] for file in (short, long))
    length = float(collection.end[0] - collection.start[0])
    first, last = float(ours[run.first]), float(ours[run.last])
    begin, end = np.interp([run.begin, run.end], np.arange(len(theirs)), theirs).tolist()
    # Windows lie on each other by their middles; at another speed their ends do not.
    behind = ((begin + end) - run.speed * (first + last)) / 2 + (1 - run.speed) * length / 2
    durations = collection.durations[[short, long]].tolist()
    low, high = max(0.0, first), min(last + length, durations[0])
    low = max(low, -behind / run.speed)
    high = min(high, (durations[1] - behind) / run.speed)
    begin, end = (max(0.0, run.speed * time + behind) for time in (low, high))
    return {short: (round(low, 6), round(high, 6)), long: (round(begin, 6), round(end, 6))}


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
