from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat import MediaError
from avfeat.media import decode, probe


class OneWay(io.RawIOBase):
    """A file object that can only be read, in small pieces, as a pipe is."""

    def __init__(self, data: bytes, piece: int = 1000) -> None:
        self._data = io.BytesIO(data)
        self._piece = piece

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(self._piece if size < 0 else min(size, self._piece))


def index_last(path: Path, out: Path) -> Path:
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    assert out.read_bytes().index(b"mdat") < out.read_bytes().index(b"moov")
    return out


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_paths_bytes_files_and_pipes_give_the_same(tmp_path: Path, suffix: str) -> None:
    path = make_media(tmp_path / f"v{suffix}", VideoTrack(seconds=2.0), AudioTrack(seconds=2.0))
    data = path.read_bytes()
    expected = decode(path)
    with path.open("rb") as file:
        file.seek(10)
        sources = [str(path), data, io.BytesIO(data), file, OneWay(data)]
        for source in sources:
            found = decode(source)
            np.testing.assert_array_equal(found.frames, expected.frames)
            np.testing.assert_array_equal(found.waveform, expected.waveform)


def test_an_mp4_with_its_index_last_is_read_from_a_pipe(tmp_path: Path, clip: Path) -> None:
    path = index_last(clip, tmp_path / "last.mp4")
    expected, found = decode(path), decode(OneWay(path.read_bytes(), 70_000))
    np.testing.assert_array_equal(found.frames, expected.frames)
    np.testing.assert_array_equal(found.waveform, expected.waveform)
    assert found.duration == expected.duration


def test_a_real_pipe_is_read_while_it_is_written(clip: Path) -> None:
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(clip.read_bytes())

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reading, "rb") as file:
        found = decode(file)
    thread.join()
    np.testing.assert_array_equal(found.frames, decode(clip).frames)


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are Unix's")
def test_a_named_pipe_may_have_its_index_last(tmp_path: Path, clip: Path) -> None:
    path = index_last(clip, tmp_path / "last.mp4")
    os.mkfifo(tmp_path / "fifo")
    thread = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(path.read_bytes(),), daemon=True)
    thread.start()
    found = decode(tmp_path / "fifo")
    thread.join(60)
    # A name says what it is: this format has no other sign.
    sound = make_media(tmp_path / "s.wav", None, AudioTrack(seconds=1.0, codec="pcm_s16le"))
    with av.open(str(sound)) as wav:
        raw = np.concatenate([frame.to_ndarray().reshape(-1) for frame in wav.decode(audio=0)]).tobytes()
    (tmp_path / "plain.sln").write_bytes(raw)
    os.mkfifo(tmp_path / "fifo.sln")
    thread = threading.Thread(target=(tmp_path / "fifo.sln").write_bytes, args=(raw,), daemon=True)
    thread.start()
    expected = decode(tmp_path / "plain.sln").waveform
    np.testing.assert_array_equal(decode(tmp_path / "fifo.sln").waveform, expected)
    thread.join(60)
    with (tmp_path / "plain.sln").open("rb") as file:
        np.testing.assert_array_equal(decode(file).waveform, expected)
    np.testing.assert_array_equal(found.frames, decode(clip).frames)


@pytest.mark.parametrize("name", ["a b.mp4", "-dash.mp4", "päß 漢字.mp4", "a:b.mp4", "[x]%d.mp4"])
def test_names_are_names_and_nothing_else(
    tmp_path: Path, clip: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(name).video is not None


def test_failures_carry_a_reason_and_the_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    cases = {
        "missing.mp4": "not_found",
        "empty.mp4": "empty",
        "text.mp4": "unreadable",
        "words.srt": "no_streams",
        ".": "unreadable",
    }
    for name, reason in cases.items():
        path = str(tmp_path / name)
        with pytest.raises(MediaError) as caught:
            decode(path)
        assert (caught.value.reason, caught.value.source) == (reason, path)
        assert path in str(caught.value)
    with pytest.raises(MediaError) as caught:
        decode(b"")
    assert caught.value.reason == "empty"
    with pytest.raises(MediaError) as caught:
        decode(OneWay(b""))
    assert caught.value.reason == "empty"


def test_a_header_without_media_is_unreadable(tmp_path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    (tmp_path / "header.mp4").write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(MediaError) as caught:
        decode(tmp_path / "header.mp4")
    assert caught.value.reason == "unreadable"


def test_an_attached_picture_is_no_video(tmp_path: Path) -> None:
    sound = make_media(tmp_path / "a.mp3", None, AudioTrack(seconds=1.0, codec="libmp3lame"))
    cover = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 200, dtype=np.uint8), format="rgb24")
    path = tmp_path / "covered.mp3"
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        audio = target.add_stream_from_template(source.streams.audio[0])
        picture = target.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        packets = picture.encode(cover.reformat(format="yuvj420p")) + picture.encode(None)
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = audio
                target.mux(packet)
        for packet in packets:
            target.mux(packet)
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["audio", "video"]
    found = decode(path)
    assert found.frames is None and found.waveform is not None


def test_probe_says_what_the_headers_say(clip: Path) -> None:
    info = probe(clip)
    assert info.video is not None and info.audio is not None
    assert (info.video.codec, info.video.width, info.video.height, info.video.fps) == ("h264", 96, 72, 25.0)
    assert (info.audio.codec, info.audio.sample_rate, info.audio.layout) == ("aac", 44_100, "mono")
    assert info.duration == pytest.approx(5.3, abs=0.03)
