from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat import Embedding, Failure, MediaError
from avfeat.embedding import DENSE

WIDTHS = (5, 3)


def embedding(
    starts: list[float],
    seconds: float,
    duration: float,
    has_video: list[bool],
    has_audio: list[bool],
    seed: int = 0,
) -> Embedding:
    """Random rows, zeros where masked."""
    rng = np.random.default_rng(seed)
    count = len(starts)
    masks = {"video": np.array(has_video, dtype=bool), "audio": np.array(has_audio, dtype=bool)}
    rows = {}
    for modality, width in zip(("video", "audio"), WIDTHS, strict=True):
        for name, size in ((modality, width), (f"{modality}_shared", 2)):
            values = rng.standard_normal((count, size)).astype(np.float32)
            rows[name] = values * masks[modality][:, None]
    return Embedding(
        start=np.array(starts, dtype=np.float64),
        end=np.array(starts, dtype=np.float64) + seconds,
        has_video=masks["video"],
        has_audio=masks["audio"],
        source="source.mp4",
        bundle="0" * 64,
        seconds=seconds,
        hop=1.0,
        duration=duration,
        damaged=False,
        **rows,
    )


@st.composite
def embeddings(draw: st.DrawFn) -> Embedding:
    count = draw(st.integers(1, 8))
    first = draw(st.floats(-3, 3))
    hop = draw(st.floats(0.1, 3))
    masks = st.lists(st.booleans(), min_size=count, max_size=count)
    return embedding(
        [first + hop * index for index in range(count)],
        draw(st.floats(0.1, 4)),
        draw(st.floats(0.01, 12)),
        draw(masks),
        draw(masks),
        draw(st.integers(0, 99)),
    )


def slow_mean(rows: np.ndarray, mask: np.ndarray, item: Embedding) -> list[float]:
    """The weighted mean, a row and a number at a time."""
    sums, total = [0.0] * rows.shape[1], 0.0
    for row in range(len(rows)):
        covered = min(float(item.end[row]), item.duration) - max(float(item.start[row]), 0.0)
        if mask[row] and covered > 0:
            total += covered
            for column in range(rows.shape[1]):
                sums[column] += covered * float(rows[row, column])
    return [value / total if total else 0.0 for value in sums]


@given(embeddings())
def test_pooled_is_the_mean_weighted_by_covered_time(item: Embedding) -> None:
    expected = slow_mean(item.video, item.has_video, item) + slow_mean(item.audio, item.has_audio, item)
    pooled = item.pooled()
    assert pooled.dtype == np.float32 and pooled.shape == (sum(WIDTHS),)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_pooled_counts_a_last_window_by_what_it_covers() -> None:
    item = embedding([0.0, 2.0], 2.0, 2.5, [True, True], [True, True])
    np.testing.assert_allclose(item.pooled()[:5], 0.8 * item.video[0] + 0.2 * item.video[1], rtol=1e-5)


def test_pooled_counts_a_padded_first_window_by_what_it_covers() -> None:
    item = embedding([-1.5, 0.5], 2.0, 10.0, [True, True], [True, True])
    np.testing.assert_allclose(item.pooled()[5:], 0.2 * item.audio[0] + 0.8 * item.audio[1], rtol=1e-5)


def test_pooled_takes_rows_that_have_the_modality_only() -> None:
    item = embedding([0.0, 2.0, 4.0], 2.0, 6.0, [True, False, False], [False, True, True])
    np.testing.assert_allclose(item.pooled()[:5], item.video[0], rtol=1e-6)
    np.testing.assert_allclose(item.pooled()[5:], (item.audio[1] + item.audio[2]) / 2, rtol=1e-5)


@pytest.mark.parametrize(("modality", "part"), [("video", slice(0, 5)), ("audio", slice(5, 8))])
def test_pooled_is_zeros_for_a_modality_that_is_nowhere(modality: str, part: slice) -> None:
    masks = {"has_video": [True, True], "has_audio": [True, True], f"has_{modality}": [False, False]}
    pooled = embedding([0.0, 2.0], 2.0, 4.0, **masks).pooled()
    assert not pooled[part].any()
    assert np.delete(pooled, np.r_[part]).all()


def test_pooled_of_media_before_the_first_window_is_finite() -> None:
    assert not embedding([5.0], 2.0, 4.0, [True], [True]).pooled().any()


@given(embeddings())
def test_windows_are_the_rows(item: Embedding) -> None:
    windows = list(item.windows())
    assert len(item) == len(item.start) == len(windows)
    for row, window in enumerate(windows):
        for field in (one for one in fields(window) if one.name not in DENSE):
            np.testing.assert_array_equal(getattr(window, field.name), getattr(item, field.name)[row])
    assert all(type(window.start) is float and type(window.has_video) is bool for window in windows)


def test_failure_keeps_what_the_error_says() -> None:
    failure = Failure.from_error(MediaError("a.mp4", "empty", "the file is empty."))
    assert failure == Failure("a.mp4", "empty", "a.mp4: the file is empty.")


@given(embeddings())
def test_an_embedding_is_put_together_from_its_windows(item: Embedding) -> None:
    damage = ("a packet",)
    facts = {name: getattr(item, name) for name in ("source", "bundle", "seconds", "hop", "duration")}
    made = Embedding.from_windows(list(item.windows()), **facts, damage=damage)
    assert made.damaged and made.damage == damage and made.choice == {}
    for name in ("start", "end", "video", "audio", "video_shared", "audio_shared", "has_video", "has_audio"):
        found, given_ = getattr(made, name), getattr(item, name)
        assert found.dtype == given_.dtype and np.array_equal(found, given_), name
