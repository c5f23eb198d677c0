from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat import ArgumentError
from avfeat.grid import MICROSECONDS, Grid

lengths = st.integers(1, 20 * MICROSECONDS)
starts = st.integers(-5 * MICROSECONDS, 40 * MICROSECONDS)
durations = st.integers(0, 40 * MICROSECONDS)


def slow_count(grid: Grid, duration: int) -> int:
    """The contract's words, in exact fractions of a second."""
    seconds, hop, start = (Fraction(t, MICROSECONDS) for t in (grid.seconds, grid.hop, grid.start))
    length = Fraction(duration, MICROSECONDS) - start
    limit = length - Fraction(grid.tail, MICROSECONDS)
    k = 1
    while k * hop < limit and (k - 1) * hop + seconds < limit:
        k += 1
    return k


@given(lengths, st.integers(10_000, 20 * MICROSECONDS), starts, durations)
def test_count_is_the_contracts(seconds: int, hop: int, start: int, duration: int) -> None:
    grid = Grid(seconds, hop, start)
    assert grid.count(duration) == slow_count(grid, duration)


@given(lengths, st.integers(10_000, 20 * MICROSECONDS), starts, durations)
def test_exists_agrees_with_count(seconds: int, hop: int, start: int, duration: int) -> None:
    grid = Grid(seconds, hop, start)
    count = grid.count(duration)
    assert all(grid.exists(k, duration) for k in {0, count // 2, count - 1})
    assert not any(grid.exists(k, duration) for k in (count, count + 1, 2 * count))


@given(lengths, st.integers(10_000, 20 * MICROSECONDS), starts, durations, st.integers(0, 5 * MICROSECONDS))
def test_longer_media_never_has_fewer_windows(seconds: int, hop: int, start: int, duration: int, more: int) -> None:
    grid = Grid(seconds, hop, start)
    assert grid.count(duration) <= grid.count(duration + more)


@given(lengths, starts, durations)
def test_default_hop_leaves_at_most_the_tail_uncovered(seconds: int, start: int, duration: int) -> None:
    grid = Grid(seconds, seconds, start)
    covered = grid.window_start(grid.count(duration) - 1) + grid.seconds
    assert covered >= duration - grid.tail


@pytest.mark.parametrize(
    ("duration", "count"),
    [(0.0, 1), (0.05, 1), (2.0, 1), (2.1, 1), (2.100001, 2), (4.1, 2), (4.11, 3), (10.0, 5), (10.1, 5)],
)
def test_a_tail_of_a_tenth_of_a_second_opens_no_window(duration: float, count: int) -> None:
    assert Grid.from_seconds(2.0).count(round(duration * MICROSECONDS)) == count


def test_an_hour_of_tiny_hops_does_not_drift() -> None:
    grid = Grid.from_seconds(2.0, hop=0.04)
    assert grid.window_start(90_000) == 3600 * MICROSECONDS


def test_end_counts_as_the_end_of_the_media() -> None:
    assert Grid.from_seconds(2.0, end=5.0).count(60 * MICROSECONDS) == Grid.from_seconds(2.0).count(
        5 * MICROSECONDS
    )
    assert Grid.from_seconds(2.0, end=60.0).count(5 * MICROSECONDS) == Grid.from_seconds(2.0).count(
        5 * MICROSECONDS
    )


@pytest.mark.parametrize(
    "times",
    [
        {"hop": 0.0},
        {"hop": -1.0},
        {"hop": 1e-9},
        {"hop": float("nan")},
        {"start": float("inf")},
        {"start": 3.0, "end": 3.0},
        {"end": float("nan")},
    ],
)
def test_times_that_make_no_grid_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="must"):
        Grid.from_seconds(2.0, **times)


def test_a_refused_length_is_said_in_seconds() -> None:
    with pytest.raises(ArgumentError, match=r"longer than 0 s, not -0\.5 s"):
        Grid(-500_000, 1)
