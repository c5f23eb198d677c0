"""Files that name other files or addresses are no media, whatever they are called and however they come in."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from av.format import formats_available
from making import AudioTrack, VideoTrack, make_media
from test_source import OneWay

from avfeat import MediaError
from avfeat.media import decode, probe
from avfeat.media.containers import OPENED

SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:4.0,\n{where}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT4S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1000"><BaseURL>{where}</BaseURL>'
    '<SegmentBase indexRange="0-100"/></Representation></AdaptationSet></Period></MPD>'
)
CONCAT = "ffconcat version 1.0\nfile {where}\n"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{where}\n"


class Named(io.BytesIO):
    """Bytes with a name, as an upload has one."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def ways(data: bytes, path: Path, suffix: str) -> list[Callable[[], Any]]:
    return [
        lambda: path,
        lambda: data,
        lambda: io.BytesIO(data),
        lambda: Named(data, f"upload{suffix}"),
        lambda: OneWay(data),
        lambda: path.open("rb"),
    ]


@pytest.mark.parametrize("text", [SDP, HLS, MASTER, DASH, CONCAT], ids=["sdp", "hls", "master", "dash", "concat"])
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".sdp", ".mpd", ".ffconcat"])
def test_directions_are_not_followed(
    tmp_path: Path, clip: Path, text: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real.mp4").write_bytes(clip.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        for where in ("real.mp4", f"http://127.0.0.1:{port}/real.mp4", (tmp_path / "real.mp4").as_uri()):
            data = text.format(where=where, port=port).encode()
            path = tmp_path / f"upload{suffix}"
            path.write_bytes(data)
            for way in ways(data, path, suffix):
                with pytest.raises(MediaError) as caught:
                    decode(way())
                assert caught.value.reason == "unreadable"
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_refusal_says_why(tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text(CONCAT.format(where="real.mp4"))
    with pytest.raises(MediaError, match=r"list\.mp4: .*playlists.*not followed: name the media themselves\.$"):
        decode(tmp_path / "list.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are Unix's")
def test_a_named_pipe_gives_no_directions_either(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    text = SDP.format(port=5000).encode()
    thread = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(text,), daemon=True)
    thread.start()
    with pytest.raises(MediaError):
        decode(tmp_path / "fifo")
    thread.join(60)


def test_a_movie_opens_no_file_that_it_refers_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QuickTime's data references may lie in other files (``dref`` with an ``alis`` or ``url`` of its own)."""
    monkeypatch.chdir(tmp_path)
    movie = make_media(tmp_path / "v.mov", VideoTrack(seconds=1.0))
    data = bytearray(movie.read_bytes())
    at = data.index(b"dref") + 12
    # Not "in this file" (flag 1), but somewhere else.
    flags = at + 8
    assert data[at + 4 : at + 8] in (b"url ", b"alis") and data[flags + 3] == 1
    data[flags + 3] = 0
    assert probe(bytes(data)).video is not None


def test_nothing_that_names_other_files_is_on_the_list() -> None:
    followers = {
        "concat", "dash", "hls", "imf", "image2", "image2pipe", "lavfi", "mlv", "rtp", "rtsp", "sap", "sdp", "avs",
        "tedcaptions", "vobsub", "webm_dash_manifest", "ffmetadata", "fbdev", "x11grab", "video4linux2", "v4l2",
        "alsa", "oss", "kmsgrab", "data", "rawvideo", "tty", "applehttp", "mpjpeg",
    }  # fmt: skip
    assert not OPENED & followers
    assert {name for group in formats_available for name in group.split(",")} >= OPENED


@pytest.mark.parametrize(
    ("suffix", "video", "audio"),
    [
        (".mp4", "libx264", "aac"),
        (".mov", "mpeg4", "pcm_s16le"),
        (".mkv", "libx264", "flac"),
        (".webm", "libvpx", "libopus"),
        (".avi", "mpeg4", "mp2"),
        (".ts", "libx264", "mp2"),
        (".mpg", "mpeg2video", "mp2"),
        (".flv", "flv", "libmp3lame"),
        (".wmv", "wmv2", "libmp3lame"),
        (".ogg", None, "flac"),
        (".nut", "mpeg4", "mp2"),
        (".mp3", None, "libmp3lame"),
        (".aac", None, "aac"),
        (".ac3", None, "ac3"),
        (".flac", None, "flac"),
        (".wav", None, "pcm_s16le"),
        (".w64", None, "pcm_s16le"),
        (".aiff", None, "pcm_s16be"),
        (".caf", None, "pcm_s16le"),
        (".au", None, "pcm_s16be"),
        (".h264", "libx264", None),
        (".m2v", "mpeg2video", None),
        (".gif", "gif", None),
    ],
)
def test_media_of_every_usual_kind_are_opened(
    tmp_path: Path, suffix: str, video: str | None, audio: str | None
) -> None:
    pixels = "rgb8" if video == "gif" else "yuv420p"
    seen = None if video is None else VideoTrack(seconds=1.0, codec=video, pix_fmt=pixels, options=())
    rate = 48_000 if audio == "libopus" else 44_100
    path = make_media(tmp_path / f"a{suffix}", seen, None if audio is None else AudioTrack(1.0, rate, codec=audio))
    for source in (path, path.read_bytes()):
        found = probe(source)
        assert (found.video is not None, found.audio is not None) == (video is not None, audio is not None)
