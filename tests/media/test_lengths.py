"""What is no damage: lengths that are placeholders, empty packets, late beginnings, chains. What is no health."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media
from test_source import OneWay

from avfeat import MediaError
from avfeat.media import decode
from avfeat.media.lengths import states_nothing

ENDLESS = b"\xff\xff\xff\xff"


class Pipe(io.RawIOBase):
    """What a muxer writes to when it cannot come back."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data
        return len(data)


def piped(path: Path, form: str) -> bytes:
    """The streams of ``path`` as they are written to a pipe."""
    pipe = Pipe()
    with av.open(str(path)) as source, av.open(pipe, "w", format=form) as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return bytes(pipe.data)


def wav(folder: Path, seconds: float = 3.0) -> bytes:
    return make_media(folder / "a.wav", None, AudioTrack(seconds, 16_000, codec="pcm_s16le")).read_bytes()


def with_sizes(data: bytes, whole: int, part: int) -> bytes:
    """A WAV with these sizes of the whole and of the samples."""
    out = bytearray(data)
    out[4:8] = whole.to_bytes(4, "little")
    at = out.index(b"data") + 4
    out[at : at + 4] = part.to_bytes(4, "little")
    return bytes(out)


@pytest.mark.parametrize(
    ("whole", "part"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (0, 0)],
)
def test_a_wav_from_a_pipe_is_as_long_as_it_is(tmp_path: Path, whole: int, part: int) -> None:
    data = with_sizes(wav(tmp_path), whole, part)
    for source in (data, OneWay(data)):
        found = decode(source)
        assert not found.damaged and found.duration == pytest.approx(3.0, abs=0.01)


def test_a_wav_that_says_its_length_and_is_cut_is_damaged(tmp_path: Path) -> None:
    data = wav(tmp_path)
    assert decode(data[: len(data) // 2]).damaged
    assert not decode(data).damaged


@pytest.mark.parametrize(
    ("suffix", "form", "codec"),
    [
        (".wav", "wav", "pcm_s16le"),
        (".au", "au", "pcm_s16be"),
        (".caf", "caf", "pcm_s16le"),
        (".flac", "flac", "flac"),
        (".mkv", "matroska", "flac"),
    ],
)
def test_sound_written_to_a_pipe_is_no_damage(tmp_path: Path, suffix: str, form: str, codec: str) -> None:
    data = piped(make_media(tmp_path / f"a{suffix}", None, AudioTrack(3.0, 16_000, codec=codec)), form)
    for source in (data, OneWay(data)):
        found = decode(source)
        assert not found.damaged and found.duration == pytest.approx(3.0, abs=0.01)


def test_a_w64_without_a_length_is_no_damage(tmp_path: Path) -> None:
    data = bytearray(make_media(tmp_path / "a.w64", None, AudioTrack(3.0, 16_000, codec="pcm_s16le")).read_bytes())
    # FFmpeg does not open a W64 of the very largest size, as it writes it itself.
    for at in (16, data.index(b"data\xf3") + 16):
        data[at : at + 8] = (2**63 - 4096).to_bytes(8, "little")
    found = decode(bytes(data))
    assert not found.damaged and found.duration == pytest.approx(3.0, abs=0.01)


def test_an_avi_written_to_a_pipe_is_no_damage(tmp_path: Path) -> None:
    video = VideoTrack(seconds=4.0, codec="mpeg4", options=())
    data = piped(make_media(tmp_path / "v.avi", video, AudioTrack(4.0, codec="mp2")), "avi")
    assert states_nothing(data)
    for source in (data, OneWay(data)):
        found = decode(source)
        assert not found.damaged and found.duration == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (4, 0), (0, 16)])
def test_a_transport_stream_is_a_whole_number_of_its_packets(tmp_path: Path, before: int, behind: int) -> None:
    # Blu-ray puts a clock of 4 bytes before each packet of 188, broadcasts 16 bytes of error correction behind it.
    plain = make_media(tmp_path / "v.ts", None, AudioTrack(3.0, codec="mp2")).read_bytes()
    packets = [plain[at : at + 188] for at in range(0, len(plain), 188)]
    data = b"".join(bytes(before) + packet + bytes(behind) for packet in packets)
    assert not decode(data).damaged
    assert decode(data[:-7]).damaged


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_a_chain_of_ogg_files_is_legal(tmp_path: Path, codec: str) -> None:
    parts = [
        make_media(tmp_path / f"{k}.ogg", None, AudioTrack(2.0, 48_000, codec=codec)).read_bytes() for k in range(3)
    ]
    found = decode(b"".join(parts))
    assert not found.damaged and found.duration == pytest.approx(6.0, abs=0.1)
    assert found.waveform is not None
    assert all(np.abs(found.waveform[16_000 * k : 16_000 * (k + 1)]).max() > 0.1 for k in range(6))


