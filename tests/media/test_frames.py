"""Which frame is on screen when: every picture carries its number as a bar code."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import AudioTrack, VideoTrack, make_media
from numpy.typing import NDArray

from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, array_windows, decode, media_windows

VIDEO = VideoSpec(fps=8, frames=16, size=32)
AUDIO = AudioSpec(rate=16_000, samples=32_000)
BITS = 10
LOSSLESS = (("crf", "0"), ("preset", "ultrafast"))


def bar_code(number: int) -> NDArray[np.uint8]:
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.repeat(np.repeat(np.array([bits], dtype=np.uint8), 16, axis=1), 64, axis=0)[..., None].repeat(3, 2)


def read_code(pixels: NDArray[np.uint8]) -> int:
    width = pixels.shape[1] / BITS
    middle = pixels[pixels.shape[0] // 2, [int((bit + 0.5) * width) for bit in range(BITS)], 0]
    return sum(int(value > 127) << bit for bit, value in enumerate(middle))


def numbered(times: list[Fraction]) -> VideoTrack:
    """Frame i shows i and comes on screen at ``times[i]``."""
    index = {round(float(t), 5): i for i, t in enumerate(times)}
    return VideoTrack(
        times=[float(t) for t in times],
        picture=lambda t: bar_code(index[round(t, 5)]),
        options=LOSSLESS,
        pix_fmt="yuv444p",
    )


def slow_numbers(times: list[Fraction], grid: Grid, window: int) -> list[int]:
    """On screen at an instant: the last frame that has begun; before the first one, the first."""
    numbers = []
    for i in range(VIDEO.frames):
        instant = Fraction(grid.window_start(window), 1_000_000) + (i + Fraction(1, 2)) / 8
        begun = [k for k, t in enumerate(times) if t - times[0] <= instant]
        numbers.append(begun[-1] if begun else 0)
    return numbers


def stamps(path: Path) -> list[Fraction]:
    """What the container says, without decoding: Matroska rounds to milliseconds."""
    with av.open(str(path)) as container:
        return sorted(p.pts * Fraction(p.time_base) for p in container.demux(video=0) if p.pts is not None)


def check(path: Path, times: list[Fraction], grid: Grid) -> None:
    windows = list(media_windows(path, grid, VIDEO, AUDIO))
    for window in windows:
        if window.frames is not None:
            assert [read_code(frame) for frame in window.frames] == slow_numbers(times, grid, window.index)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    "rate",
    [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25), Fraction(16), Fraction(1, 2), Fraction(60)],
)
def test_constant_rates(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    times = [k / rate for k in range(max(4, int(5 * rate)))]
    path = make_media(tmp_path / f"v{suffix}", numbered(times))
    written = stamps(path)
    assert len(written) == len(times)
    check(path, written, Grid.from_seconds(2.0))
    check(path, written, Grid.from_seconds(2.0, hop=0.73, start=-0.6))


@settings(max_examples=25)
@given(
    steps=st.lists(st.integers(1, 90), min_size=2, max_size=60),
    hop=st.integers(50, 3000),
    start=st.integers(-1500, 2500),
)
def test_variable_frame_rates(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], hop: int, start: int
) -> None:
    times = [Fraction(sum(steps[:k]), 100) for k in range(len(steps))]
    path = make_media(tmp_path_factory.mktemp("vfr") / "v.mp4", numbered(times))
    check(path, times, Grid.from_seconds(2.0, hop / 1000, start / 1000))


@settings(max_examples=60)
@given(
    count=st.integers(1, 80),
    fps=st.sampled_from([1.0, 7.5, 8.0, 16.0, 23.976, 30.0]),
    hop=st.integers(40, 3000),
    start=st.integers(-2500, 4000),
)
def test_arrays_show_what_a_slow_reference_shows(count: int, fps: float, hop: int, start: int) -> None:
    frames = np.stack([np.full((32, 32, 3), i, dtype=np.uint8) for i in range(count)])
    grid = Grid.from_seconds(2.0, hop / 1000, start / 1000)
    windows = list(array_windows(frames, fps, None, 1, grid, VIDEO, AUDIO))
    times = [k / Fraction(fps).limit_denominator(1_000_000) for k in range(count)]
    end = count / Fraction(fps).limit_denominator(1_000_000)
    assert len(windows) == grid.count(-(-end.numerator * 1_000_000 // end.denominator))
    for window in windows:
        begin = Fraction(window.start, 1_000_000)
        assert (window.frames is not None) == (begin < end and begin + 2 > 0)
        if window.frames is not None:
            assert [int(f[0, 0, 0]) for f in window.frames] == slow_numbers(times, grid, window.index)


def test_a_picture_in_the_middle_of_the_timeline_is_repeated_on_both_sides(tmp_path: Path) -> None:
    video = VideoTrack(seconds=1.0, start=2.5, picture=lambda t: bar_code(5), options=LOSSLESS, pix_fmt="yuv444p")
    path = make_media(tmp_path / "v.mp4", video, AudioTrack(seconds=7.0))
    windows = list(media_windows(path, Grid.from_seconds(2.0), VIDEO, AUDIO))
    assert [window.frames is not None for window in windows] == [False, True, False, False]
    assert windows[1].frames is not None
    assert {read_code(frame) for frame in windows[1].frames} == {5}
    assert all(window.waveform is not None for window in windows)


def test_frames_are_scaled_once_however_small_the_hop(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mp4", VideoTrack(seconds=3.0))
    windows = list(media_windows(path, Grid.from_seconds(2.0, hop=0.125), VIDEO, AUDIO))
    first, second = windows[0].frames, windows[1].frames
    assert first is not None and second is not None
    np.testing.assert_array_equal(first[1:], second[:-1])


def test_the_end_of_a_call_stops_the_reading(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mp4", VideoTrack(seconds=20.0), AudioTrack(seconds=20.0))
    whole = list(media_windows(path, Grid.from_seconds(2.0), VIDEO, AUDIO))
    part = list(media_windows(path, Grid.from_seconds(2.0, end=5.0), VIDEO, AUDIO))
    assert len(part) == 3
    for a, b in zip(part, whole, strict=False):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.waveform, b.waveform)


def test_decoded_pictures_before_the_first_are_the_first(tmp_path: Path) -> None:
    late = VideoTrack(seconds=2.0, start=2.5)
    decoded = decode(make_media(tmp_path / "late.mkv", late, AudioTrack(seconds=5.0)))
    assert decoded.frames is not None
    assert len(decoded.frames) == 36
    np.testing.assert_array_equal(decoded.frames[:20], decoded.frames[19:20].repeat(20, 0))
    assert decoded.frames[0].mean() > 10
    assert not np.array_equal(decoded.frames[20], decoded.frames[30])
