"""How alike windows of a collection are, as copies of each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.index.collection import Collection, Mask, Rows

Similar = NDArray[np.float32]

STILL = 0.995
"""A window that is so like the next that does not overlap it shows or sounds nothing that changes. Of real clips,
none is (the most is 0.986); stills, black and silence are."""

SAME_SOUND, SOUND = 0.8, 0.3
"""From which similarity on a sound counts, and how much the same sound adds to what is seen."""

CELLS = 1 << 23
"""Similarities that are held at a time."""


class Likeness:
    """Similarities of windows: the cosine of what is seen, and up to 0.3 more where the sound is the same, too.

    What stands still (black, a still picture, silence) is no evidence, as it is like that of any other file: it
    does not compare. Two windows of which neither has a picture that moves compare by sound.
    """

    def __init__(self, collection: Collection) -> None:
        self._first, self._file = collection.first, collection.file
        self._video, seen = _moving(collection, "video")
        self._audio, heard = _moving(collection, "audio")
        self._seen, self._sound_alone = seen, heard & ~seen

    def block(self, rows: slice, others: slice) -> Similar:
        """Similarities ``(n, m)`` of windows with others; NaN where they do not compare."""
        sound = same_sound(self._audio[rows] @ self._audio[others].T)
        seen = self._video[rows] @ self._video[others].T + SOUND * sound
        comparable = self._seen[rows, None] & self._seen[None, others]
        alone = self._sound_alone[rows, None] & self._sound_alone[None, others]
        found: Similar = np.where(comparable, seen, np.where(alone, sound, np.float32(np.nan)))
        return found

    def steps(self, rows: slice) -> NDArray[np.float32]:
        """Cosine of each window of a file with its next one, ``(n - 1,)``: of what is seen, else heard."""
        now, after = slice(rows.start, rows.stop - 1), slice(rows.start + 1, rows.stop)
        seen, heard = (np.einsum("nd,nd->n", one[now], one[after]) for one in (self._video, self._audio))
        found: Similar = np.where(self._seen[now] & self._seen[after], seen, heard)
        return found

    def candidates(self, least: float) -> Iterator[tuple[int, list[int]]]:
        """Each file, and those after it of which some window is ``least`` alike to one of its own."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        alone = np.flatnonzero(self._sound_alone)
        sounds = self._audio[alone]
        for low, high in _blocks(len(alone)):
            near = same_sound(sounds[low:high] @ sounds[low:].T) >= least
            self._note(found, *(alone[low + places] for places in np.nonzero(near)))
        done = 0
        for low, high in _blocks(len(self._file)):
            seen = self._video[low:high] @ self._video[low:].T
            ours, theirs = (low + places for places in np.nonzero(seen >= least - SOUND))
            for part in np.array_split(np.arange(len(ours)), 1 + self._audio.shape[1] * len(ours) // CELLS):
                one, other = ours[part], theirs[part]
                sound = same_sound(np.einsum("nd,nd->n", self._audio[one], self._audio[other]))
                near = seen[one - low, other - low] + SOUND * sound >= least
                self._note(found, one[near], other[near])
            # Files of which all windows have been compared.
            upto = int(np.searchsorted(self._first, high)) - (high < len(self._file))
            for file in range(done, upto):
                yield file, sorted(found.pop(file, ()))
            done = upto

    def _note(self, found: defaultdict[int, set[int]], ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> None:
        count = len(self._first)
        pairs = np.unique(self._file[ours] * count + self._file[theirs])
        for one, other in zip(*np.divmod(pairs, count), strict=True):
            if one != other:
                found[int(min(one, other))].add(int(max(one, other)))


def same_sound(cosine: Similar) -> Similar:
    """0 up to ``SAME_SOUND``, from there up to 1."""
    found: Similar = np.clip((cosine - np.float32(SAME_SOUND)) / np.float32(1 - SAME_SOUND), 0, 1)
    return found


def _moving(collection: Collection, modality: Modality) -> tuple[Rows, Mask]:
    """The vectors of a modality, zeros where they are missing or stand still, and which are there."""
    vectors = collection.vectors.get(modality)
    if vectors is None or not vectors.rows.shape[1]:
        return np.zeros((len(collection), 1), np.float32), np.zeros(len(collection), bool)
    there = vectors.there.copy()
    now, after = _apart(collection)
    still = np.einsum("nd,nd->n", vectors.rows[now], vectors.rows[after]) >= STILL
    there[now[still]] = there[after[still]] = False
    return (vectors.rows if there.all() else np.where(there[:, None], vectors.rows, 0)), there


def _apart(collection: Collection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows, and the first of the same file that begins when each has ended."""
    span = float(collection.end.max() - collection.start.min()) + 1
    # Files one after the other on one line of time.
    starts = collection.file * span + collection.start
    after = np.searchsorted(starts, collection.file * span + collection.end - 1e-6)
    now = np.flatnonzero(after < len(starts))
    now = now[collection.file[after[now]] == collection.file[now]]
    return now, after[now]


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    """Rows ``low`` to ``high`` that make ``CELLS`` similarities with all from ``low`` on; one at least."""
    low = 0
    while low < count:
        high = min(count, low + max(1, CELLS // (count - low)))
        yield low, high
        low = high
