"""Dense rows: those within a window, one a frame of video or one a step of sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.grid import MICROSECONDS

ROWS = "rows"
"""The dimension of an output that counts them: graphs may fix it or not."""


@dataclass(frozen=True)
class DenseRows:
    """The output ``frames`` of a graph: rows within a window, beside the one that stands for all of it.

    Attributes:
        name: of the graph's output, float32 ``(batch, T, dim)``.
        dim: elements of a row.
        rows: how many lie in a window: the first ones that the graph gives; those after them are of padding.
        first: instant of the first row, seconds from the window's start.
        period: seconds between two rows.
    """

    name: str
    dim: int
    rows: int
    first: float
    period: float

    def offsets(self) -> NDArray[np.int64]:
        """Instants of the rows within a window, in microseconds."""
        instants = self.first + np.arange(self.rows) * self.period
        found: NDArray[np.int64] = np.rint(instants * MICROSECONDS).astype(np.int64)
        return found
