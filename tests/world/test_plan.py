from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError
from avfeat.world import SPLITS, plan
from avfeat.world.classes import BY_NAME, CATEGORIES


@given(videos=st.integers(84, 900), seed=st.integers(0, 5))
def test_every_class_is_in_every_split_from_84_videos_on(videos: int, seed: int) -> None:
    made = plan(videos, seed)
    assert len(made) == videos
    assert len({(video.category, video.split) for video in made}) == len(CATEGORIES) * len(SPLITS)


@given(videos=st.integers(1, 900), seed=st.integers(0, 2**31))
def test_videos_are_grouped_by_class_and_have_intervals_and_ids_as_ave_has(videos: int, seed: int) -> None:
    made = plan(videos, seed)
    assert [video.index for video in made] == list(range(videos))
    order = [list(BY_NAME).index(video.category) for video in made]
    assert order == sorted(order)
    assert len({video.id for video in made}) == videos
    for video in made:
        assert 0 <= video.start < video.end <= 10
        assert video.end - video.start >= 2
        assert len(video.id) == 11
        assert set(video.id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_as_many_videos_as_ave_have_its_own_numbers() -> None:
    made = plan(4143)
    assert Counter(video.category for video in made) == {c.name: c.weight for c in CATEGORIES}
    assert Counter(video.split for video in made) == {"train": 3339, "val": 402, "test": 402}
    lengths = np.array([video.end - video.start for video in made])
    # AVE: 66.4 % whole, 5.2 % of 2 s; three standard deviations of a sample of this size are 2.2 % and 1 %.
    assert (lengths == 10).mean() == pytest.approx(0.664, abs=0.022)
    assert (lengths == 2).mean() == pytest.approx(0.052, abs=0.01)
    assert any(video.id.startswith("-") for video in made), "ids such as AVE's: some begin with a dash"


def test_worlds_share_no_video_and_one_world_is_always_the_same() -> None:
    ids = [{video.id for video in plan(*world)} for world in ((280, 0), (280, 1), (281, 0))]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]
    assert plan(280, 3) == plan(280, 3)


def test_random_numbers_differ_by_video_and_purpose() -> None:
    first, second = plan(2)[:2]
    draws = [v.generator(p).random(4).tolist() for v in (first, second) for p in ("scene", "sound")]
    assert len({tuple(draw) for draw in draws}) == 4
    assert first.generator("scene").random(4).tolist() == draws[0]


def test_the_classes_are_as_documented() -> None:
    assert len(CATEGORIES) == len(BY_NAME) == 28
    assert not any("&" in category.name for category in CATEGORIES)
    signatures = [(c.motion, c.voice, c.rhythm, c.coupling) for c in CATEGORIES]
    assert len(set(signatures)) == 28
    pictures = Counter((c.motion, c.rhythm) for c in CATEGORIES)
    sounds = Counter((c.voice, c.rhythm) for c in CATEGORIES)
    together = Counter((c.motion, c.voice, c.rhythm) for c in CATEGORIES)
    assert max(pictures.values()) > 1, "some pairs share the picture"
    assert max(sounds.values()) > 1, "some share the sound"
    assert sorted(together.values())[-2:] == [2, 2], "some differ only in how the two go together"


@pytest.mark.parametrize(("videos", "seed"), [(0, 0), (-1, 0), (5, -1)])
def test_worlds_that_cannot_be_are_refused(videos: int, seed: int) -> None:
    with pytest.raises(ArgumentError, match="synthetic dataset"):
        plan(videos, seed)
