"""Where a query lies in files, on made vectors: each window of a file is a direction of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avfeat.index.align import Query, lay
from avfeat.index.collection import Collection, Vectors, unit
from avfeat.index.search import PAIRS, moments

WIDTH = 64
LENGTHS = (10, 1, 7)


def directions(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def between(seed: int, times: np.ndarray) -> np.ndarray:
    """What is seen in windows of 2 s at any time: a mixture of the directions of the seconds that they cover."""
    seconds = directions(seed, 100)
    rows = [sum(seconds[second] * weight for second, weight in covered(time)) for time in times]
    return np.stack(rows).astype(np.float32)


def covered(time: float) -> list[tuple[int, float]]:
    first = int(time // 1)
    parts = [(second, min(second + 1, time + 2) - max(second, time)) for second in range(first, first + 3)]
    return [(second, weight) for second, weight in parts if weight > 0]


@pytest.fixture
def collection() -> Collection:
    counts = np.array(LENGTHS)
    file = np.repeat(np.arange(3), counts)
    start = np.concatenate([2.0 * np.arange(count) for count in counts])
    vectors = {
        modality: Vectors(
            unit(
                np.concatenate([between(10 * offset + n, 2.0 * np.arange(c)) for n, c in enumerate(counts)]),
                np.ones(18, bool),
            ).rows,
            np.ones(18, bool),
        )
        for offset, modality in enumerate(("video", "audio"))
    }
    names = ("a.mp4", "b.mp4", "c.mp4")
    durations = 2.0 * counts - 0.5
    first = np.cumsum(counts) - counts
    places = tuple(map(Path, names))
    return Collection(Path("x"), "", names, places, durations, first, file, start, start + 2, vectors, True)


def query(file: int, begin: float, seconds: float, hop: float = 0.5) -> Query:
    """A part of a file, on a finer grid of its own."""
    times = np.arange(0, max(seconds - 2, 0) + 1e-9, hop)
    there = np.ones(len(times), bool)
    vectors = {
        modality: unit(between(10 * offset + file, times + begin), there)
        for offset, modality in enumerate(("video", "audio"))
    }
    return Query(times, times + 2, seconds, vectors)


@pytest.mark.parametrize("by", ["video", "audio", "both"])
@pytest.mark.parametrize(
    ("file", "begin", "seconds"), [(0, 4.0, 8.0), (0, 4.5, 6.0), (2, 2.5, 9.5), (0, 0.0, 19.5)]
)
def test_a_part_of_a_file_is_found_where_it_lies(
    collection, by: str, file: int, begin: float, seconds: float
) -> None:
    looked_for = query(file, begin, seconds)
    best = moments(collection, looked_for, lay(looked_for, collection, PAIRS[by]), 1, 1)[0]
    assert (best.file, best.start) == (collection.sources[file], begin)
    assert best.end == min(begin + seconds, collection.durations[file])
    assert best.score == pytest.approx(1, abs=0.05)


def test_a_query_longer_than_a_file_begins_before_it(collection) -> None:
    looked_for = query(1, -3.0 + 3, 2.0)
    times = np.arange(0, 8, 2.0)
    rows = directions(99, 4)
    rows[2] = looked_for.vectors["video"].rows[0]
    long = Query(times, times + 2, 8.0, {"video": unit(rows, np.ones(4, bool))})
    best = moments(collection, long, lay(long, collection, PAIRS["video"]), 1, 1)[0]
    assert (best.file, best.start, best.end) == ("b.mp4", 0.0, 1.5)
    assert best.score == pytest.approx(1, abs=1e-5)


def test_overlaps_of_a_few_windows_do_not_count_as_whole_ones(collection) -> None:
    looked_for = query(2, 0.0, 14.0, hop=2.0)
    laid = lay(looked_for, collection, PAIRS["video"])
    scores = dict(zip(laid.offset[laid.file == 2].tolist(), laid.score[laid.file == 2].tolist(), strict=True))
    assert scores[0.0] == pytest.approx(1, abs=1e-5)
    # One window of seven lies on another.
    rows = collection.vectors["video"].rows[collection.rows_of(2)]
    assert scores[12.0] == pytest.approx(float(rows[6] @ rows[0]) / 7, abs=1e-5)


def test_scores_are_those_of_a_slow_loop(collection) -> None:
    looked_for = query(0, 4.5, 6.0)
    laid = lay(looked_for, collection, PAIRS["both"])
    cells: dict[tuple[int, float], list[float]] = {}
    for row, start in enumerate(collection.start):
        for column, begin in enumerate(looked_for.start):
            similar = [
                float(collection.vectors[m].rows[row] @ looked_for.vectors[m].rows[column])
                for m in ("video", "audio")
            ]
            cells.setdefault((int(collection.file[row]), float(start - begin)), []).append(
                float(np.average(similar, weights=[0.7, 0.3]))
            )
    for file, offset, score in zip(laid.file.tolist(), laid.offset.tolist(), laid.score.tolist(), strict=True):
        found = cells.pop((file, offset), [])
        # Two windows of the query lie on the grid at least, wherever it begins.
        expected = sum(found) / max(len(found), min(2, LENGTHS[file])) if found else -np.inf
        assert score == pytest.approx(expected, abs=1e-5)
    assert not cells


def test_windows_without_a_modality_are_compared_by_the_other(collection) -> None:
    there = collection.vectors["audio"].there
    there[:] = False
    looked_for = query(0, 4.0, 8.0)
    best = moments(collection, looked_for, lay(looked_for, collection, PAIRS["both"]), 1, 1)[0]
    assert (best.file, best.start, best.score) == ("a.mp4", 4.0, pytest.approx(1, abs=1e-5))
    assert not moments(collection, looked_for, lay(looked_for, collection, PAIRS["audio"]), 5, 5)


def test_neighbours_of_a_single_window_are_joined_where_they_score_alike(collection) -> None:
    rows = collection.vectors["video"].rows
    rows[3:6] = rows[3]
    rows[8] = rows[3]
    looked_for = Query(np.zeros(1), np.full(1, 2.0), 0.1, {"video": unit(rows[3:4].copy(), np.ones(1, bool))})
    laid = lay(looked_for, collection, PAIRS["video"])
    found = moments(collection, looked_for, laid, 2, 5)
    assert sorted((hit.file, hit.start, hit.end) for hit in found) == [("a.mp4", 6.0, 12.0), ("a.mp4", 16.0, 18.0)]
    assert [hit.score for hit in found] == pytest.approx([1, 1], abs=1e-5)
    assert len([hit for hit in moments(collection, looked_for, laid, 10, 1) if hit.file == "a.mp4"]) == 1
