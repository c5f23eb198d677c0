"""Where two files show the same: the best run of windows that lie on each other, at any offset and some speeds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SPEEDS = (1.0, 1.25, 0.8)
"""How many seconds of the one go by for each of the other."""

PARTS = 4
"""Offsets that are tried between one window and the next."""

_MARGIN = 0.02
"""What a window has to gain more, on average, for another speed than the file's own."""

_CELLS = 1 << 22
"""Similarities of offsets that are held at a time."""

Similar = NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """Windows ``first`` to ``last`` of a file lie on ``begin`` to ``end`` of another, in windows, and how well.

    Attributes:
        first: the first window.
        last: the last one, which belongs to it.
        begin: which window of the other lies on the first; between two windows, a fraction.
        end: which on the last.
        speed: seconds of the other that go by for each of the first.
        score: mean similarity.
        gain: the sum of what the similarities are above the threshold.
    """

    first: int
    last: int
    begin: float
    end: float
    speed: float
    score: float
    gain: float


def between(similar: Similar, steps: NDArray[np.float32]) -> Similar:
    """Similarities ``(n, m)`` with windows, and with what would be between them, ``(n, PARTS * (m - 1) + 1)``.

    A window that lies on parts of two is taken for their mean by time, at unit length.

    Args:
        similar: of ``n`` windows with ``m`` of another file; NaN where nothing compares.
        steps: float32 ``(m - 1,)``, similarity of each of the others with the next.
    """
    found = np.empty((len(similar), PARTS * (similar.shape[1] - 1) + 1), np.float32)
    found[:, ::PARTS] = similar
    for part in range(1, PARTS):
        late = part / PARTS
        early = 1 - late
        length = np.sqrt(early**2 + late**2 + 2 * early * late * steps)
        mixed = early * similar[:, :-1] + late * similar[:, 1:]
        found[:, part::PARTS] = mixed / np.maximum(length, 0.1)
    return found


def best_run(
    similar: Similar, steps: NDArray[np.float32], threshold: float, least: int, hops: float = 1.0
) -> Run | None:
    """The run that gains the most above ``threshold``; None where none of ``least`` windows does.

    Each line of an offset and a speed is searched for the part of the greatest sum (Kadane's algorithm).

    Args:
        similar: float32 ``(n, m)``, similarities of all windows of a file with all of another; NaN: not comparable.
        steps: float32 ``(m - 1,)``, similarity of each window of the other with its next one.
        threshold: what a similarity has to be above, to gain.
        least: windows of a run.
        hops: how many hops of the other one of the file's is.
    """
    # Windows that compare with nothing are passed over.
    windows = np.flatnonzero(np.isfinite(similar).any(axis=1))
    if len(windows) < least:
        return None
    fine = between(similar[windows], steps)
    best: Run | None = None
    for speed in SPEEDS:
        for offsets in _offsets(similar.shape, speed * hops):
            found = _best_line(fine, windows, offsets, speed * hops, threshold, least)
            if found is not None and (best is None or found.gain > best.gain + _MARGIN * len(windows)):
                best = replace(found, speed=speed)
    return best


def _offsets(shape: tuple[int, ...], pace: float) -> list[NDArray[np.int64]]:
    """Where window 0 can lie, in parts of a window of the other, some lines at a time."""
    count, others = shape
    # By their middles: a window of 2 s that goes 1.25 times as fast shows 2.5 s.
    every = np.arange(-round(PARTS * pace * (count - 1)), PARTS * (others - 1) + 1)
    at_once = max(1, _CELLS // count)
    return [every[begin : begin + at_once] for begin in range(0, len(every), at_once)]


def _best_line(
    fine: Similar,
    windows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    pace: float,
    threshold: float,
    least: int,
) -> Run | None:
    count = len(windows)
    places = offsets[:, None] + np.rint(PARTS * pace * windows).astype(np.int64)
    inside = (places >= 0) & (places < fine.shape[1])
    values = fine[np.arange(count), np.where(inside, places, 0)]
    comparable = inside & np.isfinite(values)
    gains = np.where(comparable, values - threshold, -1e6).astype(np.float64)
    sums = np.concatenate([np.zeros((len(offsets), 1)), np.cumsum(gains, axis=1)], axis=1)
    lowest = np.minimum.accumulate(sums[:, : count + 1 - least], axis=1)
    gained = sums[:, least:] - lowest
    line, stop = np.unravel_index(int(np.argmax(gained)), gained.shape)
    gain = float(gained[line, stop])
    if gain < 0:
        return None
    last = int(stop) + least - 1
    first = int(np.argmin(sums[line, : last + 2 - least]))
    score = float(values[line, first : last + 1].mean(dtype=np.float64))
    begin, end = places[line, first] / PARTS, places[line, last] / PARTS
    return Run(int(windows[first]), int(windows[last]), float(begin), float(end), pace, score, gain)
