from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avfeat.evaluation.nearest import vote


def slow_vote(rows: NDArray[np.float64], labels: list[int], groups: list[int], neighbours: int) -> list[bool]:
    right = []
    for one in range(len(labels)):
        others = [other for other in range(len(labels)) if groups[other] != groups[one]]
        others.sort(key=lambda other: -sum(a * b for a, b in zip(rows[one], rows[other], strict=True)))
        near = [labels[other] for other in others[:neighbours]]
        most = max((near.count(label) for label in near), default=0)
        # The first label with the most votes is that of the nearest neighbour among those labels.
        winner = next((label for label in near if near.count(label) == most), None)
        right.append(winner == labels[one])
    return right


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 40), st.integers(1, 5))
def test_the_vote_is_that_of_a_slow_loop(seed: int, clips: int, neighbours: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(clips, 4))
    labels, groups = rng.integers(0, classes, clips), rng.integers(0, clips, clips)
    found = vote(rows, labels, groups, neighbours)
    assert found.dtype == np.bool_
    assert found.tolist() == slow_vote(rows, labels.tolist(), groups.tolist(), neighbours)


def test_more_rows_than_one_block_holds() -> None:
    rng = np.random.default_rng(1)
    rows, labels, groups = rng.normal(size=(300, 3)), rng.integers(0, 4, 300), rng.integers(0, 90, 300)
    assert vote(rows, labels, groups, 5).tolist() == slow_vote(rows, labels.tolist(), groups.tolist(), 5)


def test_every_neighbour_counts_one_and_the_nearest_breaks_ties() -> None:
    angles = np.deg2rad([0, 10, 20, 30, 40])
    rows, groups = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(5)
    labels = np.array([1, 0, 1, 1, 0])
    # The first row's neighbours, from the nearest on: 0, 1, 1, 0.
    assert [bool(vote(rows, labels, groups, k)[0]) for k in (1, 2, 3, 4)] == [False, False, True, False]


def test_a_row_without_others_is_not_right() -> None:
    rows = np.ones((3, 2))
    assert not vote(rows, np.zeros(3, np.int64), np.zeros(3, np.int64), 1).any()
    assert vote(rows, np.zeros(3, np.int64), np.array([0, 0, 1]), 1).all()


def test_it_imports_nothing_heavy() -> None:
    """The trainer calls it without the extra ``eval``, evaluation without the extra ``train``."""
    heavy = ("torch", "sklearn", "matplotlib", "scipy", "mteb")
    code = f"import sys, avfeat.evaluation.nearest; sys.exit(any(name in sys.modules for name in {heavy}))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_bank_votes() -> None:
    """The nearest row is not in the bank; the vote is that of a search among the bank alone."""
    angles = np.deg2rad([0, 10, 20, 30])
    rows, groups = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(4)
    labels = np.array([1, 0, 1, 1])
    assert not vote(rows, labels, groups, 1)[0]
    assert vote(rows, labels, groups, 1, np.array([False, False, True, True]))[0]
    assert not vote(rows, labels, groups, 1, np.zeros(4, np.bool_)).any()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_who_is_asked_gets_the_answer_that_all_would_get(seed: int, clips: int) -> None:
    rng = np.random.default_rng(seed)
    rows, bank = rng.normal(size=(clips, 4)), rng.random(clips) < 0.7
    labels, groups = rng.integers(0, 3, clips), rng.integers(0, clips, clips)
    asked = np.flatnonzero(rng.random(clips) < 0.5)
    found = vote(rows, labels, groups, 3, bank, asked)
    assert found.tolist() == vote(rows, labels, groups, 3, bank)[asked].tolist()
