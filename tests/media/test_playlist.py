"""HLS playlists that the caller has asked for: the files beside them, and nothing else."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat import MediaError
from avfeat.media import decode, probe

HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n"
END = "#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole transport stream, and with three segments of it in another one."""
    root = tmp_path_factory.mktemp("show")
    (root / "hls" / "deep").mkdir(parents=True)
    make_media(root / "whole.ts", VideoTrack(6.0), AudioTrack(6.0, codec="mp2"))
    data = (root / "whole.ts").read_bytes()
    packets = len(data) // 188
    for number in range(3):
        part = data[188 * (packets * number // 3) : 188 * (packets * (number + 1) // 3)]
        (root / "hls" / "deep" / f"{number}.ts").write_bytes(part)
    return root


def listing(*names: str, end: str = END) -> str:
    return HEAD + "".join(f"#EXTINF:2.0,\n{name}\n" for name in names) + end


def written(show: Path, text: str) -> Path:
    path = show / "hls" / "list.m3u8"
    path.write_text(text)
    return path


OWN = ("deep/0.ts", "deep/1.ts", "deep/2.ts")


def test_a_playlist_is_what_its_files_are_together(show: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = decode(show / "whole.ts")
    path = written(show, listing(*OWN))
    monkeypatch.chdir(show / "hls")
    for source in (path, "list.m3u8"):
        found = decode(source, playlist=True)
        assert (found.duration, found.damaged) == (expected.duration, False)
        np.testing.assert_array_equal(found.frames, expected.frames)
        np.testing.assert_array_equal(found.waveform, expected.waveform)
    assert probe(path, playlist=True).format == "hls"


def test_the_command_embeds_what_a_playlist_lists(show: Path, avfeat_command, tmp_path: Path) -> None:
    path = written(show, listing(*OWN))
    assert avfeat_command("embed", path, "-o", tmp_path / "refused.npz").status == 1
    assert avfeat_command("embed", path, "--playlist", "-o", tmp_path / "list.npz").status == 0
    whole = avfeat_command("embed", show / "whole.ts", "-o", tmp_path / "whole.npz")
    assert whole.status == 0 and not (tmp_path / "refused.npz").exists()
    of_list, of_whole = (np.load(tmp_path / f"{name}.npz") for name in ("list", "whole"))
    for name in ("start", "video", "audio"):
        np.testing.assert_array_equal(of_list[name], of_whole[name])


def test_a_master_playlist_leads_to_another(show: Path) -> None:
    written(show, listing(*OWN))
    master = show / "hls" / "master.m3u8"
    master.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n")
    assert decode(master, playlist=True).duration == decode(show / "whole.ts").duration


def test_without_being_asked_for_it_is_refused_with_the_remedy(show: Path) -> None:
    path = written(show, listing(*OWN))
    with pytest.raises(MediaError, match=r"not followed: name the media themselves; --playlist .* reads"):
        decode(path)
    for source in (path.read_bytes(), path.open("rb")):
        with pytest.raises(MediaError, match="not followed"):
            decode(source, playlist=True)


@pytest.mark.parametrize("place", [0, 1, 3], ids=["first", "second", "last"])
@pytest.mark.parametrize(
    "other", ["../whole.ts", "{root}/whole.ts", "file://{root}/whole.ts", "http://127.0.0.1:{port}/a.ts", "link.ts"]
)
def test_other_files_and_addresses_are_refused(show: Path, other: str, place: int) -> None:
    (show / "hls" / "link.ts").unlink(missing_ok=True)
    if other == "link.ts":
        (show / "hls" / "link.ts").symlink_to(show / "whole.ts")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        names = list(OWN)
        names.insert(place, other.format(root=show, port=server.getsockname()[1]))
        with pytest.raises(MediaError, match=r"list\.m3u8: names .*no file in its own folder or below") as caught:
            decode(written(show, listing(*names)), playlist=True)
        assert caught.value.reason == "unreadable"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("kind", ["missing", "fifo", "folder"])
def test_a_file_that_cannot_be_read_is_said(show: Path, kind: str) -> None:
    if kind == "fifo" and sys.platform == "win32":
        pytest.skip("FIFOs are Unix's")
    if kind == "fifo":
        os.mkfifo(show / "hls" / "fifo.ts")
    (show / "hls" / "folder.ts").mkdir(exist_ok=True)
    with pytest.raises(MediaError, match=rf"names .*{kind}\.ts, which cannot be read"):
        decode(written(show, listing(*OWN, f"{kind}.ts")), playlist=True)


def test_a_live_playlist_is_refused_and_not_waited_for(show: Path) -> None:
    with pytest.raises(MediaError, match=r"has no end \(EXT-X-ENDLIST\)"):
        decode(written(show, listing(*OWN, end="")), playlist=True)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n", HEAD + END, HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="k"\n' + listing(*OWN)]
)
def test_playlists_that_give_nothing(show: Path, text: str) -> None:
    (show / "hls" / "k").write_bytes(bytes(16))
    with pytest.raises(MediaError):
        decode(written(show, text), playlist=True)


def test_other_playlists_are_refused_all_the_same(show: Path) -> None:
    path = show / "hls" / "list.ffconcat"
    path.write_text("ffconcat version 1.0\nfile deep/0.ts\n")
    with pytest.raises(MediaError, match="not followed"):
        decode(path, playlist=True)
