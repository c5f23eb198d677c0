from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import AudioTrack, VideoTrack, make_media
from numpy.typing import NDArray

from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, decode, media_windows
from avfeat.media.audio import AudioPlacer

RATE = 16_000


def click_at(instant: float, length: float = 0.004):
    """Silence but for a burst of a 2 kHz tone."""

    def sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = (times >= instant) & (times < instant + length)
        return np.where(inside, 0.8 * np.sin(2 * np.pi * 2000 * (times - instant)), 0.0)

    return sound


def first_loud(waveform: NDArray[np.float32], level: float = 0.1) -> float:
    return int(np.argmax(np.abs(waveform) > level)) / RATE


def frame_of(samples: NDArray[np.float32], rate: int, layout: str = "mono") -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.atleast_2d(samples).astype(np.float32), format="fltp", layout=layout)
    frame.sample_rate = rate
    return frame


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        (".mp4", "aac", 44_100),
        (".mp4", "aac", 8_000),
        (".mkv", "aac", 48_000),
        (".ts", "aac", 22_050),
        (".mov", "pcm_s16le", 11_025),
        (".mkv", "flac", 96_000),
        (".webm", "libopus", 48_000),
        (".mp3", "libmp3lame", 32_000),
        (".ts", "mp2", 48_000),
    ],
)
def test_a_click_is_heard_when_it_was_made(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    path = make_media(tmp_path / f"a{suffix}", None, AudioTrack(rate=rate, codec=codec, sound=click_at(3.2)))
    waveform = decode(path).waveform
    assert waveform is not None
    # A transport stream does not say how many samples of its AAC or MP2 are the encoder's priming.
    assert first_loud(waveform) == pytest.approx(3.2, abs=0.05 if suffix == ".ts" else 0.004)


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "5.1"])
def test_every_layout_is_as_loud_as_mono(tmp_path: Path, layout: str) -> None:
    def tone(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * np.sin(2 * np.pi * 440 * times)

    track = AudioTrack(seconds=1.0, sound=tone, layout=layout, codec="flac", rate=48_000)
    waveform = decode(make_media(tmp_path / "a.mkv", None, track)).waveform
    assert waveform is not None
    assert np.abs(waveform[2000:-2000]).max() == pytest.approx(0.5, abs=0.01)


def test_the_mix_never_leaves_the_range() -> None:
    loud = np.ones((2, 4800), dtype=np.float32)
    placer = AudioPlacer(RATE)
    out = [*placer.push(Fraction(0), frame_of(loud, 48_000, "stereo")), *placer.flush()]
    assert np.abs(np.concatenate([stretch.samples for stretch in out])).max() <= 1.0


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0])
def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path, seconds: float) -> None:
    track = AudioTrack(sound=click_at(3.2), codec="pcm_s16le", rate=RATE, gaps=((1.0, 1.0 + seconds),))
    path = make_media(tmp_path / "a.mkv", None, track)
    waveform = decode(path).waveform
    assert waveform is not None
    assert first_loud(waveform) == pytest.approx(3.2, abs=0.002)
    assert not waveform[int(1.07 * RATE) : int((0.93 + seconds) * RATE)].any()


def test_jitter_of_time_stamps_makes_no_holes() -> None:
    rng = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 300 * np.arange(48_000) / 48_000).astype(np.float32)
    placer = AudioPlacer(RATE)
    out = []
    for begin in range(0, 48_000, 480):
        stamp = Fraction(round(begin / 48 + rng.uniform(-0.5, 0.5)), 1000)
        out += placer.push(max(stamp, Fraction(0)), frame_of(tone[begin : begin + 480], 48_000))
    out += placer.flush()
    assert [a.end for a in out[:-1]] == [b.position for b in out[1:]]
    assert out[-1].end == RATE


