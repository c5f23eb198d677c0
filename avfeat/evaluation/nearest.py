"""The nearest rows of other groups, and their vote: one search for evaluation and for the probe of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Mask = NDArray[np.bool_]

_AT_ONCE = 256


def vote(
    rows: Rows,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    neighbours: int,
    bank: Mask | None = None,
    asked: NDArray[np.int64] | None = None,
) -> Mask:
    """Whether the nearest rows of other groups vote for a row's own label, bool, one for each that is asked about.

    A plain vote: every neighbour counts one, however near it is; of labels with equal votes, the one with the
    nearest of them wins. A row without any row of another group is not right.

    Args:
        rows: float64 ``(n, dim)``, compared by dot product.
        labels: int64 ``(n,)``.
        groups: group numbers, int64 ``(n,)``; neighbours never share one.
        neighbours: how many vote, from 1 on.
        bank: bool ``(n,)``, which rows may vote; None for all.
        asked: int64, positions of the rows that are asked about; None for all.
    """
    asked = np.arange(len(rows), dtype=np.int64) if asked is None else asked
    right = np.zeros(len(rows), dtype=np.bool_)
    for query, similarity, others in similarities(rows, rows, groups, asked):
        allowed = others if bank is None else others & bank
        near = np.argsort(np.where(allowed, -similarity, np.inf), kind="stable")[: min(neighbours, allowed.sum())]
        votes = Counter(labels[near].tolist())
        # max takes the first of equals, and the counter is in order of nearness.
        right[query] = bool(votes) and max(votes, key=lambda label: votes[label]) == labels[query]
    return right[asked]


def similarities(
    queries: Rows, targets: Rows, groups: NDArray[np.int64], asked: NDArray[np.int64]
) -> Iterator[tuple[int, Rows, Mask]]:
    """The position of each query, its dot products with all targets, and which of them are of another group.

    Args:
        queries: float64 ``(n, dim)``.
        targets: float64 ``(n, dim)``, those of the same clips.
        groups: group numbers, int64 ``(n,)``.
        asked: int64, positions of the queries that are asked.
    """
    for begin in range(0, len(asked), _AT_ONCE):
        places = asked[begin : begin + _AT_ONCE]
        for query, similarity in zip(places.tolist(), queries[places] @ targets.T, strict=True):
            yield query, similarity, groups != groups[query]
