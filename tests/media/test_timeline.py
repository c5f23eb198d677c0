"""Files whose time stamps are late, missing, guessed or broken."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media, moving_square
from test_frames import bar_code, read_code
from test_source import OneWay

from avfeat.grid import Grid
from avfeat.media import AudioSpec, MediaSummary, VideoSpec, decode, media_windows
from avfeat.media.source import open_media
from avfeat.media.timeline import Timeline

VIDEO, AUDIO = VideoSpec(8, 16, 32), AudioSpec(16_000, 32_000)


def cut(path: Path, **times: float) -> tuple[int, MediaSummary]:
    windows = media_windows(path, Grid.from_seconds(2.0, **times), VIDEO, AUDIO)
    return len(list(windows)), windows.outcome


@pytest.mark.parametrize("fps", [Fraction(1, 2), Fraction(1, 5)])
def test_pictures_that_come_minutes_late_in_the_file_are_waited_for(tmp_path: Path, fps: Fraction) -> None:
    """Encoders look ahead: at one frame in seconds, the packets of the pictures lag by minutes."""
    path = tmp_path / "late.ts"
    video = VideoTrack(seconds=300, fps=fps, picture=lambda t: bar_code(int(t)), options=(), pix_fmt="yuv444p")
    audio = AudioTrack(seconds=300, rate=8_000, codec="aac")
    prompt = make_media(tmp_path / "prompt.ts", video, audio)
    with av.open(str(prompt)) as source, av.open(str(path), "w", options={"max_interleave_delta": "1"}) as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        packets = [p for p in source.demux() if p.dts is not None]
        late = {"video": Fraction(90), "audio": Fraction(0)}
        packets.sort(key=lambda p: p.dts * p.time_base + late[p.stream.type])
        for packet in packets:
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    windows = list(media_windows(path, Grid.from_seconds(2.0), VIDEO, AUDIO))
    # Some containers keep the priming of AAC: 128 ms at 8 kHz.
    assert len(windows) in (150, 151)
    for window in windows[:150:10]:
        assert window.frames is not None and window.waveform is not None
        instant = window.start / 1e6 + 1 / 16 + 0.03
        assert abs(read_code(window.frames[0]) - int(instant * fps) / fps) <= 1 / fps


def test_avi_without_presentation_times_keeps_its_order_and_pace(tmp_path: Path) -> None:
    video = VideoTrack(
        seconds=3.0,
        picture=lambda t: bar_code(round(25 * t)),
        pix_fmt="yuv444p",
        options=(("crf", "0"), ("bf", "2"), ("g", "30"), ("preset", "medium")),
    )
    stored = make_media(tmp_path / "v.mp4", video)
    path = tmp_path / "v.avi"
    with av.open(str(stored)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        first = None
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            first = packet.dts if first is None else first
            packet.pts = packet.dts = packet.dts - first
            packet.stream = stream
            target.mux(packet)
    frames = decode(path, fps=25, size=None).frames
    assert frames is not None
    codes = [read_code(frame) for frame in frames]
    assert codes[:70] == list(range(codes[0], codes[0] + 70))


@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
def test_files_put_together_lose_nothing(tmp_path: Path, suffix: str) -> None:
    def part(name: str, seed: int) -> bytes:
        video = VideoTrack(
            seconds=3.0, picture=moving_square(seed=seed), codec="mpeg2video", options=(("b", "2M"),)
        )
        audio = AudioTrack(seconds=3.0, codec="mp2")
        return make_media(tmp_path / f"{name}{suffix}", video, audio).read_bytes()

    whole = tmp_path / f"both{suffix}"
    whole.write_bytes(part("a", 1) + part("b", 2))
    windows, outcome = cut(whole)
    assert windows == 3 and 5.8e6 < outcome.duration < 6.4e6
    assert any("jump" in note for note in outcome.damage)


def test_a_broken_first_time_stamp_makes_no_endless_timeline(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mkv", VideoTrack(seconds=3.0), AudioTrack(seconds=3.0))
    with open_media(path) as media:
        timeline = Timeline(media)

        def far(track, frame):  # type: ignore[no-untyped-def]
            if track.stream.type == "audio" and track.end is None:
                frame.pts += 4_000_000_000
            return Timeline._place(timeline, track, frame)

        timeline._place = far  # type: ignore[method-assign]
        times = [float(time) for time, _ in timeline.frames()]
    assert max(times) < 7 and timeline.duration() < 7
    assert any("jump" in note for note in timeline.damage)


@pytest.mark.parametrize("suffix", [".aac", ".mp3"])
def test_a_guessed_duration_is_no_promise(tmp_path: Path, suffix: str) -> None:
    def quiet_then_loud(times: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).uniform(-0.9, 0.9, len(times))
        return np.where(times < 12, 0.0, noise)

    codec = "aac" if suffix == ".aac" else "libmp3lame"
    path = make_media(tmp_path / f"a{suffix}", None, AudioTrack(16.0, 44_100, quiet_then_loud, codec=codec))
    _, outcome = cut(path)
    assert not outcome.damage and 15.9e6 < outcome.duration < 16.2e6


def test_an_index_behind_a_large_box_is_found_on_a_pipe(tmp_path: Path, clip: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(tmp_path / "last.mp4"), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in (p for p in source.demux() if p.dts is not None):
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    data = (tmp_path / "last.mp4").read_bytes()
    head = int.from_bytes(data[:4], "big")
    # Offsets in the index count from the start of the file: the large box takes the place of the small free one.
    free = int.from_bytes(data[head : head + 4], "big")
    assert data[head + 4 : head + 8] == b"free"
    box = (20_000).to_bytes(4, "big") + b"uuid" + bytes(19_992)
    moved = _shift_offsets(data, 20_000)
    piped = OneWay(moved[: head + free] + box + moved[head + free :], 1000)
    np.testing.assert_array_equal(decode(piped).frames, decode(clip).frames)


def _shift_offsets(data: bytes, by: int) -> bytes:
    out = bytearray(data)
    at = 0
    while (at := out.find(b"stco", at)) >= 0:
        count = int.from_bytes(out[at + 8 : at + 12], "big")
        for k in range(count):
            place = at + 12 + 4 * k
            value = int.from_bytes(out[place : place + 4], "big") + by
            out[place : place + 4] = value.to_bytes(4, "big")
        at += 4
    return bytes(out)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux' /proc")
def test_a_late_start_needs_no_memory_for_what_lies_before(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.flac", None, AudioTrack(900.0, 8_000, codec="flac"))
    code = (
        "import avfeat, re; e = avfeat.load(device='cpu'); n = len(list(e.stream({!r}, start={})));"
        "print(n, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for start in (0.0, 890.0):
        out = subprocess.run(
            [sys.executable, "-c", code.format(str(path), start)], capture_output=True, text=True, check=True
        )
        windows, peak = map(int, out.stdout.split())
        assert windows == (900 - start) / 2
        peaks.append(peak / 1024)
    assert peaks[1] < peaks[0] + 25
