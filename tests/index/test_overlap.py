"""Runs of windows that lie on each other, against loops over all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avfeat.index import overlap
from avfeat.index.overlap import PARTS, SPEEDS, best_run, between

WIDTH = 32


def directions(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def steps_of(rows: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", rows[:-1], rows[1:])


def unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


def slow(ours: np.ndarray, theirs: np.ndarray, threshold: float, least: int) -> tuple[float, float]:
    """The greatest gain and its mean similarity, by every speed, offset, first and last window."""
    best = (-1.0, 0.0)
    for speed in SPEEDS:
        for offset in np.arange(-PARTS * 2 * len(ours), PARTS * len(theirs) + 1) / PARTS:
            similar = []
            for window in range(len(ours)):
                place = offset + np.rint(PARTS * speed * window) / PARTS
                before, late = int(np.floor(place)), place % 1
                if not 0 <= place <= len(theirs) - 1:
                    similar.append(np.nan)
                    continue
                after = min(before + 1, len(theirs) - 1)
                similar.append(float(ours[window] @ unit((1 - late) * theirs[before] + late * theirs[after])))
            for first, stop in itertools.combinations(range(len(ours) + 1), 2):
                part = np.array(similar[first:stop])
                if stop - first >= least and np.isfinite(part).all():
                    best = max(best, (float((part - threshold).sum()), float(part.mean())))
    return best


@pytest.mark.parametrize(("count", "others"), [(1, 1), (1, 4), (4, 1), (5, 6)])
@pytest.mark.parametrize("least", [1, 2])
def test_the_best_run_is_that_of_slow_loops(count: int, others: int, least: int) -> None:
    ours, theirs = directions(count, count), directions(others + 10, others)
    theirs[: min(count, others)] += ours[: min(count, others)]
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    run = best_run(ours @ theirs.T, steps_of(theirs), 0.5, least)
    gain, score = slow(ours, theirs, 0.5, least)
    assert (run is None) == (gain < 0)
    if run is not None:
        assert (run.gain, run.score) == (pytest.approx(gain, abs=1e-4), pytest.approx(score, abs=1e-4))
        assert run.last - run.first + 1 >= least


@pytest.mark.parametrize(
    ("first", "shift", "speed"), [(0, 3.0, 1.0), (2, 1.5, 1.0), (0, 2.25, 1.25), (3, 4.0, 0.8)]
)
def test_a_run_is_found_where_it_lies(first: int, shift: float, speed: float) -> None:
    theirs, ours = directions(1, 20), directions(2, 12)
    for window in range(first, first + 7):
        place = shift + np.rint(PARTS * speed * (window - first)) / PARTS
        before, late = int(place), place % 1
        ours[window] = unit((1 - late) * theirs[before] + late * theirs[before + 1])
    run = best_run(ours @ theirs.T, steps_of(theirs), 0.7, 3)
    assert run is not None and (run.first, run.last, run.begin) == (first, first + 6, shift)
    assert run.end == pytest.approx(shift + 6 * speed, abs=1 / PARTS)
    # Places of lines and of this one are rounded alike but for where they begin.
    assert run.score == pytest.approx(1, abs=0.05)


def test_windows_that_do_not_compare_end_a_run() -> None:
    rows = directions(1, 9)
    similar = rows @ rows.T
    similar[4, 4] = np.nan
    run = best_run(similar, steps_of(rows), 0.5, 2)
    assert run is not None and (run.first, run.last) in ((0, 3), (5, 8))
    # One that compares with nothing at all is passed over.
    similar[4] = np.nan
    run = best_run(similar, steps_of(rows), 0.5, 2)
    assert run is not None and (run.first, run.last, run.begin, run.end) == (0, 8, 0, 8)
    assert run.score == pytest.approx(1, abs=1e-4)
    similar[:] = np.nan
    assert best_run(similar, steps_of(rows), 0.5, 1) is None


def test_lines_are_searched_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = directions(3, 8), directions(4, 11)
    theirs[2:10] = ours
    whole = best_run(ours @ theirs.T, steps_of(theirs), 0.4, 2)
    monkeypatch.setattr(overlap, "_CELLS", 30)
    assert best_run(ours @ theirs.T, steps_of(theirs), 0.4, 2) == whole


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 1000))
def test_a_run_lies_within_both(count: int, others: int, seed: int) -> None:
    similar = directions(seed, count) @ directions(seed + 1, others).T
    run = best_run(similar, np.zeros(others - 1, np.float32), 0.0, 1)
    if run is not None:
        assert 0 <= run.first <= run.last < count and 0 <= run.begin <= run.end <= others - 1
        assert run.gain == pytest.approx((run.last - run.first + 1) * run.score, abs=1e-4)
    assert between(similar, np.ones(others - 1, np.float32)).shape == (count, PARTS * (others - 1) + 1)