def fragments(path: Path) -> tuple[bytes, list[bytes]]:
    """A fragmented mp4 as its first boxes and its fragments."""
    data = path.read_bytes()
    head, parts, at = b"", [], 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        box = data[at : at + size]
        if kind in (b"ftyp", b"moov"):
            head += box
        elif kind == b"moof":
            parts.append(box)
        elif kind == b"mdat":
            parts[-1] += box
        at += size
    return head, parts


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov+default_base_moof", "frag_keyframe+dash"])
def test_fragments_joined_late_are_no_damage(tmp_path: Path, flags: str) -> None:
    whole = make_media(tmp_path / "v.mp4", VideoTrack(seconds=6.0, options=(("g", "25"), ("bf", "2"))))
    path = tmp_path / "fragments.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": flags}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    head, parts = fragments(path)
    assert len(parts) >= 5
    assert not decode(head + b"".join(parts)).damaged
    found = decode(head + b"".join(parts[2:]))
    assert not found.damaged
    assert found.duration == pytest.approx(6.0 - 2.0, abs=0.2)


def test_a_matroska_file_that_begins_late_is_no_damage(tmp_path: Path) -> None:
    path = make_media(tmp_path / "v.mkv", VideoTrack(seconds=3.0, start=4.2), AudioTrack(3.0, start=4.2))
    found = decode(path)
    assert not found.damaged and found.duration == pytest.approx(3.0, abs=0.1)


def no_sound(data: bytes) -> bytes:
    """A WAV that claims 33 channels, which its own bytes a second belie."""
    out = bytearray(data)
    out[22:24] = (33).to_bytes(2, "little")
    return bytes(out)


@pytest.mark.parametrize("spoil", [no_sound])
def test_media_in_which_nothing_is_heard_or_seen_are_a_failure(
    tmp_path: Path, spoil: Callable[[bytes], bytes], encoder
) -> None:
    data = spoil(wav(tmp_path))
    with pytest.raises(MediaError, match="nothing in it can be seen or heard") as caught:
        encoder.embed(data)
    assert caught.value.reason == "empty"
    with pytest.raises(MediaError, match="nothing in it can be seen or heard"):
        list(encoder.stream(data))


@pytest.mark.parametrize(
    ("head", "nothing"),
    [
        (b"RIFF\xff\xff\xff\xffAVI LIST", True),
        (b"RIFF\x00\x00\x00\x00AVI LIST", True),
        (b"RIFF\x00\x10\x00\x00AVI LIST", False),
        (b"RF64\xff\xff\xff\xffWAVEds64" + bytes(20), True),
        (b".snd\x00\x00\x00\x18" + ENDLESS, True),
        (b".snd\x00\x00\x00\x18\x00\x00\x10\x00", False),
        (b".snd\x00\x00\x00\x18" + 0x7FFF0000.to_bytes(4, "big"), True),
        (b".snd\x00\x00\x00\x18" + 0x7FFEFFFF.to_bytes(4, "big"), False),
        (b"caff\x00\x01\x00\x00data" + (1 << 60).to_bytes(8, "big"), True),
        (b"caff\x00\x01\x00\x00data" + ((1 << 60) - 1).to_bytes(8, "big"), False),
        (b"FORM\x00\x00\x00\x04AIFF", True),
        (b"FORM\x00\x00\x10\x00AIFF", False),
        (b"caff\x00\x01\x00\x00data" + 2 * ENDLESS, True),
        (b"FORM\x00\x00\x00\x00AIFF", True),
        (b"\x1aE\xdf\xa3", False),
        (b"", False),
        (b"RIFF", False),
    ],
)
def test_placeholders_are_known_by_the_first_bytes(head: bytes, nothing: bool) -> None:
    assert states_nothing(head) is nothing
