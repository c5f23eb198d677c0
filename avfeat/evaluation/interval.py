"""Bootstrap intervals of an accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
_AT_ONCE = 100
_SEED = 0


def bootstrap(
    correct: NDArray[np.floating[Any] | np.bool_],
    groups: Sequence[str],
    weights: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """The 95 % percentile interval of a weighted mean, resampling whole groups (Efron 1979; Field and Welsh 2007).

    2,000 resamples with a fixed seed: the same input gives the same interval.

    Args:
        correct: ``(n,)``, how right each row is, from 0 to 1.
        groups: ``(n,)``, the group of each row; whole groups are resampled.
        weights: ``(n,)`` of the rows; None for equal ones.
    """
    weights = np.ones(len(correct)) if weights is None else weights
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    count = int(group.max()) + 1
    hits = np.bincount(group, weights * correct, count)
    totals = np.bincount(group, weights, count)
    rng = np.random.default_rng(_SEED)
    drawn = []
    for _ in range(DRAWS // _AT_ONCE):
        times = rng.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE).astype(np.float64)
        drawn.append((times @ hits) / (times @ totals))
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return float(low), float(high)
