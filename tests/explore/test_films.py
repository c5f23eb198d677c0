"""Frames and loudness of files, in one pass and within a budget."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media, moving_square

from avfeat import MediaError
from avfeat.explore import films
from avfeat.explore.films import plan_films, read_films
from avfeat.index.frames import BINS, film_of, strip_of


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a moving square; it is loud from 4 s on."""
    path = tmp_path_factory.mktemp("film") / "shot.mp4"
    sound = AudioTrack(6.0, 16_000, lambda times: np.where(times >= 4, 0.8, 0.05) * np.sin(2500 * times))
    return make_media(path, VideoTrack(6.0, picture=moving_square(200, 120, seed=3)), sound)


def test_a_film_has_the_frames_and_the_loudness_of_its_parts(shot: Path) -> None:
    film = film_of(shot, 6.0, 6, side=100)
    picture = moving_square(200, 120, seed=3)
    assert [frame.shape for frame in film.frames] == [(60, 100, 3)] * 6
    for part, frame in enumerate(film.frames):
        errors = [np.abs(frame.astype(int) - picture(time)[::2, ::2]).mean() for time in np.arange(6) + 0.5]
        # The square comes to the same place every two seconds.
        assert errors[part] == min(errors) or np.argmin(errors) % 2 == part % 2
        assert errors[part] < 6
    assert film.peaks is not None and film.peaks.shape == (6 * BINS,)
    assert film.peaks[: 4 * BINS - 2].max() < 0.2 and film.peaks[4 * BINS + 2 : -2].min() > 0.6


def test_long_parts_are_read_in_steps(shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = film_of(shot, 6.0, 2, side=64)
    monkeypatch.setattr("avfeat.index.frames._PART", 0.7)
    steps = film_of(shot, 6.0, 2, side=64)
    for one, other in zip(whole.frames, steps.frames, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    assert whole.peaks is not None and steps.peaks is not None
    np.testing.assert_allclose(whole.peaks, steps.peaks, atol=0.1)


def test_a_sound_has_no_frames_and_a_text_is_refused(tmp_path: Path) -> None:
    sound = make_media(tmp_path / "a.wav", audio=AudioTrack(2.0, 8000, codec="pcm_s16le"))
    film = film_of(sound, 2.0, 1, side=64)
    assert (len(film.frames), film.peaks is not None) == (0, True)
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(MediaError):
        film_of(tmp_path / "text.mp4", 2.0, 1, side=64)


def test_strips_stand_side_by_side_in_their_bytes(shot: Path) -> None:
    frames = film_of(shot, 6.0, 3, side=100).frames
    full, small = strip_of(frames, 10**6), strip_of(frames, 1500)
    assert full is not None and small is not None and len(small) <= 1500 < len(full)
    with av.open(io.BytesIO(full)) as picture:
        pixels = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    assert pixels.shape == (60, 300, 3)
    assert np.abs(pixels[:, 100:200].astype(int) - frames[1]).mean() < 8
    assert strip_of(frames, 100) is None


def test_the_budget_is_shared_between_files(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [Path(f"{n}.mp4") for n in range(5)]
    orders = plan_films(np.arange(5), places, np.array([3.0, 20, 1000, 4, 0]), hop=2)
    assert [order.parts for order in orders] == [2, 10, 48, 2, 1]
    monkeypatch.setattr(films, "_MOST_FRAMES", 12)
    orders = plan_films(np.arange(5), places, np.array([3.0, 20, 1000, 4, 0]), hop=2)
    assert [order.parts for order in orders] == [2, 3, 3, 2, 1]
    assert sum(order.most for order in orders) <= films.MOST_BYTES
    monkeypatch.setattr(films, "_MOST_FILMS", 2)
    assert [order.file for order in plan_films(np.arange(5), places, np.full(5, 4.0), hop=2)] == [0, 2]


def test_files_are_read_in_order_and_failures_say_why(shot: Path, tmp_path: Path) -> None:
    places = [shot, tmp_path / "gone.mp4"]
    seen, gone = read_films(plan_films(np.arange(2), places, np.array([6.0, 6.0]), hop=2))
    assert (seen.file, seen.parts, seen.playable, seen.failure) == (0, 3, True, "")
    assert seen.strip is not None and seen.peaks is not None and seen.aspect == pytest.approx(200 / 120, abs=0.05)
    assert (gone.file, gone.strip) == (1, None) and "no such file" in gone.failure
