"""An index keeps up with its files, by content and settings."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, chirps, make_media

import avfeat
from avfeat import ArgumentError, BackendError, Encoder, OutputError
from avfeat.errors import BusyError
from avfeat.job import EmbedSettings, TaskDone, TaskFailed, TaskSkipped, make_plan, run
from avfeat.lock import hold_lock
from avfeat.writers import lance


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sounds of 0.5 s."""
    folder = tmp_path_factory.mktemp("made")
    track = [AudioTrack(0.5, 8000, chirps(seed), codec="pcm_s16le") for seed in range(3)]
    return [make_media(folder / f"{seed}.wav", audio=track[seed]) for seed in range(3)]


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[Path]) -> Path:
    """A folder with two of them, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("0.wav", "1.wav"):
        (tmp_path / "clips" / name).write_bytes((made[0].parent / name).read_bytes())
    return tmp_path / "clips"


def update(encoder: Encoder, *inputs: str, out: str = "a.lance", **settings: object) -> dict[str, str]:
    """Bring the index up to date: what became of each input, by its name."""
    words = {TaskSkipped: "skipped", TaskDone: "done", TaskFailed: "failed"}
    events = run(make_plan(inputs or ["clips"], out), encoder, replace(EmbedSettings(), **settings))
    return {Path(event.task.name).name: words[type(event)] for event in events}


def held(out: str = "a.lance") -> dict[str, avfeat.Embedding]:
    return {embedding.source: embedding for embedding in avfeat.read_many(out)}


def test_an_index_holds_what_embedding_gives(clips: Path, encoder: Encoder) -> None:
    assert update(encoder) == {"0.wav": "done", "1.wav": "done"}
    found = held()
    assert sorted(found) == ["clips/0.wav", "clips/1.wav"]
    for name, embedding in found.items():
        expected = encoder.embed(name)
        np.testing.assert_allclose(embedding.audio, expected.audio, atol=1e-5)
        assert (embedding.bundle, embedding.duration) == (encoder.bundle.sha256, expected.duration)
        assert not embedding.has_video.any() and embedding.has_audio.all()


def test_it_adds_updates_and_removes(clips: Path, encoder: Encoder, made: list[Path]) -> None:
    update(encoder)
    before = held()["clips/1.wav"]
    (clips / "1.wav").write_bytes(made[2].read_bytes())
    (clips / "2.wav").write_bytes(made[1].read_bytes())
    assert update(encoder) == {"0.wav": "skipped", "1.wav": "done", "2.wav": "done"}
    found = held()
    np.testing.assert_allclose(found["clips/2.wav"].audio, before.audio, atol=1e-5)
    assert np.abs(found["clips/1.wav"].audio - before.audio).max() > 0.01
    (clips / "0.wav").unlink()
    (clips / "1.wav").write_bytes(b"no sound")
    assert update(encoder) == {"1.wav": "failed", "2.wav": "skipped"}
    assert sorted(held()) == ["clips/2.wav"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_is_a_file_of_its_own(clips: Path, encoder: Encoder, made: list[Path]) -> None:
    link = clips / "link.wav"
    link.symlink_to(made[2])
    update(encoder)
    assert sorted(held()) == ["clips/0.wav", "clips/1.wav", "clips/link.wav"]
    assert set(update(encoder).values()) == {"skipped"}
    link.unlink()
    update(encoder)
    assert sorted(held()) == ["clips/0.wav", "clips/1.wav"]


def test_other_settings_are_other_rows(clips: Path, encoder: Encoder) -> None:
    update(encoder)
    assert set(update(encoder, start=-0.5).values()) == {"done"}
    assert {embedding.start[0] for embedding in held().values()} == {-0.5}
    assert set(update(encoder, start=-0.5).values()) == {"skipped"}
    assert set(update(encoder, start=-0.5, overwrite=True).values()) == {"done"}
    assert len(held()) == 2


def test_files_are_known_wherever_the_command_is_run(
    clips: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(encoder)
    monkeypatch.chdir(clips)
    assert set(update(encoder, ".", out="../a.lance").values()) == {"skipped"}
    assert sorted(held("../a.lance")) == ["clips/0.wav", "clips/1.wav"]


def test_files_of_other_folders_stay_and_equal_names_are_told_apart(
    clips: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(encoder, "clips/0.wav")
    other = clips.parent / "other" / "clips"
    other.mkdir(parents=True)
    (other / "0.wav").write_bytes((clips / "1.wav").read_bytes())
    monkeypatch.chdir(other.parent)
    assert update(encoder, out="../a.lance") == {"0.wav": "done"}
    assert sorted(held("../a.lance")) == sorted([str(other.resolve() / "0.wav"), "clips/0.wav"])
    # The folder of the first has moved here.
    (clips / "0.wav").unlink()
    assert update(encoder, out="../a.lance", overwrite=True) == {"0.wav": "done"}
    assert sorted(held("../a.lance")) == ["clips/0.wav"]


def test_an_index_is_of_one_bundle(clips: Path, encoder: Encoder, audio_alone: Path) -> None:
    update(encoder)
    with avfeat.load(audio_alone) as other:
        with pytest.raises(ArgumentError, match=r"1 of its files, such as clips/1\.wav, are of another bundle"):
            update(other, "clips/0.wav")
        assert len(held()) == 2
        assert set(update(other).values()) == {"done"}
        assert {embedding.bundle for embedding in held().values()} == {other.bundle.sha256}
        assert {embedding.audio_shared.shape for embedding in held().values()} == {(1, 0)}


def test_what_is_done_before_an_error_is_kept(clips: Path, encoder: Encoder) -> None:
    events = run(make_plan(["clips"], "a.lance"), encoder, EmbedSettings())
    next(events)
    events.close()
    assert sorted(held()) == ["clips/0.wav"]
    assert update(encoder) == {"0.wav": "skipped", "1.wav": "done"}


def test_rows_of_a_run_that_was_killed_do_not_count(clips: Path, encoder: Encoder) -> None:
    update(encoder)
    sources = lance.index_tables(Path("a.lance"))["sources"]
    sources.delete("source = 'clips/0.wav'")
    assert sorted(held()) == ["clips/1.wav"]
    assert update(encoder) == {"0.wav": "done", "1.wav": "skipped"}
    assert lance.index_tables(Path("a.lance"))["windows"].count_rows() == 2


def test_a_folder_that_is_no_index_is_left_alone(clips: Path, encoder: Encoder) -> None:
    Path("a.lance").mkdir()
    (Path("a.lance") / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.lance: is not an index of avfeat"):
        update(encoder)
    assert [path.name for path in Path("a.lance").iterdir()] == ["mine.txt"]


def test_one_process_writes(clips: Path, encoder: Encoder) -> None:
    update(encoder)
    with (
        hold_lock(Path("a.lance/.avfeat-index.lock")),
        pytest.raises(BusyError, match=r"a\.lance: another process"),
    ):
        update(encoder)


def test_the_command_says_what_is_up_to_date(clips: Path, avfeat_command) -> None:
    assert avfeat_command("embed", "clips", "-o", "a.lance").out.startswith("2 embedded -> a.lance\n")
    assert avfeat_command("embed", "clips", "-o", "a.lance").out == "0 embedded, 2 up to date -> a.lance\n"
    assert "up to date" in avfeat_command("embed", "clips", "-o", "a.lance", "--dry-run").out
    refused = avfeat_command("embed", "clips", "-o", "a.lance", "--format", "npz")
    assert (refused.status, "contradicts --format npz" in refused.err) == (2, True)


def test_without_the_package_the_extra_is_named(
    clips: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(BackendError, match=r"pip install 'avfeat\[search\]'"):
        update(encoder)
    assert not Path("a.lance").exists()


def test_an_empty_index_and_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.lance").mkdir()
    with pytest.raises(OutputError, match="is an empty index"):
        avfeat.read(tmp_path / "a.lance")
    with pytest.raises(OutputError, match="no such file"):
        avfeat.read(tmp_path / "b.lance")
