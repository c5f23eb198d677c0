"""Means with 95 % t-intervals, differences paired by seed, and slopes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avfeat.extras import extra_packages

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: how many seeds.
        mean: of them.
        low: end of the 95 % t-interval; None of a single seed.
        high: the other end.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean, and ``mean -+ t(0.975, n - 1) s / sqrt(n)`` (Student 1908); None of nothing."""
    n = len(values)
    if not n:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(1, mean)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    with extra_packages("eval"):
        from scipy.stats import t
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / math.sqrt(n)
    return Estimate(n, mean, mean - half, mean + half)


def pair_seeds(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """``one - other`` for every seed that both have."""
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}


def average_cells(cells: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The mean over cells for every seed that all of them have."""
    if not cells:
        return {}
    seeds = set.intersection(*(set(cell) for cell in cells))
    return {seed: math.fsum(cell[seed] for cell in cells) / len(cells) for seed in sorted(seeds)}


def slopes(points: Sequence[tuple[float, Mapping[int, float]]]) -> dict[int, float]:
    """The least-squares slope over ``x`` of every seed that all points have; none where all stand at one ``x``.

    Args:
        points: ``x``, and a value for each seed.
    """
    mean = math.fsum(x for x, _ in points) / max(1, len(points))
    spread = math.fsum((x - mean) ** 2 for x, _ in points)
    if not spread:
        return {}
    seeds = set.intersection(*(set(values) for _, values in points))
    return {seed: math.fsum((x - mean) * values[seed] for x, values in points) / spread for seed in sorted(seeds)}
