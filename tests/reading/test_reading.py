"""What each format keeps of an embedding, and what is said of files that are not right."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import avfeat
from avfeat import ArgumentError, BackendError, Embedding, OutputError
from avfeat.stamp import Stamp
from avfeat.writers import FORMATS
from avfeat.writers.journal import OutputJournal

VECTORS = ("video", "audio", "video_shared", "audio_shared")
KEPT = ["npz", "parquet", "h5"]
TABLES = ["jsonl", "parquet", "h5"]
# What no line of JSON says.
UNSAID = {"bundle", "duration", "damaged", "damage", "choice", "stamp"}


def embedding(count: int = 4, source: str = "a folder/ü—日本.mp4", seed: int = 0) -> Embedding:
    """Video is missing in the last window, audio in the first."""
    rng = np.random.default_rng(seed)
    values = {
        name: rng.standard_normal((count, 6 if "shared" in name else 9)).astype(np.float32) for name in VECTORS
    }
    has_video, has_audio = np.ones(count, bool), np.ones(count, bool)
    has_video[-1], has_audio[0] = False, False
    for name, rows in values.items():
        rows[~(has_video if name.startswith("video") else has_audio)] = 0
    start = 0.1 * np.arange(count) - 0.1
    return Embedding(
        start=start,
        end=start + 2,
        has_video=has_video,
        has_audio=has_audio,
        source=source,
        bundle="c0ffee" * 10 + "c0de",
        seconds=2.0,
        hop=0.1,
        duration=2.345678 + seed,
        damaged=bool(seed % 2),
        damage=("a corrupt packet",) * (seed % 2),
        choice={"audio_track": 1},
        stamp=Stamp(10, 123456789012345678, "ab" * 32),
        **values,
    )


def check_same(found: Embedding, expected: Embedding, but: set[str] | frozenset[str] = frozenset()) -> None:
    for field in fields(Embedding):
        if field.name in but:
            continue
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, field.name)
        else:
            assert one == other, field.name


@pytest.mark.parametrize("form", KEPT)
def test_an_embedding_is_read_as_it_was_saved(tmp_path: Path, form: str) -> None:
    saved = embedding()
    saved.save(tmp_path / f"a.{form}")
    check_same(avfeat.read(tmp_path / f"a.{form}"), saved)


def test_json_lines_give_the_rows_and_what_follows_from_them(tmp_path: Path) -> None:
    saved = embedding()
    saved.save(tmp_path / "a.jsonl")
    found = avfeat.read(str(tmp_path / "a.jsonl"))
    check_same(found, replace(saved, hop=found.hop), UNSAID)
    assert found.hop == pytest.approx(0.1)
    assert (found.bundle, found.duration, found.damaged) == ("", saved.end[-1], False)


def test_json_lines_of_a_folder_are_known_to_its_journal(tmp_path: Path) -> None:
    saved, path = embedding(), tmp_path / "sub" / "a.jsonl"
    saved.save(path)
    OutputJournal(tmp_path).note(path, saved)
    check_same(avfeat.read(path), saved)


@pytest.mark.parametrize("form", TABLES)
def test_a_table_gives_each_of_its_sources(tmp_path: Path, form: str) -> None:
    many = [embedding(count, f"{count}.mp4", count) for count in (2, 5, 3, 700, 4)]
    with FORMATS[form].table(tmp_path / f"all.{form}") as add:
        for each in many:
            add(each)

    unsaid = UNSAID | {"hop"} if form == "jsonl" else frozenset()
    for found, expected in zip(avfeat.read_many(tmp_path / f"all.{form}"), many, strict=True):
        check_same(found, expected, unsaid)
    check_same(avfeat.read(tmp_path / f"all.{form}", source="3.mp4"), many[2], unsaid)
    with pytest.raises(ArgumentError, match=r"several sources, such as '2\.mp4', '5\.mp4', .*source="):
        avfeat.read(tmp_path / f"all.{form}")
    with pytest.raises(ArgumentError, match="holds no source 'x'"):
        avfeat.read(tmp_path / f"all.{form}", source="x")


@pytest.mark.parametrize("form", ["npz", *TABLES])
def test_a_modality_that_is_not_there_has_rows_of_no_numbers(tmp_path: Path, form: str) -> None:
    nothing, nowhere = np.zeros((4, 0), np.float32), np.zeros(4, bool)
    saved = replace(embedding(), video=nothing, video_shared=nothing, has_video=nowhere)
    saved.save(tmp_path / f"a.{form}")
    check_same(avfeat.read(tmp_path / f"a.{form}"), saved, UNSAID | {"hop"})


def test_embed_is_read_again(tmp_path: Path, avfeat_command, encoder: avfeat.Encoder, clip: Path) -> None:
    assert avfeat_command("embed", clip, "-o", "a.parquet").status == 0
    found = avfeat.read("a.parquet")
    check_same(found, replace(encoder.embed(str(clip)), stamp=found.stamp))
    assert found.stamp == Stamp.of(clip)


@pytest.mark.parametrize("form", ["npz", *TABLES])
@pytest.mark.parametrize(
    "content", [b"", b"text\n", b'{"window": 0}\n', bytes(999)], ids=["empty", "text", "json", "0"]
)
def test_what_is_no_output_is_said(tmp_path: Path, form: str, content: bytes) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=rf"a\.{form}: is not what avfeat embed writes"):
        avfeat.read(path)


@pytest.mark.parametrize("form", ["npz", *TABLES])
def test_what_is_cut_is_said(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    embedding().save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(OutputError, match="or not all of it"):
        avfeat.read(path)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no embeddings are read from \.npy; only from \.npz, \.jsonl"):
        avfeat.read(tmp_path / "a.npy")
    with pytest.raises(OutputError, match=r"a\.npz: no such file"):
        avfeat.read(tmp_path / "a.npz")


def test_save_wants_a_format(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"a\.txt: no format is called \.txt; end the name in \.npz"):
        embedding().save(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_a_frame_has_a_row_a_window() -> None:
    found = embedding()
    frame = found.to_frame()
    assert list(frame) == ["source", "window", "start", "end", "has_video", "has_audio", *VECTORS]
    assert frame["window"].tolist() == [0, 1, 2, 3] and frame["end"].tolist() == found.end.tolist()
    assert frame["video"][3] is None and frame["audio"][0] is None
    np.testing.assert_array_equal(np.stack(frame["video_shared"][:3]), found.video_shared[:3])


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(BackendError, match=r"pip install 'avfeat\[pandas\]'"):
        embedding().to_frame()


def test_a_notebook_shows_names_as_they_are_and_nothing_more() -> None:
    shown = embedding(source="</td><img onerror=alert(1)>")._repr_html_()
    assert "<img" not in shown and "&lt;img onerror=alert(1)&gt;" in shown
    assert "<td>3 x 9, shared 6</td>" in shown and "4 of 2 s, every 0.1 s" in shown
