from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clocks import clock, number_of, on_screen, time_of
from hypothesis import given
from hypothesis import strategies as st
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square
from safetensors.numpy import load_file

from avfeat.errors import ArgumentError, MediaError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import AudioSpec, VideoSpec, decode, media_windows
from avfeat.training.data import CacheError, CacheSettings, Clip, clip_writer
from avfeat.training.data.record import record
from avfeat.training.data.sources.media import FileMedia, SyntheticMedia
from avfeat.training.data.speed import resample
from avfeat.world import plan, render
from avfeat.world.render import Recording

ROUNDING = 0.51 / 32_768


def made(path: Path, settings: CacheSettings | None = None) -> Clip:
    out = path.with_name(f"{path.name}.clip")
    record(FileMedia(path), settings or CacheSettings(), out, path.parent)
    return Clip(out)


def instants(count: int, fps: int) -> list[int]:
    return [round((2 * index + 1) * MICROSECONDS / (2 * fps)) for index in range(count)]


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    error = np.mean((found.astype(np.float64) - expected) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize(
    ("video", "audio"),
    [
        (VideoTrack(3.3), AudioTrack(3.7)),
        (VideoTrack(2.0, Fraction(2)), AudioTrack(5.1, 16_000, layout="stereo")),
        (VideoTrack(2.0, Fraction(60), picture=moving_square(130, 50)), None),
        (None, AudioTrack(1.4, 48_000)),
        (VideoTrack(0.2), AudioTrack(0.3)),
        (VideoTrack(2.0, start=0.6), AudioTrack(2.0)),
        (VideoTrack(2.0), AudioTrack(2.0, start=0.7)),
        (VideoTrack(times=(0.0, 0.05, 1.2, 1.21, 2.9)), AudioTrack(1.0)),
    ],
)
@pytest.mark.parametrize(
    "settings",
    [CacheSettings(), CacheSettings(fps=25, size=48, sample_rate=22_050, aspect="crop")],
    ids=["usual", "other"],
)
def test_a_clip_is_what_media_decodes(
    tmp_path: Path, video: VideoTrack | None, audio: AudioTrack | None, settings: CacheSettings
) -> None:
    path = make_media(tmp_path / "a.mkv", video, audio)
    clip = made(path, settings)
    expected = decode(
        path, fps=settings.fps, size=settings.size, sample_rate=settings.sample_rate, aspect=settings.aspect
    )
    assert clip.settings == settings
    assert (clip.has_video, clip.has_audio) == (expected.frames is not None, expected.waveform is not None)
    if expected.frames is not None:
        found = clip.frames(instants(len(expected.frames), settings.fps))
        assert psnr(found, expected.frames) > 38
        np.testing.assert_array_equal(clip.frames([-5, 10**9]), found[[0, -1]])
    if expected.waveform is not None:
        assert clip.samples == len(expected.waveform)
        np.testing.assert_allclose(clip.sound(0, clip.samples), expected.waveform, atol=ROUNDING)


def test_sound_that_is_too_loud_is_cut_not_wrapped(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mkv", None, AudioTrack(1.0, 16_000, lambda times: np.sign(np.sin(900 * times))))
    expected = decode(path).waveform
    assert expected is not None and expected.max() == 1
    clip = made(path)
    np.testing.assert_allclose(clip.sound(0, clip.samples), np.clip(expected, -1, 1), atol=2 * ROUNDING)


def test_the_file_is_safetensors_as_written_down(tmp_path: Path) -> None:
    clip = made(make_media(tmp_path / "a.mkv", VideoTrack(2.0, Fraction(2)), AudioTrack(2.0)))
    path = tmp_path / "a.mkv.clip"
    arrays = load_file(path)
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "offsets": "uint64",
        "shown": "uint32",
        "picture_sums": "uint32",
        "sound_sums": "uint32",
        "sound": "int16",
        "pictures": "uint8",
    }
    assert list(arrays["shown"]) == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert clip.pictures == 4 and len(arrays["sound"]) == clip.samples
    assert arrays["offsets"][0] == 0 and arrays["offsets"][-1] == len(arrays["pictures"])
    head = int.from_bytes(path.read_bytes()[:8], "little")
    note = json.loads(json.loads(path.read_bytes()[8 : 8 + head])["__metadata__"]["avfeat"])
    assert note["settings"]["quality"] == 95 and note["video_end"] == 2 * MICROSECONDS and note["damage"] == []
    assert head % 8 == 0


def test_equal_pictures_are_stored_once(tmp_path: Path) -> None:
    still = np.full((48, 64, 3), 90, np.uint8)
    assert made(make_media(tmp_path / "a.mkv", VideoTrack(4.0, picture=lambda time: still))).pictures == 1


def test_the_same_media_gives_the_same_bytes(tmp_path: Path, clip: Path) -> None:
    for name in ("a", "b"):
        record(FileMedia(clip), CacheSettings(size=32), tmp_path / name, tmp_path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_does_not_fit_into_memory_goes_through_files(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(FileMedia(clip), CacheSettings(size=32), tmp_path / "a", tmp_path)
    monkeypatch.setattr(clip_writer, "_IN_MEMORY", 1000)
    record(FileMedia(clip), CacheSettings(size=32), tmp_path / "b", tmp_path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_names_of_clips_depend_on_content_and_every_setting() -> None:
    every = [
        CacheSettings(),
        CacheSettings(fps=9),
        CacheSettings(size=16),
        CacheSettings(sample_rate=8000),
        CacheSettings(aspect="crop"),
        CacheSettings(quality=1),
    ]
    names = {settings.clip_id(digest) for settings in every for digest in (b"1", b"2")}
    assert len(names) == 12 and all(len(name) == 32 for name in names)


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"size": 8}, {"quality": 101}, {"fps": 7.5}, {"aspect": "fit"}])
def test_settings_that_no_cache_can_have(wrong: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        CacheSettings(**wrong)  # type: ignore[arg-type]


def test_what_does_not_decode_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no media" * 100)
    with pytest.raises(MediaError):
        record(FileMedia(tmp_path / "a.mp4"), CacheSettings(), tmp_path / "a.clip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_files_that_are_no_clips(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(CacheError, match="no such clip"):
        Clip(tmp_path / "gone.clip")
    good = tmp_path / "a.clip"
    record(FileMedia(clip), CacheSettings(size=32), good, tmp_path)
    for data in (b"", b"text" * 99, good.read_bytes()[:-1]):
        (tmp_path / "b.clip").write_bytes(data)
        with pytest.raises(CacheError, match=r"b\.clip: not a clip that can be read"):
            Clip(tmp_path / "b.clip")
    data = bytearray(good.read_bytes())
    data[-5000:] = bytes(5000)
    (tmp_path / "c.clip").write_bytes(data)
    with pytest.raises(CacheError, match=r"c\.clip: a frame is damaged on disk"):
        Clip(tmp_path / "c.clip").frames([10**9])


def test_a_video_that_begins_late_is_padded_and_says_when_all_is_there(tmp_path: Path) -> None:
    path = clock(tmp_path / "a.mkv", video=3.0, audio=6.0, video_start=2.4)
    clip = made(path)
    assert clip.facts.begin == 2 * MICROSECONDS
    assert [number_of(pixels) for pixels in clip.frames([0, 1_000_000, 2_300_000])] == [0, 0, 0]
    assert number_of(clip.frames([5_300_000])[0]) > 60


def test_the_made_world_is_recorded_without_a_file(tmp_path: Path) -> None:
    video = plan(3)[1]
    record(SyntheticMedia(video), CacheSettings(size=48), tmp_path / "a.clip", tmp_path)
    clip, expected = Clip(tmp_path / "a.clip"), render(video, size=48)
    assert expected.frames is not None and expected.waveform is not None
    assert psnr(clip.frames(instants(len(expected.frames), 8)), expected.frames) > 36
    np.testing.assert_allclose(clip.sound(0, len(expected.waveform)), expected.waveform, atol=1 / 32_768)
    assert clip.facts.video_end == clip.facts.audio_end == 10 * MICROSECONDS


def test_the_made_world_has_the_aspect_of_the_settings(tmp_path: Path) -> None:
    video = next(
        video for video in plan(20) if Recording.from_video(video).width > Recording.from_video(video).height
    )
    record(SyntheticMedia(video), CacheSettings(1, 48, aspect="crop"), tmp_path / "a.clip", tmp_path)
    cropped, stretched = (render(video, fps=1, size=48, aspect=aspect).frames for aspect in ("crop", "stretch"))
    found = Clip(tmp_path / "a.clip").frames(instants(10, 1))
    assert cropped is not None and stretched is not None
    assert psnr(found, cropped) > 36 and psnr(stretched, cropped) < 30


# Random access


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return made(clock(tmp_path_factory.mktemp("clocks") / "a.mkv"), CacheSettings(size=48))


@given(start=st.integers(-300, 900).map(lambda number: number * 10_007), count=st.integers(1, 40_000))
def test_samples_come_from_their_time(clocked: Clip, start: int, count: int) -> None:
    found = clocked.sound(start, count)
    first = AudioSpec(16_000, count).position(start)
    positions = first + np.arange(count)
    inside = (positions >= 0) & (positions < clocked.samples)
    np.testing.assert_array_equal(found[~inside], 0)
    # A step of 16 bits is 0.14 ms of the ramp.
    np.testing.assert_allclose(time_of(found[inside]), positions[inside] / 16_000, atol=3e-4)


@given(
    start=st.integers(0, 300).map(lambda number: number * 10_007),
    count=st.integers(100, 16_000),
    speed=st.floats(1 / 3, 3),
)
def test_samples_at_another_speed_come_from_their_time(clocked: Clip, start: int, count: int, speed: float) -> None:
    found = clocked.sound(start, count, speed)
    times = start / MICROSECONDS + np.arange(count) * round(16_000 * speed) / 16_000**2
    # Where the clip begins or ends, the filter sees zeros.
    inside = (times > 0.02) & (times < 5.97)
    np.testing.assert_allclose(time_of(found[inside]), times[inside], atol=5e-4)


@given(
    start=st.integers(-100, 800).map(lambda number: number * 10_007),
    step=st.integers(1, 400).map(lambda number: number * 997),
    count=st.integers(1, 20),
)
def test_pictures_come_from_their_time(clocked: Clip, start: int, step: int, count: int) -> None:
    wanted = [start + index * step for index in range(count)]
    found = [number_of(pixels) for pixels in clocked.frames(wanted)]
    cells = [min(max(instant * 8 // MICROSECONDS, 0), 47) for instant in wanted]
    assert found == [on_screen((cell + 0.5) / 8, Fraction(25), 150) for cell in cells]
    assert [number_of(pixels) for pixels in clocked.frames(wanted[::-1])] == found[::-1]


def test_a_window_is_the_runtimes(tmp_path: Path, clip: Path) -> None:
    record(FileMedia(clip), CacheSettings(), tmp_path / "a.clip", tmp_path)
    prepared = Clip(tmp_path / "a.clip")
    # Outside the clip the runtime repeats its first and last frame, a cache its first and last picture.
    grid = Grid(2 * MICROSECONDS, 375_000, start=125_000, end=5 * MICROSECONDS, tail=0)
    windows = list(media_windows(clip, grid, VideoSpec(8, 16, 112), AudioSpec(16_000, 32_000)))[:-1]
    assert len(windows) > 5
    for window in windows:
        assert window.frames is not None and window.waveform is not None
        found = prepared.frames([window.start + offset for offset in instants(16, 8)])
        assert psnr(found, window.frames) > 38
        np.testing.assert_allclose(prepared.sound(window.start, 32_000), window.waveform, atol=ROUNDING)


def test_a_missing_stream_is_zeros(tmp_path: Path) -> None:
    silent = made(make_media(tmp_path / "v.mkv", VideoTrack(1.0)))
    blind = made(make_media(tmp_path / "a.mkv", None, AudioTrack(1.0)))
    assert not silent.has_audio and not silent.sound(0, 100).any()
    assert not blind.has_video and not blind.frames([0, 10]).any() and blind.sound(0, 9000).any()


# Speed


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.37, 2.0, 4.0])
def test_the_pitch_follows_the_speed_and_nothing_folds_back(tmp_path: Path, speed: float) -> None:
    tones = (500.0, 3300.0)
    path = make_media(
        tmp_path / "a.mkv",
        None,
        AudioTrack(
            9.0,
            16_000,
            lambda times: sum(0.3 * np.sin(2 * np.pi * tone * times) for tone in tones),
            codec="pcm_s16le",
        ),
    )
    found = made(path).sound(MICROSECONDS, 16_000, speed).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(found * np.hanning(16_000))) / 4000
    heard = [tone * speed for tone in tones if tone * speed < 7800]
    for tone in heard:
        assert spectrum[round(tone) - 2 : round(tone) + 3].max() == pytest.approx(0.3, rel=0.1)
    rest = np.ones(len(spectrum), dtype=bool)
    for tone in heard:
        rest[max(0, round(tone) - 8) : round(tone) + 9] = False
    assert spectrum[rest].max() < 0.003


def test_resampling_begins_where_its_input_begins() -> None:
    sound = chirps(3)
    times = np.arange(32_000) / 16_000
    for rate in (11_025, 20_000, 48_000):
        found = resample(sound(np.arange(2 * rate) / rate).astype(np.float32), rate, 16_000)
        assert abs(len(found) - 32_000) <= 2
        middle = slice(2000, 30_000)
        expected = sound(times)[middle]
        assert np.corrcoef(found[middle], expected)[0, 1] > 0.99


def test_damage_to_any_part_is_noticed(tmp_path: Path) -> None:
    made(
        make_media(tmp_path / "a.mkv", VideoTrack(0.6), AudioTrack(0.6)),
        CacheSettings(fps=4, size=16, sample_rate=1000),
    )
    whole, path = (tmp_path / "a.mkv.clip").read_bytes(), tmp_path / "damaged.clip"
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(CacheError, match=r"damaged\.clip: .*run avfeat prepare again"):
            Clip(path).verify()
    path.write_bytes(whole)
    Clip(path).verify()


def test_damage_is_noticed_by_who_reads_it_and_by_nobody_else(tmp_path: Path) -> None:
    made(make_media(tmp_path / "a.mkv", VideoTrack(2.0), AudioTrack(2.0)))
    path = tmp_path / "a.mkv.clip"
    expected = Clip(path)
    data: bytearray = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the last picture
    begin = len(data) - int(expected._offsets[-1]) - 2 * expected.samples
    data[begin] ^= 1  # of the first sample
    path.write_bytes(data)
    found = Clip(path)
    np.testing.assert_array_equal(found.frames([0]), expected.frames([0]))
    np.testing.assert_array_equal(found.sound(300_000, 9000), expected.sound(300_000, 9000))
    with pytest.raises(CacheError, match="a frame is damaged on disk"):
        found.frames([1_999_999])
    for start, count in ((0, 1), (-5000, 200), (255_000, 2)):
        with pytest.raises(CacheError, match="audio is damaged on disk"):
            found.sound(start, count)


def without_sums(path: Path) -> None:
    """Write a clip as versions without checksums did."""
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    header, end, kept = json.loads(data[8:size]), 0, []
    for name in [name for name in header if name != "__metadata__"]:
        begin, past = header[name]["data_offsets"]
        if name in clip_writer.SUMS:
            del header[name]
            continue
        kept.append(data[size + begin : size + past])
        header[name]["data_offsets"] = [end, end := end + past - begin]
    del header["__metadata__"]["crc32"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(kept))


def test_clips_without_checksums_are_read_as_before(tmp_path: Path) -> None:
    new = made(make_media(tmp_path / "a.mkv", VideoTrack(2.0), AudioTrack(2.0)))
    expected = new.frames([0, 10**6]), new.sound(-1000, 20_000)
    without_sums(tmp_path / "a.mkv.clip")
    old = Clip(tmp_path / "a.mkv.clip")
    old.verify()
    np.testing.assert_array_equal(old.frames([0, 10**6]), expected[0])
    np.testing.assert_array_equal(old.sound(-1000, 20_000), expected[1])
