"""The one time grid that audio and video share.

All times are integer microseconds, so that a grid of any length has no float drift. Window ``k`` of a grid
covers ``[start + k * hop, start + k * hop + seconds)``. Window 0 always exists; a later one exists when it
starts before the end of the media and is not yet covered by its predecessor, where the last ``tail`` of the
media (0.1 s) opens no window of its own: files encoded with AAC end a few milliseconds after their video, and
would otherwise get a last window of padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from avfeat.arguments import is_number, shown
from avfeat.errors import ArgumentError

MICROSECONDS = 1_000_000
TAIL = 100_000
FAR = 1e9


def microseconds(seconds: float | Fraction) -> int:
    """Seconds as the nearest integer number of microseconds."""
    return round(seconds * MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Grid:
    """The windows of one call, in integer microseconds.

    Attributes:
        seconds: length of a window.
        hop: distance between the starts of two windows.
        start: start of window 0; negative starts are padded.
        end: where the media counts as over, or None for its own end.
        tail: what is left at the end without opening a window.
    """

    seconds: int
    hop: int
    start: int = 0
    end: int | None = None
    tail: int = TAIL

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ArgumentError(f"A window must be longer than 0 s, not {self.seconds / MICROSECONDS} s.")
        if self.hop <= 0:
            raise ArgumentError(f"hop must be at least 0.000001 s, not {self.hop / MICROSECONDS} s.")
        if self.end is not None and self.end <= self.start:
            raise ArgumentError(
                f"end ({self.end / MICROSECONDS} s) must lie after start ({self.start / MICROSECONDS} s)."
            )

    @classmethod
    def from_seconds(
        cls, seconds: float, hop: float | None = None, start: float = 0.0, end: float | None = None
    ) -> Grid:
        """The grid of a call, from seconds; ``hop`` defaults to ``seconds``.

        Raises:
            ArgumentError: a hop that is not positive, an end before the start, or a time that is NaN or infinite.
        """
        given = {"seconds": seconds, "hop": seconds if hop is None else hop, "start": start}
        if end is not None:
            given["end"] = end
        for name, value in given.items():
            # NaN is no number that compares.
            if not is_number(value) or not abs(value) <= FAR:
                raise ArgumentError(f"{name} must be a number of seconds of at most {FAR:g}, not {shown(value)}.")
        return cls(**{name: microseconds(float(value)) for name, value in given.items()})

    def window_start(self, index: int) -> int:
        """Start of window ``index``."""
        return self.start + index * self.hop

    def length(self, duration: int) -> int:
        """``L``: what the grid has to cover of media that lasts ``duration``."""
        return (duration if self.end is None else min(duration, self.end)) - self.start

    def exists(self, index: int, duration: int) -> bool:
        """Whether media of ``duration`` has window ``index``."""
        if index == 0:
            return True
        limit = self.length(duration) - self.tail
        return index * self.hop < limit and (index - 1) * self.hop + self.seconds < limit

    def count(self, duration: int) -> int:
        """How many windows media of ``duration`` has: at least 1, in closed form."""
        limit = self.length(duration) - self.tail
        # The greatest k with k*hop < limit, and the greatest with (k-1)*hop + seconds < limit.
        starts = -(-limit // self.hop) - 1
        uncovered = -(-(limit - self.seconds) // self.hop)
        return 1 + max(0, min(starts, uncovered))
