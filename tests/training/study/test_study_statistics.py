from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from avfeat.training.study.statistics import Estimate, average_cells, estimate, pair_seeds, slopes

VALUES = st.floats(-1, 1, allow_subnormal=False).map(lambda value: round(value, 6))


@given(st.lists(VALUES, min_size=2, max_size=8).filter(lambda values: len(set(values)) > 1))
def test_the_interval_is_that_of_scipy(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None and found.n == len(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high), abs=1e-9)


@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=8).filter(
        lambda both: len({a - b for a, b in both}) > 1
    )
)
def test_a_paired_gain_is_that_of_scipy(both: list[tuple[float, float]]) -> None:
    one, other = ({seed: pair[side] for seed, pair in enumerate(both)} for side in (0, 1))
    found = estimate(list(pair_seeds(one, other).values()))
    expected = stats.ttest_rel(list(one.values()), list(other.values())).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    assert estimate([0.25]) == Estimate(1, 0.25, None, None)
    assert estimate([]) is None
    # The textbook's t for three: 4.303.
    found = estimate([1.0, 2.0, 3.0])
    assert found is not None and found.high == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-5)


def test_only_seeds_that_all_have_count() -> None:
    assert pair_seeds({0: 3.0, 1: 5.0, 4: 1.0}, {1: 2.0, 0: 1.0, 2: 9.0}) == {0: 2.0, 1: 3.0}
    assert average_cells([{0: 1.0, 1: 2.0}, {1: 4.0, 2: 8.0}]) == {1: 3.0}
    assert average_cells([]) == {}


@given(st.lists(st.tuples(st.integers(0, 40), VALUES), min_size=2, max_size=6, unique_by=lambda one: one[0]))
def test_a_slope_is_that_of_least_squares(points: list[tuple[int, float]]) -> None:
    found = slopes([(x / 4, {7: value, 8: -value}) for x, value in points])
    expected = np.polyfit([x / 4 for x, _ in points], [value for _, value in points], 1)[0]
    assert found == pytest.approx({7: expected, 8: -expected}, abs=1e-9)


def test_points_at_one_place_have_no_slope() -> None:
    assert slopes([(1.0, {0: 1.0}), (1.0, {0: 2.0})]) == slopes([]) == {}
    assert slopes([(0.0, {0: 1.0, 1: 0.0}), (2.0, {1: 3.0})]) == {1: 1.5}
