from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError
from avfeat.training.objectives.pairs import Pairs, Side, terms
from avfeat.training.schema import build

WEIGHTS = st.sampled_from([0.0, 0.5, 1.0, 3.0])


def slow_kind(first: Side, second: Side) -> str | None:
    """The kind of any two sides; None for a side with itself."""
    if first.modality == second.modality:
        return None if first.view == second.view else f"{first.modality}_{second.modality}"
    return "video_audio" if first.view == second.view else "video_audio_across"


@given(st.tuples(WEIGHTS, WEIGHTS, WEIGHTS, WEIGHTS).filter(any), st.integers(2, 4))
def test_every_two_sides_are_one_term_of_their_kind(weights: tuple[float, ...], views: int) -> None:
    pairs = Pairs(*weights)
    found = terms(pairs, views)
    sides = [Side(name, view) for name in ("video", "audio") for view in range(views)]  # type: ignore[arg-type]
    kinds = {
        frozenset((one, other)): slow_kind(one, other) for one in sides for other in sides if slow_kind(one, other)
    }
    counting = {both: kind for both, kind in kinds.items() if kind and getattr(pairs, kind)}
    assert {frozenset((term.first, term.second)): term.kind for term in found} == counting
    assert len(found) == len(counting)
    numbers = Counter(counting.values())
    for term in found:
        share = getattr(pairs, term.kind) / math.fsum(weights)
        assert term.weight == pytest.approx(share / numbers[term.kind])


def test_one_view_has_its_own_picture_and_sound() -> None:
    only = Pairs(video_video=0, audio_audio=0)
    assert [(term.first, term.second, term.weight) for term in terms(only, 1)] == [
        (Side("video", 0), Side("audio", 0), 1.0)
    ]
    with pytest.raises(ArgumentError, match="video_video compares two views, and there is 1: take 2"):
        terms(Pairs(), 1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"video_audio": -1.0}, "video_audio must be a number from 0 on, not -1.0"),
        ({"video_audio": math.nan}, "video_audio must be a number from 0 on"),
        ({"audio_audio": math.inf}, "audio_audio must be a number from 0 on"),
        ({"video_video": 0, "audio_audio": 0, "video_audio": 0}, "one of them must count"),
    ],
)
def test_weights_that_no_loss_can_have(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        Pairs(**wrong)


def test_pairs_come_from_a_recipe() -> None:
    assert build(Pairs, {"video_audio_across": 1}, "recipe: pairs") == Pairs(1, 1, 1, 1)
    with pytest.raises(ArgumentError, match="did you mean 'video_video'"):
        build(Pairs, {"video_vide": 1}, "recipe: pairs")
