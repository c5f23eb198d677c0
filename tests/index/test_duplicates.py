"""Files with the same footage, on made vectors: a source has a direction, and each of its seconds another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avfeat.index import duplicates as module
from avfeat.index import likeness
from avfeat.index.collection import Collection, Vectors, unit
from avfeat.index.duplicates import find

WIDTH, HOP = 64, 2.0
NOTHING = np.zeros((6, WIDTH))


def seen(source: int, times: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """What is seen in windows of 2 s: the mean of the tenths of a second that they cover."""
    rng = np.random.default_rng(source)
    seconds = rng.standard_normal(WIDTH) + rng.standard_normal((200, WIDTH))
    parts = [[seconds[int(time + speed * part / 10)] for part in range(20)] for time in times]
    return np.array(parts).mean(axis=1)


def gather(files: dict[str, tuple[np.ndarray, np.ndarray | None]], hops: tuple[float, ...] = ()) -> Collection:
    """A collection of files by their vectors of what is seen, and of what is heard; hops of each in seconds."""
    counts = np.array([len(video) for video, _ in files.values()])
    first = np.cumsum(counts) - counts
    file = np.repeat(np.arange(len(counts)), counts)
    every = np.array(hops or [HOP] * len(counts))
    start = (np.arange(counts.sum()) - first[file]) * every[file]
    video = np.concatenate([video for video, _ in files.values()])
    audio = [np.zeros_like(video) if audio is None else audio for video, audio in files.values()]
    heard = np.concatenate(audio)
    vectors = {
        "video": unit(video.astype(np.float32), video.any(axis=1)),
        "audio": unit(heard.astype(np.float32), heard.any(axis=1)),
    }
    names = tuple(files)
    return Collection(
        Path("x.lance"),
        "",
        names,
        tuple(map(Path, names)),
        (counts - 1) * every + 2,
        first,
        file,
        start,
        start + 2,
        vectors,
        True,
    )


def whole(source: int, count: int = 6, begin: float = 0.0, speed: float = 1.0) -> np.ndarray:
    return seen(source, begin + speed * HOP * np.arange(count), speed)


@pytest.mark.parametrize(
    ("count", "begin", "speed"), [(6, 0.0, 1.0), (4, 6.0, 1.0), (5, 3.0, 1.0), (5, 0.7, 1.0), (6, 2.0, 1.25)]
)
def test_a_copy_is_found_with_its_times(count: int, begin: float, speed: float) -> None:
    copy = whole(1, count, begin, speed)
    collection = gather(
        {"b": (whole(1, 12), None), "a": (copy, None), **{f"x{n}": (whole(n + 5), None) for n in range(6)}}
    )
    found = find(collection, 0.8)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b")] and found.groups == [["a", "b"]]
    pair = found.pairs[0]
    assert (pair.a_start, pair.a_end) == (0, count * HOP)
    assert pair.b_start == pytest.approx(begin, abs=0.4)
    assert pair.b_end == pytest.approx(begin + speed * count * HOP, abs=0.8)
    assert 0.8 < pair.score <= 1


def test_files_that_share_a_part_overlap_there() -> None:
    one = np.concatenate([whole(1, 4), whole(2, 4), whole(3, 4)])
    other = np.concatenate([whole(4, 2), whole(2, 4), whole(5, 2)])
    pair = find(gather({"a": (one, None), "b": (other, None)}), 0.8).pairs[0]
    assert (pair.a_start, pair.a_end, pair.b_start, pair.b_end) == (8, 16, 4, 12)


def pairs_of(
    files: dict[str, tuple[np.ndarray, np.ndarray | None]], threshold: float = 0.8
) -> set[tuple[str, str]]:
    return {(pair.a, pair.b) for pair in find(gather(files), threshold).pairs}


def test_what_is_seen_decides_and_what_is_heard_only_without() -> None:
    files = {
        "seen": (whole(1), whole(11)),
        "dubbed": (whole(1), whole(12)),
        "silent": (whole(1), None),
        "same sound": (whole(2), whole(11)),
        "sound alone": (NOTHING, whole(11)),
        "sound again": (NOTHING, whole(11)),
    }
    same = [("dubbed", "seen"), ("dubbed", "silent"), ("seen", "silent"), ("sound again", "sound alone")]
    assert pairs_of(files) == set(same)


def test_the_same_sound_adds_to_what_is_seen() -> None:
    worse = whole(1) + 1.5 * np.random.default_rng(9).standard_normal((6, WIDTH))
    files = {"a": (whole(1), whole(11)), "b": (worse, whole(11)), "c": (worse + whole(5) / 2, whole(12))}
    assert pairs_of(files, 0.85) == {("a", "b"), ("b", "c")}
    alone = find(gather({name: (video, None) for name, (video, _) in files.items()}), 0.3)
    together = find(gather(files), 0.3)
    scores = [{(pair.a, pair.b): pair.score for pair in found.pairs} for found in (alone, together)]
    assert scores[1]["a", "b"] == pytest.approx(min(1, scores[0]["a", "b"] + 0.3), abs=1e-5)


def test_what_stands_still_makes_no_pair() -> None:
    black, hum = np.ones((6, WIDTH)), -np.ones((6, WIDTH))
    files = {
        "black": (black, whole(11)),
        "black, other sound": (black, whole(12)),
        "black, silent": (black, None),
        "black, hums": (black, hum),
        "hums": (NOTHING, hum),
        "hums again": (NOTHING, hum),
        "black, same sound": (black, whole(11)),
        "film": (np.concatenate([black[:3], whole(1)]), None),
        "other film": (np.concatenate([black[:3], whole(2)]), None),
        "late film": (np.concatenate([whole(1)[2:], black[:2]]), None),
    }
    assert pairs_of(files) == {("black", "black, same sound"), ("film", "late film")}


def test_a_file_that_repeats_itself_is_no_pair() -> None:
    loop = np.concatenate([whole(1, 3)] * 3)
    assert find(gather({"a": (loop, None), "b": (whole(2), None)}), 0.8).pairs == []
    pair = find(gather({"a": (loop, None), "b": (loop, None)}), 0.8).pairs[0]
    assert (pair.a_start, pair.a_end, pair.b_start, pair.b_end) == (0, 18, 0, 18)


def test_files_of_other_hops_are_laid_on_each_other() -> None:
    fine = seen(1, 4 + np.arange(7))
    pair = find(gather({"a": (fine, None), "b": (whole(1, 12), None)}, (1.0, 2.0)), 0.8).pairs[0]
    assert (pair.a_start, pair.a_end, pair.b_start, pair.b_end) == (0, 8, 4, 12)


def test_what_changes_slowly_does_not_stand_still() -> None:
    angles = 0.07 * np.arange(12)
    slow = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Each is like the next, with which it shares 1.5 s, but not like the one that begins when it ends.
    assert slow[0] @ slow[1] > 0.995 > slow[0] @ slow[4]
    assert find(gather({"a": (slow, None), "b": (slow, None)}, (0.5, 0.5)), 0.8).groups == [["a", "b"]]
    assert find(gather({"a": (slow, None), "b": (slow, None)}), 0.8).groups == []


def test_groups_join_what_pairs_join() -> None:
    files = {f"{n:02}": (whole(1 + n % 3), None) for n in range(8)}
    found = find(gather(files), 0.8)
    assert found.groups == [["00", "03", "06"], ["01", "04", "07"], ["02", "05"]]
    assert len(found.pairs) == 3 + 3 + 1


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(range(6))), st.integers(0, 100))
def test_the_order_of_files_does_not_matter(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = {}
    for number in range(6):
        rows = whole(number % 2, int(rng.integers(1, 7)), float(rng.integers(0, 8)) / 2)
        files[f"{number}.mp4"] = (rows, whole(number % 3, len(rows)) if rng.integers(2) else None)
    names = list(files)
    found = find(gather(files), 0.7)
    assert find(gather({names[n]: files[names[n]] for n in order}), 0.7) == found
    lengths = {name: HOP * len(video) for name, (video, _) in files.items()}
    for pair in found.pairs:
        assert pair.a < pair.b
        assert 0 <= pair.a_start < pair.a_end <= lengths[pair.a]
        assert 0 <= pair.b_start < pair.b_end <= lengths[pair.b]


def test_files_are_compared_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = gather({f"{n:02}": (whole(n % 5, 2 + n % 4), whole(n % 4, 2 + n % 4)) for n in range(20)})
    found = find(collection, 0.7)
    monkeypatch.setattr(likeness, "CELLS", 1)
    assert find(collection, 0.7) == found and found.pairs


def test_a_collection_without_pairs_or_modality() -> None:
    alone = gather({"a": (whole(1), None)})
    assert find(alone, 0.8) == module.Duplicates([], [])
    sounds = gather({"a": (NOTHING, whole(1)), "b": (NOTHING, whole(1))})
    assert len(find(sounds, 0.8).pairs) == 1
    video = sounds.vectors["video"]
    none = replace(
        sounds, vectors={"audio": sounds.vectors["audio"], "video": Vectors(video.rows[:, :0], video.there)}
    )
    assert find(none, 0.8) == find(sounds, 0.8)