def test_a_slow_clock_does_not_drift_away() -> None:
    """Stamps say that each 10 ms frame takes 10.01 ms: after 100 s the sound must be 0.1 s later."""
    placer = AudioPlacer(RATE)
    silence = np.zeros(480, dtype=np.float32)
    out = []
    for k in range(10_000):
        frame = silence.copy()
        if k == 9_900:
            frame[:48] = 0.9
        out += placer.push(Fraction(k * 1001, 100_000), frame_of(frame, 48_000))
    out += placer.flush()
    loud = [s.position + int(np.argmax(s.samples > 0.3)) for s in out if (s.samples > 0.3).any()]
    assert loud[0] / RATE == pytest.approx(9_900 * 0.01001, abs=0.032)


def test_parameters_may_change_in_the_middle() -> None:
    placer = AudioPlacer(RATE)
    first = np.full(4800, 0.25, dtype=np.float32)
    second = np.full((2, 4410), 0.5, dtype=np.float32)
    out = [
        *placer.push(Fraction(0), frame_of(first, 48_000)),
        *placer.push(Fraction(1, 10), frame_of(second, 44_100, "stereo")),
        *placer.flush(),
    ]
    samples = np.concatenate([stretch.samples for stretch in out])
    assert out[-1].end == 3200 and len(samples) == 3200
    assert samples[800] == pytest.approx(0.25, abs=0.01) and samples[2400] == pytest.approx(0.5, abs=0.01)


@given(st.lists(st.integers(-200, 400), min_size=1, max_size=20))
def test_stretches_never_overlap_and_lie_where_the_stamps_say(steps: list[int]) -> None:
    placer = AudioPlacer(RATE)
    time, out, ends = 0, [], []
    for index, step in enumerate(steps):
        time = max(0, time + 100 + step)
        out += placer.push(Fraction(time, 1000), frame_of(np.full(1600, 0.01 * (index + 1)), RATE))
        ends.append(time + 100)
    out += placer.flush()
    for a, b in itertools.pairwise(out):
        assert a.end <= b.position
    assert out[-1].end <= (max(ends) + 31 * len(steps)) * RATE // 1000


def test_a_late_stream_leaves_zeros_before_it(tmp_path: Path) -> None:
    audio = AudioTrack(seconds=2.0, start=3.0, codec="pcm_s16le", rate=RATE)
    path = make_media(tmp_path / "a.mkv", VideoTrack(seconds=5.0), audio)
    video_spec, audio_spec = VideoSpec(8, 8, 32), AudioSpec(RATE, RATE)
    windows = list(media_windows(path, Grid.from_seconds(1.0), video_spec, audio_spec))
    assert [window.waveform is not None for window in windows] == [False, False, False, True, True]


def test_sound_that_goes_on_long_after_the_picture_needs_no_memory_for_it(tmp_path: Path) -> None:
    path = make_media(
        tmp_path / "a.mkv",
        VideoTrack(seconds=2.0, fps=Fraction(5)),
        AudioTrack(seconds=400.0, rate=8_000, codec="pcm_s16le"),
    )
    video_spec, audio_spec = VideoSpec(8, 16, 32), AudioSpec(RATE, 2 * RATE)
    windows = list(media_windows(path, Grid.from_seconds(2.0), video_spec, audio_spec))
    assert len(windows) == 200
    assert [window.frames is not None for window in windows] == [True] + [False] * 199
    assert all(window.waveform is not None for window in windows)


def test_a_picture_that_stays_for_minutes_is_on_screen_all_the_time(tmp_path: Path) -> None:
    path = make_media(
        tmp_path / "slides.mp4",
        VideoTrack(times=[0.0, 1.0, 150.0, 151.0]),
        AudioTrack(seconds=160.0, rate=8_000, codec="aac"),
    )
    video_spec, audio_spec = VideoSpec(8, 16, 32), AudioSpec(RATE, 2 * RATE)
    windows = list(media_windows(path, Grid.from_seconds(2.0), video_spec, audio_spec))
    assert [window.frames is not None for window in windows[:76]] == [True] * 76
    during, after = windows[40].frames, windows[75].frames
    assert during is not None and after is not None
    np.testing.assert_array_equal(during[0], during[-1])
    assert not np.array_equal(during[-1], after[-1])
    assert all(window.frames is None for window in windows[76:])
