"""Frames and loudness of the files of a map, within a budget of bytes for all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import MediaError
from avfeat.explore.points import spread
from avfeat.index.frames import browsers_play, film_of, strip_of
from avfeat.processors import available_processors
from avfeat.stop import stopped_by
from avfeat.threads import keep_order

SIDE = 160
"""The longer side of a frame in pixels."""

MOST_BYTES = 14_000_000
"""Of all frames together, as JPEG."""

_MOST_FILMS = 2_000
_MOST_FRAMES = 6_000
_MOST_OF_ONE = 48


@dataclass(frozen=True)
class Order:
    """A file to be read: its number, its place, its duration in seconds, into how many parts, and bytes at most."""

    file: int
    place: Path
    duration: float
    parts: int
    most: int


@dataclass(frozen=True)
class Shown:
    """What a page has of a file.

    Attributes:
        file: its number.
        parts: frames of the strip, at equal distances from beginning to end.
        strip: the frames side by side as JPEG; None without video.
        aspect: width over height of a frame.
        peaks: uint8 ``(parts * BINS,)``, how loud it is; None without audio.
        playable: whether browsers play it.
        failure: why nothing could be read of it; else empty.
    """

    file: int
    parts: int
    strip: bytes | None = None
    aspect: float = 1.0
    peaks: NDArray[np.uint8] | None = None
    playable: bool = False
    failure: str = ""


def plan_films(
    files: NDArray[np.int64], places: Sequence[Path], durations: NDArray[np.float64], hop: float
) -> list[Order]:
    """Which files are read, and how many frames each gives: one a window, or fewer where they are many.

    Args:
        files: numbers of the files on the map, ascending.
        places: of all files.
        durations: of all files.
        hop: seconds from a window to the next.
    """
    chosen = spread(files, _MOST_FILMS)
    wanted = np.clip(np.round(durations[chosen] / hop), 1, _MOST_OF_ONE).astype(int)
    cap = max(
        most for most in range(1, _MOST_OF_ONE + 1) if most == 1 or np.minimum(wanted, most).sum() <= _MOST_FRAMES
    )
    parts = np.minimum(wanted, cap)
    share = MOST_BYTES // int(parts.sum())
    return [
        Order(int(file), places[file], max(float(durations[file]), 1e-3), int(count), share * int(count))
        for file, count in zip(chosen, parts, strict=True)
    ]


def read_films(orders: Sequence[Order]) -> Iterator[Shown]:
    """Read files, several at a time; what cannot be read says why."""
    stop = threading.Event()

    def attempt(order: Order) -> Shown:
        try:
            with stopped_by(stop):
                return _read(order)
        except MediaError as error:
            return Shown(order.file, order.parts, failure=str(error))

    return keep_order(attempt, orders, available_processors(), stop)


def _read(order: Order) -> Shown:
    film = film_of(order.place, order.duration, order.parts, SIDE)
    strip = strip_of(film.frames, order.most) if len(film.frames) else None
    peaks = None if film.peaks is None else np.round(film.peaks * 255).astype(np.uint8)
    aspect = film.frames[0].shape[1] / film.frames[0].shape[0] if len(film.frames) else 1.0
    return Shown(order.file, order.parts, strip, aspect, peaks, browsers_play(order.place))
