"""What a scene shows and plays is what its class says, whatever the nuisances."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avfeat.world import SyntheticVideo, plan
from avfeat.world.classes import CATEGORIES
from avfeat.world.drawing import Canvas
from avfeat.world.motions import MOTIONS, Motion, draw_actor
from avfeat.world.rhythm import REST, Beats, Moment, Rhythm, beats
from avfeat.world.scene import Scene
from avfeat.world.voices import VOICES, Singer, Timbre, Voice, draw_gestures

TONE = Timbre(pitch=400.0, ratios=(1.0,), gains=(1.0,), breath=0.0)
RATE = 16_000


def video_of(category: str, start: int = 0, end: int = 10) -> SyntheticVideo:
    made = next(video for video in plan(280) if video.category == category)
    return replace(made, start=start, end=end)


@given(st.sampled_from(["even", "gallop", "settling"]), st.integers(0, 8), st.integers(2, 10), st.integers(0, 99))
def test_beats_fill_the_event_and_rise(rhythm: Rhythm, start: int, length: int, seed: int) -> None:
    found = beats(rhythm, start, start + length, np.random.default_rng(seed))
    assert found.times[1] < start
    assert found.times[-2] > start + length
    gaps = np.diff(found.times)
    assert gaps.min() > 0.15
    if rhythm == "even":
        assert gaps.max() / gaps.min() < 1.07
    if rhythm == "gallop":
        turns = gaps[1:] / gaps[:-1]
        assert np.all((turns > 2) ^ (turns < 0.5))
    if rhythm == "settling":
        longer = np.flatnonzero(np.diff(gaps) > 0.02)
        assert set(np.diff(longer)) <= {5}, "shorter and shorter, five times, then anew"


@given(st.floats(-1, 12))
def test_a_moment_says_where_it_lies_between_its_beats(time: float) -> None:
    found = Beats(np.array([1.0, 1.5, 2.5, 4.0])).at(time)
    if not 1.0 <= time < 4.0:
        assert found is REST
        return
    begin = (1.0, 1.5, 2.5)[found.beat]
    assert found.since == pytest.approx(time - begin)
    assert found.part == pytest.approx((time - begin) / found.interval)
    assert 0 <= found.part < 1


def painted(motion: Motion, now: Moment, seed: int = 3) -> NDArray[np.bool_]:
    """Where the thing is: pixels that the motion changes on an empty canvas."""
    white = np.full(3, 255, np.float32)
    actor = replace(draw_actor(np.random.default_rng(seed), white, white), anchor=None, floor=None, turn=0.0)
    canvas = Canvas(np.zeros((120, 160, 3), np.float32))
    MOTIONS[motion](actor, canvas, now)
    return canvas.pixels[..., 0] > 128


def height(mask: NDArray[np.bool_]) -> float:
    return 120 - float(np.nonzero(mask)[0].mean())


def middle(mask: NDArray[np.bool_]) -> float:
    return float(np.nonzero(mask)[1].mean())


def moment(part: float, beat: int = 0, interval: float = 0.7) -> Moment:
    return Moment(beat, part, interval, part * interval)


def test_every_motion_moves_and_paints_within_the_picture() -> None:
    for motion in MOTIONS:
        masks = [painted(motion, moment(part)) for part in (0.01, 0.3, 0.5, 0.8)]
        assert all(mask.any() for mask in masks), motion
        assert painted(motion, REST).any(), motion
        if motion != "spin":
            assert any((mask != masks[0]).sum() > 20 for mask in masks[1:]), motion


def test_motions_are_at_their_beats_where_they_say() -> None:
    at = {part: part for part in (0.02, 0.25, 0.5, 0.75, 0.98)}
    hop = [height(painted("hop", moment(part))) for part in at]
    assert hop[0] < hop[1] < hop[2] > hop[3] > hop[4], "lowest at beats, highest between"
    assert hop[0] == pytest.approx(hop[4], abs=1.5)
    fall = [height(painted("fall", moment(part))) for part in at]
    assert fall == sorted(fall, reverse=True)
    strike = [height(painted("strike", moment(part))) for part in at]
    assert strike[3] > strike[1] > strike[0]
    assert strike[4] < strike[3], "down at once"
    swell = [int(painted("swell", moment(part)).sum()) for part in at]
    assert swell[0] > 2 * swell[2]
    assert swell[4] > 2 * swell[2]
    swing = [middle(painted("swing", moment(part))) for part in at]
    assert swing == sorted(swing) or swing == sorted(swing, reverse=True)
    back = [middle(painted("swing", moment(part, beat=1))) for part in at]
    assert (swing[0] - swing[4]) * (back[0] - back[4]) < 0, "it turns back at every beat"
    slide = [middle(painted("slide", moment(part))) for part in (0.0, 0.36, 0.6, 0.99)]
    assert abs(slide[1] - slide[0]) > 10
    assert slide[1:] == pytest.approx([slide[1]] * 3, abs=0.5), "then it stays"
    clap = [np.ptp(np.nonzero(painted("clap", moment(part)))[1]) for part in at]
    assert clap[2] > clap[1] > clap[0]
    assert clap[2] > clap[3] > clap[4]
    orbit = [height(painted("orbit", moment(part))) for part in at]
    assert orbit[0] > orbit[1] > orbit[2] < orbit[3]
    shiver = [middle(painted("shiver", Moment(0, since, 1.0, since))) for since in (0.0, 0.156, 0.312, 0.99)]
    rest = middle(painted("shiver", REST))
    assert abs(shiver[0] - rest) > abs(shiver[2] - rest) > abs(shiver[3] - rest)
    assert (shiver[0] - rest) * (shiver[1] - rest) < 0, "to and fro"
    for beat in (0, 1):
        early, high = painted("duo", moment(0.02, beat)), painted("duo", moment(0.5, beat))
        assert height(high) > height(early)
    assert middle(painted("duo", moment(0.5, 0)) & ~painted("duo", moment(0.02, 0))) != pytest.approx(
        middle(painted("duo", moment(0.5, 1)) & ~painted("duo", moment(0.02, 1))), abs=5
    ), "the two take turns"


def sung(voice: Voice, found: Beats, seconds: int = 4) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    singer = Singer(TONE, draw_gestures(rng), RATE, seconds * RATE, rng)
    VOICES[voice](singer, found)
    return singer.track


def loudness(track: NDArray[np.float32], begin: float, end: float) -> float:
    return float(np.sqrt((track[round(begin * RATE) : round(end * RATE)] ** 2).mean()))


def pitch(track: NDArray[np.float32], at: float) -> float:
    """Frequency around ``at`` in Hz, from zero crossings of a pure tone."""
    piece = track[round((at - 0.01) * RATE) : round((at + 0.01) * RATE)]
    crossings = np.nonzero(np.diff(np.signbit(piece)))[0]
    return float((len(crossings) - 1) * RATE / (2 * (crossings[-1] - crossings[0])))


BEATS = Beats(np.array([0.5, 1.3, 2.1, 2.9]))


@pytest.mark.parametrize("voice", list(VOICES))
def test_every_voice_sounds_within_its_beats_and_nowhere_else(voice: Voice) -> None:
    track = sung(voice, BEATS)
    assert np.isfinite(track).all()
    assert loudness(track, 0, 0.49) == 0
    for begin in BEATS.times[:-1]:
        assert loudness(track, begin, begin + 0.8) > 0.01
    assert loudness(track, 3.2, 4.0) == 0


def test_voices_make_their_gestures() -> None:
    hit = sung("hit", BEATS)
    assert loudness(hit, 0.5, 0.55) > 3 * loudness(hit, 0.8, 0.85)
    swoosh = sung("swoosh", BEATS)
    assert loudness(swoosh, 1.24, 1.29) > 3 * loudness(swoosh, 0.85, 0.9)
    assert loudness(swoosh, 1.301, 1.36) < 0.1 * loudness(swoosh, 1.24, 1.29), "it breaks off"
    double = sung("double", BEATS)
    first, between, second = (loudness(double, 0.5 + a, 0.5 + a + 0.02) for a in (0.0, 0.09, 0.15))
    assert first > between
    assert second > between
    assert pitch(sung("rise", BEATS), 0.58) < pitch(sung("rise", BEATS), 0.7)
    assert pitch(sung("fall", BEATS), 0.58) > pitch(sung("fall", BEATS), 0.7)
    siren = sung("siren", BEATS)
    assert pitch(siren, 1.3) > 400 * 2**0.3 > 400 > pitch(siren, 1.7)
    trill = np.abs(sung("trill", BEATS)[round(0.5 * RATE) : round(0.85 * RATE)])
    pulses = trill.reshape(-1, 80).max(1) > 0.35
    assert 3 <= np.count_nonzero(np.diff(pulses.astype(int)) == 1) <= 8
    crackle = np.abs(sung("crackle", BEATS)[round(0.5 * RATE) : round(1.0 * RATE)]).reshape(-1, 32).max(1)
    assert (crackle < 0.05).any(), "blows with silence between"


def test_apart_delays_the_sound_by_half_a_beat() -> None:
    together, apart = (Scene.from_video(video_of(name)) for name in ("Bounce", "Bounce, off the beat"))
    assert together.heard is together.beats
    gaps = np.diff(apart.beats.times)
    np.testing.assert_allclose(apart.heard.times[:-1] - apart.beats.times[:-1], gaps / 2)
    assert apart.heard.times[-1] == apart.beats.times[-1]


def test_where_a_sound_begins_says_nothing_of_the_coupling() -> None:
    onsets = []
    for name in ("Bounce", "Bounce, off the beat"):
        heard = [Scene.from_video(replace(video_of(name), index=index)).heard.times for index in range(150)]
        onsets.append(np.array([times[times >= 0][0] for times in heard]))
    thresholds = np.linspace(0, 1.1, 45)
    parted = [
        max((onsets[0] < t).mean() + (onsets[1] >= t).mean(), (onsets[0] >= t).mean() + (onsets[1] < t).mean()) / 2
        for t in thresholds
    ]
    # 150 each, the best of 45 thresholds: chance reaches 0.6 once in a hundred times or less.
    assert max(parted) < 0.6


@pytest.mark.parametrize("category", [category.name for category in CATEGORIES])
def test_event_and_background(category: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Things move and sound within the event and neither before nor after it."""
    scene = Scene.from_video(video_of(category, start=3, end=7))
    # Nothing but the event itself: a camera that holds still, no passers-by, a dry and silent room.
    still = replace(scene.place.camera, sways=np.zeros((3, 3, 3)))
    room = replace(scene.room, wetness=0.0, noise_level=-90.0)
    bare = replace(scene, place=replace(scene.place, camera=still, passers=()), room=room)
    pictures = [bare.picture(time, 96, 72).astype(int) for time in np.arange(0.05, 10, 0.1)]
    change = np.array([np.abs(b - a).max() for a, b in itertools.pairwise(pictures)])
    times = np.arange(0.1, 9.95, 0.1)
    assert change[(times < 2.9) | (times > 7.1)].max() == 0
    assert (change[(times > 3.4) & (times < 6.9)] > 10).mean() > 0.3
    monkeypatch.setattr(Scene, "_strangers", lambda self, rate, rng: np.zeros(10 * rate, np.float32))
    sound = bare.sound(RATE)
    inside = loudness(sound, 3, 7)
    assert loudness(sound, 0, 2.9) < 0.05 * inside
    assert loudness(sound, 7.2, 10) < 0.05 * inside


def test_nuisances_do_not_depend_on_the_class() -> None:
    """The same key with another class: same look, same place, same room, same beats."""
    video = video_of("Bounce")
    one, other = Scene.from_video(video), Scene.from_video(replace(video, category="Pendulum tick"))
    assert one.actor.x == other.actor.x
    assert one.actor.shape == other.actor.shape
    np.testing.assert_array_equal(one.place.texture, other.place.texture)
    assert one.room.gain == other.room.gain
    np.testing.assert_array_equal(one.beats.times, other.beats.times)


def test_pictures_and_sound_are_in_range_for_many_videos() -> None:
    for video in plan(280, seed=5)[::11]:
        scene = Scene.from_video(video)
        picture = scene.picture(4.0, 120, 90)
        assert picture.shape == (90, 120, 3)
        assert picture.std() > 1
        sound = scene.sound(16_000)
        assert sound.shape == (160_000,)
        assert sound.dtype == np.float32
        assert 0.05 < np.abs(sound).max() <= 1
        assert np.isfinite(sound).all()
