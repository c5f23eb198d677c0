"""``avfeat search`` and ``avfeat.search`` on real files."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import ArgumentError, MediaError, OutputError
from avfeat.index import approximate
from avfeat.index.search import Searcher
from avfeat.reading.lance import open_windows
from avfeat.writers import lance

ODD = "</script><img src=x onerror=alert(1)>#1?.mp4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clip: Path, other_clip: Path) -> Path:
    """A folder with clips, one with an odd name, and both kinds of index of them; a sound and a picture beside."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "clips").mkdir()
    shutil.copy(clip, folder / "clips" / ODD.replace("/", "_"))
    shutil.copy(other_clip, folder / "clips" / "other.mkv")
    make_media(folder / "clips" / "sound.wav", audio=AudioTrack(3.0, 8000, chirps(9), codec="pcm_s16le"))
    third = moving_square(80, 80, seed=3)
    make_media(folder / "clips" / "quiet.mp4", VideoTrack(4.0, picture=third))
    make_media(folder / "part.mp4", VideoTrack(2.0, picture=third))
    picture = av.VideoFrame.from_ndarray(third(1.0), format="rgb24")
    with av.open(str(folder / "frame.png"), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("png", 1)
        stream.width, stream.height, stream.pix_fmt = 80, 80, "rgb24"
        out.mux([*stream.encode(picture), *stream.encode(None)])
    return folder


@pytest.fixture(scope="module", autouse=True)
def indexes(folder: Path, encoder: avfeat.Encoder) -> None:
    from avfeat.job import EmbedSettings, make_plan, run

    for name in ("all.lance", "all.parquet"):
        assert len(list(run(make_plan([str(folder / "clips")], str(folder / name)), encoder, EmbedSettings()))) == 4


@pytest.fixture(params=["lance", "parquet"])
def index(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / f"all.{request.param}"


def test_a_clip_is_found_in_an_index(index: Path, folder: Path, encoder: avfeat.Encoder) -> None:
    query = folder / "clips" / "other.mkv"
    best, *others = avfeat.search(index, query, encoder=encoder)
    assert (best.file, best.start) == (str(query), 0.0)
    assert best.end == pytest.approx(3.0, abs=0.1) and best.score > 0.99
    assert others and all(hit.score < best.score for hit in others)
    assert avfeat.search(index, encoder.embed(query), top=1)[0].file == best.file


def test_a_sound_and_a_picture_are_found(
    index: Path, folder: Path, encoder: avfeat.Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    searcher = Searcher(index, encoder)
    assert searcher.find(folder / "clips" / "sound.wav", "audio")[0].file.endswith("sound.wav")
    assert searcher.find(folder / "clips" / "sound.wav", "both")[0].file.endswith("sound.wav")
    assert searcher.find(folder / "part.mp4")[0].file.endswith("quiet.mp4")
    # A picture stands still: it is compared with what is seen, and never with a sound alone.
    seen = searcher.find(folder / "frame.png", "video")
    assert {Path(hit.file).suffix for hit in seen} == {".mp4", ".mkv"} and seen[0].score > 0.5
    assert [line.split(";")[0] for line in caplog.messages] == [
        f"{folder / 'frame.png'}: is one frame, in which nothing moves"
    ]
    # What is heard is compared with what is seen: of a sound alone, with clips that have pictures.
    across = searcher.find(folder / "clips" / "sound.wav", "across")
    assert {Path(hit.file).suffix for hit in across} == {".mp4", ".mkv"}


def test_what_cannot_be_compared_is_said(
    index: Path, folder: Path, encoder: avfeat.Encoder, audio_alone: Path
) -> None:
    searcher = Searcher(index, encoder)
    with pytest.raises(ArgumentError, match=r"sound\.wav: has no video to search by; search by audio"):
        searcher.find(folder / "clips" / "sound.wav", "video")
    with pytest.raises(ArgumentError, match="by must be one of video, audio, both, across, text, not 'colour'"):
        searcher.find("x", "colour")
    with pytest.raises(MediaError, match="no such file"):
        searcher.find("nowhere.mp4")
    if not hasattr(encoder, "embed_text"):
        with pytest.raises(ArgumentError, match="avfeat-base: has no text tower"):
            searcher.find("a dog barks", "text")
    foreign = replace(encoder.embed(folder / "part.mp4"), bundle="f" * 64)
    with pytest.raises(ArgumentError, match=r"all\.\w+: was made with the bundle .*part\.mp4.*two bundles"):
        searcher.find(foreign)
    with avfeat.load(audio_alone) as other, pytest.raises(ArgumentError, match=r"the encoder .audio-only. is with"):
        avfeat.search(index, folder / "part.mp4", encoder=other)


def test_text_is_compared_with_what_is_seen_and_heard(index: Path, encoder: avfeat.Encoder, monkeypatch) -> None:
    searcher = Searcher(index, encoder)
    rows = searcher.collection.vectors["audio"].rows
    sound = next(n for n, name in enumerate(searcher.collection.sources) if name.endswith("sound.wav"))
    wanted = rows[searcher.collection.rows_of(sound)][:1]
    monkeypatch.setattr(avfeat.Encoder, "embed_text", lambda self, texts: wanted, raising=False)
    best = searcher.find("words", "text")[0]
    assert (Path(best.file).name, best.start, best.score) == ("sound.wav", 0.0, pytest.approx(1, abs=1e-4))
    assert best.end <= 3.0


def test_an_index_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"text")
    for name, sentence in (("a.npz", "is no index"), ("b.lance", "no such index"), ("a.parquet", "is not what")):
        with pytest.raises(avfeat.AvfeatError, match=sentence):
            avfeat.search(tmp_path / name, "x.mp4")


def test_a_table_that_does_not_say_its_bundle_is_refused(folder: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(folder / "all.parquet")
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), tmp_path / "a.parquet")
    with pytest.raises(OutputError, match="does not say which bundle"):
        avfeat.search(tmp_path / "a.parquet", "x.mp4")


def test_a_large_index_is_searched_by_its_nearest_vectors(
    folder: Path, encoder: avfeat.Encoder, monkeypatch
) -> None:
    monkeypatch.setattr(lance, "MANY", 5)
    monkeypatch.setattr(approximate, "_FILES", 2)
    exact = Searcher(folder / "all.parquet", encoder)
    searcher = Searcher(folder / "all.lance", encoder)
    assert len(searcher.collection.sources) == 1
    for name in ("clips/other.mkv", "part.mp4"):
        assert searcher.find(folder / name)[0] == exact.find(folder / name)[0]
        assert len({hit.file for hit in searcher.find(folder / name)}) == 2


def test_a_large_index_without_sound_is_indexed(
    folder: Path, encoder: avfeat.Encoder, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lance, "MANY", 1)
    with lance.open_index(tmp_path / "a.lance", encoder.bundle.sha256, ["a", "b"], ()) as index:
        for key, name in (("a", "clips/quiet.mp4"), ("b", "part.mp4")):
            index.put(key, encoder.embed(folder / name))
    there = {column for one in open_windows(tmp_path / "a.lance").list_indices() for column in one.columns}
    assert there == {"source", "video_shared"}
    best = avfeat.search(tmp_path / "a.lance", folder / "part.mp4", encoder=encoder)[0]
    assert best.file == str(folder / "part.mp4")


def test_the_command_prints_writes_and_draws(index: Path, folder: Path, tmp_path: Path, avfeat_command) -> None:
    ran = avfeat_command(
        "search",
        index,
        folder / "clips" / ODD.replace("/", "_"),
        "--top",
        3,
        "--per-file",
        1,
        "--json",
        "a.json",
        "--html",
        "a.html",
    )
    assert ran.status == 0, ran.err
    found = json.loads(Path("a.json").read_text())
    assert [sorted(hit) for hit in found["hits"]] == [["end", "file", "score", "start"]] * 3
    assert found["hits"][0]["file"].endswith("1?.mp4") and found["hits"][0]["score"] > 0.99
    assert len(ran.out.splitlines()) == 4
    page = Path("a.html").read_text()
    assert "<img src=x" not in page and "onerror=alert(1)&gt;" in page and "<script" not in page
    # A player for what browsers play, with its frame; frames for what they do not.
    assert re.search(
        r'<video controls preload="none" src="\./[^"]*%231%3F\.mp4#t=0\.000,5\.\d+" poster="data:image/jpeg', page
    )
    assert 'class="many"' in page or "other.mkv" not in page


def test_json_on_stdout_is_all_that_is_there(folder: Path, avfeat_command) -> None:
    ran = avfeat_command("search", folder / "all.parquet", folder / "part.mp4", "--json", "-", "--top", 1)
    assert len(json.loads(ran.out)["hits"]) == 1
    wrong = avfeat_command("search", folder / "all.parquet", folder / "part.mp4", "--model", "base-int8")
    assert (wrong.status, "name it with --model" in wrong.err) == (2, True)


def test_frames_are_of_their_time(folder: Path) -> None:
    from avfeat.index.frames import frame_at

    def decoded(data: bytes) -> np.ndarray:
        import io

        with av.open(io.BytesIO(data)) as picture:
            return next(picture.decode(video=0)).to_ndarray(format="rgb24").astype(int)

    picture = moving_square(80, 80, seed=3)
    for seconds in (0.0, 1.3, 3.9):
        frame = frame_at(folder / "clips" / "quiet.mp4", seconds)
        assert frame is not None
        assert np.abs(decoded(frame) - picture(seconds)).mean() < 8
        assert (
            np.abs(decoded(frame) - picture(seconds + 1)).mean() > np.abs(decoded(frame) - picture(seconds)).mean()
        )
    assert frame_at(folder / "clips" / "sound.wav", 1.0) is None
