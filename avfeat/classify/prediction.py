"""What a classifier says of one source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Moment:
    """Neighbouring windows of one class: ``start`` and ``end`` in seconds, its mean ``probability`` over them."""

    start: float
    end: float
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one source.

    Attributes:
        source: as the caller named it.
        labels: the classes, in the order of the columns.
        file: float32 ``(classes,)``, calibrated probabilities for the source as a whole.
        used: by what: ``av``, ``video`` or ``audio``, as it is there.
        start: float64 ``(n,)``, seconds on the presentation timeline.
        end: float64 ``(n,)``.
        windows: float32 ``(n, classes)``, calibrated probabilities over time; zeros for windows of which nothing
            can be said.
        windows_used: by what, a window; None where nothing can be said.
        damaged: whether something in the media was damaged.
    """

    source: str
    labels: tuple[str, ...]
    file: Probabilities
    used: str
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    windows: Probabilities
    windows_used: tuple[str | None, ...]
    damaged: bool = False

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.labels[int(self.file.argmax())]

    @property
    def probability(self) -> float:
        """Of the likeliest class, in [0, 1]."""
        return float(self.file.max())

    @property
    def probabilities(self) -> dict[str, float]:
        """Of each class, the likeliest first."""
        return self._by_class(self.file)

    def moments(self) -> Iterator[Moment]:
        """The windows in order of time, neighbours of one class joined; those of which nothing is said left out.

        Where windows overlap, each counts up to the middle of the next one's overlap with it.
        """
        best = [
            None if used is None else int(row.argmax())
            for used, row in zip(self.windows_used, self.windows, strict=True)
        ]
        middles = np.minimum(self.end[:-1], (self.start[1:] + self.end[:-1]) / 2)
        begins = np.concatenate([self.start[:1], np.maximum(self.start[1:], middles)])
        ends = np.concatenate([middles, self.end[-1:]])
        for number, group in groupby(range(len(best)), key=lambda row: best[row]):
            rows = list(group)
            if number is not None:
                mean = float(self.windows[rows, number].mean())
                yield Moment(float(begins[rows[0]]), float(ends[rows[-1]]), self.labels[number], mean)

    def to_json(self) -> dict[str, Any]:
        """As JSON values: ``file label probability probabilities used damaged windows``."""
        windows = [
            {
                "start": float(start),
                "end": float(end),
                "label": None if used is None else self.labels[int(row.argmax())],
                "probability": None if used is None else float(row.max()),
                "probabilities": None if used is None else self._by_class(row),
                "used": used,
            }
            for start, end, row, used in zip(self.start, self.end, self.windows, self.windows_used, strict=True)
        ]
        return {
            "file": self.source,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "used": self.used,
            "damaged": self.damaged,
            "windows": windows,
        }

    def _by_class(self, row: Probabilities) -> dict[str, float]:
        order = np.argsort(-row, kind="stable")
        return {self.labels[place]: float(row[place]) for place in order}
