"""When things happen: the beats that a motion and its sound share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rhythm = Literal["even", "gallop", "settling"]
"""``even``: equal intervals; ``gallop``: short and long in turn; ``settling``: shorter and shorter, then anew."""


@dataclass(frozen=True)
class Moment:
    """An instant within the beats.

    Attributes:
        beat: number of the last beat.
        part: how much of the interval to the next one has passed, in [0, 1).
        interval: seconds between the two.
        since: seconds since the last beat.
    """

    beat: int
    part: float
    interval: float
    since: float


REST = Moment(0, 0.0, 1.0, math.inf)
"""The thing as it lies before and after its event."""


@dataclass(frozen=True)
class Beats:
    """Beats of one event: float64 ``(n,)`` seconds, rising; the last one only closes the last interval."""

    times: NDArray[np.float64]

    def at(self, time: float) -> Moment:
        """Where ``time`` (in seconds) lies among the beats; ``REST`` outside of them."""
        beat = int(np.searchsorted(self.times, time, side="right")) - 1
        if not 0 <= beat < len(self.times) - 1:
            return REST
        begin, end = self.times[beat : beat + 2]
        return Moment(beat, float((time - begin) / (end - begin)), float(end - begin), float(time - begin))

    def phase(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Beats passed at each of ``times``, fractions included; constant outside."""
        return np.interp(times, self.times, np.arange(len(self.times), dtype=np.float64))

    def delay(self, part: float) -> Beats:
        """As many beats, each ``part`` of its interval later; the last one, which only closes, stays."""
        return Beats(np.append(self.times[:-1] + part * np.diff(self.times), self.times[-1]))


def beats(rhythm: Rhythm, start: float, end: float, rng: np.random.Generator) -> Beats:
    """Draw the beats of an event between ``start`` and ``end`` seconds.

    Tempo, phase and a small unsteadiness differ from video to video; the distribution of the tempo is the same for
    every class of one rhythm. Beats go on before ``start`` and behind ``end``, at least one whole interval each: an
    event comes in at any place of its rhythm, so that where its sound begins says nothing of the coupling.
    """
    period = float(np.exp(rng.uniform(np.log(0.5), np.log(1.1))))
    unsteady = rng.uniform(0.0, 0.03)
    number = int(rng.integers(_CYCLE))
    times = [start - _LEAD * period + rng.uniform(-1, 0) * period]
    while times[-1] < end + _LEAD * period:
        gap = _gap(rhythm, period, number) * (1 + unsteady * rng.uniform(-1, 1))
        times.append(times[-1] + gap)
        number += 1
    return Beats(np.array(times))


_LEAD = 3
"""Periods of beats before an event and behind it; longer than any interval."""
_CYCLE = 10
"""After so many intervals, every rhythm is where it began."""


def _gap(rhythm: Rhythm, period: float, number: int) -> float:
    """Seconds from beat ``number`` to the next."""
    if rhythm == "gallop":
        return period * (0.62 if number % 2 == 0 else 1.38)
    if rhythm == "settling":
        return max(0.18, period * 1.2 * 0.75 ** (number % 5))
    return period
