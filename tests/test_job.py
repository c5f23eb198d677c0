from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pyarrow.parquet
import pytest
from making import AudioTrack, make_media

from avfeat import ArgumentError, Encoder, OutputError
from avfeat.errors import FullDiskError
from avfeat.job import (
    EmbedSettings,
    JobPlan,
    Task,
    TaskDone,
    TaskFailed,
    TaskSkipped,
    done_before,
    make_plan,
    run,
    write_failures,
)
from avfeat.stamp import Stamp
from avfeat.writers import FORMATS
from avfeat.writers.atomic import PREFIX

LISTED = ["a.mp4", "b.MKV", "sub/c.webm", "sub/deep/d.wav", "z.mov"]
LEFT_OUT = [".hidden.mp4", "notes.txt", "mp4", "a.mp4.npz", ".git/e.mp4", "sub/.f.mp4", "failures.jsonl"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of empty files, and its parent as the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in (*LISTED, *LEFT_OUT):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "in"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_media(
        tmp_path_factory.mktemp("sound") / "sound.wav", audio=AudioTrack(0.5, 8000, codec="pcm_s16le")
    )


@pytest.fixture
def sounds(tmp_path: Path, sound: Path) -> Path:
    """A folder with one sound, older than anything made from it."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    copy_old(sound, tmp_path / "in" / "sub" / "a.wav")
    return tmp_path / "in"


def copy_old(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    os.utime(target, (1e9, 1e9))


def outputs(plan: JobPlan) -> list[str]:
    return [task.output.as_posix() for task in plan.tasks if task.output is not None]


def finish(
    plan: JobPlan,
    encoder: Encoder,
    settings: EmbedSettings = EmbedSettings(),  # noqa: B008
) -> list[TaskSkipped | TaskDone | TaskFailed]:
    events = list(run(plan, encoder, settings))
    write_failures(plan, events)
    return events


def is_done(task: Task, plan: JobPlan, encoder: Encoder, settings: EmbedSettings) -> bool:
    return done_before(plan, encoder, settings)[plan.tasks.index(task)]


def failures(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "failures.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(list(row) == ["source", "reason", "message"] for row in rows)
    return [(Path(row["source"]).name, row["reason"]) for row in rows]


def test_one_file_goes_to_the_current_folder(folder: Path) -> None:
    plan = make_plan(["in/a.mp4"])
    assert plan == JobPlan((Task("in/a.mp4", "in/a.mp4", Path("a.mp4.npz")),), "npz")


def test_one_file_to_a_file() -> None:
    assert make_plan(["a.mp4"], "x/F.npz") == JobPlan((Task("a.mp4", "a.mp4", Path("x/F.npz")),), "npz")


@pytest.mark.parametrize("form", FORMATS)
def test_one_file_takes_its_format_from_the_suffix(form: str) -> None:
    plan = make_plan(["a.mp4"], f"F.{form.upper()}")
    assert (plan.format, outputs(plan)) == (form, [f"F.{form.upper()}"])


@pytest.mark.parametrize("form", FORMATS)
def test_one_file_without_out_gets_the_suffix_of_the_format(form: str) -> None:
    assert outputs(make_plan(["x/a.mp4"], form=form)) == [f"a.mp4.{form}"]


@pytest.mark.parametrize("out", ["there", "new/"])
def test_one_file_into_a_folder(folder: Path, out: str) -> None:
    Path("there").mkdir()
    assert outputs(make_plan(["in/sub/c.webm"], out)) == [f"{out.rstrip('/')}/c.webm.npz"]


def test_folder_keeps_relative_paths_and_leaves_out_what_is_no_media(folder: Path) -> None:
    plan = make_plan(["in"], "out")
    assert [task.name for task in plan.tasks] == [
        "in/a.mp4",
        "in/b.MKV",
        "in/z.mov",
        "in/sub/c.webm",
        "in/sub/deep/d.wav",
    ]
    assert sorted(outputs(plan)) == sorted(f"out/{name}.npz" for name in LISTED)
    assert (plan.folder, plan.table, plan.format) == (Path("out"), None, "npz")


def test_folder_says_what_it_leaves_out_and_takes_pictures_where_they_are_asked_for(folder: Path) -> None:
    (folder / "p.PNG").write_bytes(b"")
    names = {path.name for path in make_plan(["in"], "out").left_out}
    assert "p.PNG" in names and "notes.txt" in names and ".hidden.mp4" not in names
    plan = make_plan(["in"], "out", still=True)
    assert "in/p.PNG" in {task.name for task in plan.tasks} and "p.PNG" not in {p.name for p in plan.left_out}


@pytest.mark.parametrize("suffix", [".264", ".aiff", ".divx", ".f4v", ".gif", ".m2t", ".m4b", ".mpeg4", ".wv"])
def test_folder_takes_media_of_every_suffix(folder: Path, suffix: str) -> None:
    (folder / f"x{suffix}").write_bytes(b"")
    assert f"in/x{suffix}" in {task.name for task in make_plan(["in"], "out").tasks}


def test_empty_folder_is_a_failure_that_is_known_before(folder: Path) -> None:
    (folder / "bare").mkdir()
    (task,) = make_plan(["in/bare"]).tasks
    assert task.failure is not None and task.failure.reason == "empty"
    assert make_plan(["in/bare"]).folder is None and make_plan(["in/bare"], "out").folder == Path("out")


@pytest.mark.parametrize("out", ["x.csv", "x.HDF5", "a/b.json", "c.mp4", "d.png", "e.tar"])
def test_output_of_another_kind_is_no_folder(folder: Path, out: str) -> None:
    with pytest.raises(ArgumentError, match="no output is called"):
        make_plan(["in"], out)
    Path(out).mkdir(parents=True)
    assert make_plan(["in"], out).folder == Path(out)


@pytest.mark.parametrize("name", ["in/", "./in", "in/../in", "."])
def test_folder_however_it_is_written(folder: Path, name: str) -> None:
    below = "in/" if name == "." else ""
    assert sorted(outputs(make_plan([name], "out"))) == sorted(f"out/{below}{item}.npz" for item in LISTED)


def test_hidden_folder_that_is_named_is_taken(folder: Path) -> None:
    assert outputs(make_plan(["in/.git"], "out")) == ["out/e.mp4.npz"]


def test_file_that_is_named_needs_no_media_suffix(folder: Path) -> None:
    assert outputs(make_plan(["in/notes.txt", "in/.hidden.mp4"], "out")) == [
        "out/notes.txt.npz",
        "out/.hidden.mp4.npz",
    ]


def test_missing_file_is_left_to_the_work(folder: Path) -> None:
    assert outputs(make_plan(["in/a.mp4", "in/nowhere.mp4"], "out")) == [
        "out/a.mp4.npz",
        "out/nowhere.mp4.npz",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs, devices and links are Unix's")
def test_what_would_keep_a_folder_waiting_is_left_out(folder: Path) -> None:
    os.mkfifo(folder / "fifo.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "link.mp4").symlink_to("a.mp4")
    found = {task.name for task in make_plan(["in"], "out").tasks}
    assert found == {f"in/{name}" for name in (*LISTED, "gone.mp4", "link.mp4")}
    assert outputs(make_plan(["in/fifo.mp4", "/dev/zero"], "out")) == ["out/fifo.mp4.npz", "out/zero.npz"]


@pytest.mark.parametrize("out", ["all.parquet", "x/all.jsonl", "all.h5"])
@pytest.mark.parametrize("inputs", [["in"], ["in/a.mp4", "in/z.mov"]])
def test_many_inputs_into_one_table(folder: Path, out: str, inputs: list[str]) -> None:
    plan = make_plan(inputs, out)
    assert (plan.table, plan.folder, plan.format) == (Path(out), None, Path(out).suffix[1:])
    assert all(task.output is None for task in plan.tasks) and len(plan.tasks) in (2, 5)


def test_no_input(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="Name at least one file"):
        make_plan([])
    (folder / "empty").mkdir()
    (folder / "bare").mkdir()
    assert outputs(make_plan(["in/empty", "in/bare"], "out")) == ["out/empty.npz", "out/bare.npz"]


@pytest.mark.parametrize(
    "inputs", [["x/a.mp4", "y/a.mp4"], ["a.mp4", "a.mp4"], ["in", "in/a.mp4"], ["in", "other"]]
)
def test_inputs_that_would_share_an_output_are_refused(folder: Path, inputs: list[str]) -> None:
    shutil.copytree(folder, folder.parent / "other")
    with pytest.raises(ArgumentError, match=r"would share the output out/a\.mp4\.npz"):
        make_plan(inputs, "out")


def test_shared_outputs_are_refused_in_every_shard(folder: Path) -> None:
    for index in range(3):
        with pytest.raises(ArgumentError, match="would share the output"):
            make_plan(["x/a.mp4", "y/a.mp4", "y/b.mp4"], "out", shard=(index, 3))


@pytest.mark.parametrize(("out", "form"), [("F.npz", "jsonl"), ("F.h5", "npz"), ("F.JSONL", "parquet")])
def test_suffix_that_contradicts_the_format_is_refused(out: str, form: str) -> None:
    with pytest.raises(ArgumentError, match="contradicts --format"):
        make_plan(["a.mp4"], out, form)


def test_table_that_contradicts_the_format_is_refused(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="contradicts --format"):
        make_plan(["in"], "all.parquet", "npz")


def test_stdin_is_an_input() -> None:
    stream = io.BytesIO(b"media")
    assert make_plan(["-"], stdin=stream) == JobPlan((Task(stream, "<stdin>", Path("stdin.npz")),), "npz")
    with pytest.raises(ArgumentError, match="standard input"):
        make_plan(["-"])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("inputs", [["in"], [f"{index}.mp4" for index in range(7)]])
@pytest.mark.parametrize("out", [None, "out/", "all.parquet"])
def test_shards_are_disjoint_and_cover_all(
    folder: Path, count: int, first: int, inputs: list[str], out: str | None
) -> None:
    whole = [task.name for task in make_plan(inputs, out).tasks]
    shards = [make_plan(inputs, out, shard=(index, count)).tasks for index in range(first, first + count)]
    assert sorted(task.name for task in chain.from_iterable(shards)) == sorted(whole)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("out", [None, "out/", "F.npz", "out"])
def test_one_file_is_in_one_shard(out: str | None) -> None:
    shards = [make_plan(["a.mp4"], out, shard=(index, 3)).tasks for index in range(3)]
    assert sorted(map(len, shards)) == [0, 0, 1]


@pytest.mark.parametrize("form", FORMATS)
def test_second_run_skips(sounds: Path, encoder: Encoder, form: str) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), form)
    assert isinstance(finish(plan, encoder)[0], TaskDone)
    assert (sounds.parent / "out" / "sub" / f"a.wav.{form}").is_file()
    assert finish(plan, encoder) == [TaskSkipped(plan.tasks[0])]


@pytest.fixture(params=["npz", "npy", "jsonl", "parquet", "h5"])
def done(request: pytest.FixtureRequest, sounds: Path, encoder: Encoder) -> JobPlan:
    """A plan of one file whose work is done."""
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), request.param)
    finish(plan, encoder)
    assert is_done(plan.tasks[0], plan, encoder, EmbedSettings())
    return plan


def output_of(plan: JobPlan) -> Path:
    output = plan.tasks[0].output
    assert output is not None
    return output


def test_default_hop_may_be_spelled_out(done: JobPlan, encoder: Encoder) -> None:
    assert is_done(done.tasks[0], done, encoder, EmbedSettings(hop=encoder.bundle.seconds))


def test_other_hop_is_redone(done: JobPlan, encoder: Encoder) -> None:
    settings = EmbedSettings(hop=0.25)
    assert not is_done(done.tasks[0], done, encoder, settings)
    assert isinstance(finish(done, encoder, settings)[0], TaskDone)
    assert is_done(done.tasks[0], done, encoder, settings)
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings())


def test_other_start_is_redone(done: JobPlan, encoder: Encoder) -> None:
    settings = EmbedSettings(start=-0.5)
    assert not is_done(done.tasks[0], done, encoder, settings)
    assert isinstance(finish(done, encoder, settings)[0], TaskDone)
    assert is_done(done.tasks[0], done, encoder, settings)
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings())


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_output_that_does_not_say_its_start_began_at_0(sounds: Path, encoder: Encoder, form: str) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), form)
    finish(plan, encoder)
    if form == "npz":
        with np.load(output_of(plan)) as stored:
            arrays = dict(stored)
        meta = json.loads(str(arrays.pop("meta")))
        assert meta.pop("start") == 0.0
        np.savez(output_of(plan), meta=np.array(json.dumps(meta)), **arrays)
    else:
        journal = sounds.parent / "out" / ".avfeat-journal.jsonl"
        entry = json.loads(journal.read_text("utf-8"))
        assert entry["meta"].pop("start") == 0.0
        journal.write_text(json.dumps(entry) + "\n", "utf-8")
    assert is_done(plan.tasks[0], plan, encoder, EmbedSettings())
    assert not is_done(plan.tasks[0], plan, encoder, EmbedSettings(start=-0.5))


def test_time_finer_than_a_microsecond_is_done_once(done: JobPlan, encoder: Encoder) -> None:
    settings = EmbedSettings(hop=1 / 3, start=-1 / 3)
    finish(done, encoder, settings)
    assert is_done(done.tasks[0], done, encoder, settings)


def test_other_bundle_is_redone(done: JobPlan, encoder: Encoder) -> None:
    other = SimpleNamespace(bundle=replace(encoder.bundle, sha256="0" * 64))
    assert not is_done(done.tasks[0], done, other, EmbedSettings())


def test_overwrite_is_redone(done: JobPlan, encoder: Encoder) -> None:
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings(overwrite=True))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_output_is_redone(done: JobPlan, encoder: Encoder, kept: float) -> None:
    content = output_of(done).read_bytes()
    output_of(done).write_bytes(content[: int(len(content) * kept)])
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings())
    assert isinstance(finish(done, encoder)[0], TaskDone)
    assert is_done(done.tasks[0], done, encoder, EmbedSettings())


def test_missing_output_is_redone(done: JobPlan, encoder: Encoder) -> None:
    output_of(done).unlink()
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings())


@pytest.mark.parametrize("times", [(1.0, 1.0), (4e9, 4e9)], ids=["older", "newer"])
def test_input_that_changed_is_redone(done: JobPlan, encoder: Encoder, times: tuple[float, float]) -> None:
    source = done.tasks[0].source
    assert isinstance(source, str)
    content = Path(source).read_bytes()
    Path(source).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(source, times)
    assert not is_done(done.tasks[0], done, encoder, EmbedSettings())
    # The same bytes again are the same input, whenever they were written.
    Path(source).write_bytes(content)
    os.utime(source, times)
    assert is_done(done.tasks[0], done, encoder, EmbedSettings())


def test_input_that_grew_while_it_was_read_is_redone(sounds: Path, encoder: Encoder) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"))
    source = sounds / "sub" / "a.wav"
    before = source.read_bytes()
    events = run(plan, encoder, EmbedSettings())
    assert isinstance(next(events), TaskDone)
    events.close()
    # Before the output got its time, after it was read.
    source.write_bytes(before + bytes(4000))
    os.utime(source, (1e9, 1e9))
    assert not is_done(plan.tasks[0], plan, encoder, EmbedSettings())


def test_output_says_what_was_read(sounds: Path, encoder: Encoder) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"))
    finish(plan, encoder)
    read = FORMATS["npz"].read_meta
    assert read is not None
    found = read(output_of(plan))
    content = (sounds / "sub" / "a.wav").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert found is not None
    assert found["input"] == {"size": len(content), "modified_ns": 10**18, "sha256": digest}


def test_input_that_has_gone_is_redone(done: JobPlan, encoder: Encoder) -> None:
    source = done.tasks[0].source
    assert isinstance(source, str)
    Path(source).unlink()
    event = finish(done, encoder)[0]
    assert isinstance(event, TaskFailed) and event.failure.reason == "not_found"


def test_output_of_another_input_is_redone(done: JobPlan, sounds: Path, encoder: Encoder) -> None:
    shutil.copytree(sounds, sounds.parent / "others")
    other = make_plan([str(sounds.parent / "others")], str(done.folder), done.format)
    assert other.tasks[0].output == done.tasks[0].output
    assert not is_done(other.tasks[0], other, encoder, EmbedSettings())


def test_stdin_is_never_done_before(sound: Path, sounds: Path, encoder: Encoder) -> None:
    content, inputs = sound.read_bytes(), ["-", str(sounds / "sub" / "a.wav")]
    out = str(sounds.parent / "out")
    first = finish(make_plan(inputs, out, stdin=io.BytesIO(content)), encoder)
    second = finish(make_plan(inputs, out, stdin=io.BytesIO(content)), encoder)
    assert [type(event) for event in first] == [TaskDone, TaskDone]
    assert {event.task.name: type(event) for event in second} == {"<stdin>": TaskDone, inputs[1]: TaskSkipped}


def test_damaged_output_is_not_done_for_a_strict_run(sounds: Path, encoder: Encoder) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"))
    damaged = replace(encoder.embed(sounds / "sub" / "a.wav"), damaged=True, damage=("a corrupt packet",))
    damaged = replace(damaged, stamp=Stamp.of(sounds / "sub" / "a.wav"))
    FORMATS["npz"].write(output_of(plan), damaged)
    assert is_done(plan.tasks[0], plan, encoder, EmbedSettings())
    assert not is_done(plan.tasks[0], plan, encoder, EmbedSettings(strict=True))


def test_lost_journal_means_work_done_again(sounds: Path, encoder: Encoder) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), "npy")
    finish(plan, encoder)
    (sounds.parent / "out" / ".avfeat-journal.jsonl").unlink()
    assert isinstance(finish(plan, encoder)[0], TaskDone)
    assert isinstance(finish(plan, encoder)[0], TaskSkipped)


def test_one_file_is_always_embedded(sound: Path, tmp_path: Path, encoder: Encoder) -> None:
    plan = make_plan([str(sound)], str(tmp_path / "F.npz"))
    assert [type(finish(plan, encoder)[0]) for _ in range(2)] == [TaskDone, TaskDone]
    assert [path.name for path in tmp_path.iterdir()] == ["F.npz"]


@pytest.mark.parametrize("form", ["npz", "npy", "jsonl"])
def test_failures_appear_are_updated_and_disappear(sounds: Path, sound: Path, encoder: Encoder, form: str) -> None:
    out = sounds.parent / "out"
    for name in ("b.mp4", "c.mp4"):
        (sounds / name).write_bytes(b"")
    plan = make_plan([str(sounds)], str(out), form)
    finish(plan, encoder)
    assert failures(out) == [("b.mp4", "empty"), ("c.mp4", "empty")]
    copy_old(sound, sounds / "b.mp4")
    (sounds / "c.mp4").write_bytes(b"text")
    finish(plan, encoder)
    assert failures(out) == [("c.mp4", "unreadable")]
    copy_old(sound, sounds / "c.mp4")
    finish(plan, encoder)
    assert not (out / "failures.jsonl").exists()
    assert len(list(out.rglob(f"*.wav.{form}")) + list(out.rglob(f"*.mp4.{form}"))) == 3


def test_failures_of_other_shards_are_kept(sounds: Path, sound: Path, encoder: Encoder) -> None:
    for name in ("b.mp4", "c.mp4"):
        (sounds / name).write_bytes(b"")
    out = sounds.parent / "out"
    for index in range(3):
        finish(make_plan([str(sounds)], str(out), shard=(index, 3)), encoder)
    assert sorted(failures(out)) == [("b.mp4", "empty"), ("c.mp4", "empty")]


@pytest.mark.parametrize("separator", ["\u2028", "\x85"])
def test_failures_with_odd_names_are_updated(sounds: Path, sound: Path, encoder: Encoder, separator: str) -> None:
    odd = sounds / f"b{separator}b.mp4"
    odd.write_bytes(b"")
    plan = make_plan([str(sounds)], str(sounds.parent / "out"))
    finish(plan, encoder)
    copy_old(sound, odd)
    finish(plan, encoder)
    assert not (sounds.parent / "out" / "failures.jsonl").exists()


def test_no_failures_no_file(sounds: Path, encoder: Encoder) -> None:
    finish(make_plan([str(sounds)], str(sounds.parent / "out")), encoder)
    assert [path.name for path in (sounds.parent / "out").iterdir()] == ["sub"]


@pytest.mark.parametrize("out", ["all.npz", "all.npy"])
def test_formats_of_one_embedding_are_no_table(folder: Path, out: str) -> None:
    with pytest.raises(ArgumentError, match=r"is \.jsonl or \.parquet or \.h5; or give a folder"):
        make_plan(["in"], out)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "h5"])
def test_table_holds_the_rows_of_all_inputs(sounds: Path, sound: Path, encoder: Encoder, form: str) -> None:
    copy_old(sound, sounds / "b.wav")
    (sounds / "c.wav").write_bytes(b"")
    table = sounds.parent / f"all.{form}"
    events = finish(make_plan([str(sounds)], str(table)), encoder, EmbedSettings(hop=0.2))
    assert [type(event) for event in events] == [TaskDone, TaskFailed, TaskDone]
    if form == "jsonl":
        rows = [json.loads(line) for line in table.read_text("utf-8").splitlines()]
    elif form == "parquet":
        rows = pyarrow.parquet.read_table(table).to_pylist()
    else:
        with h5py.File(table) as store:
            columns = {
                "source": store["source"].asstr()[:],
                "window": store["window"][:],
                "audio": store["audio"][:],
            }
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    expected = encoder.embed(sound, hop=0.2)
    assert [Path(row["source"]).name for row in rows] == ["b.wav"] * len(expected) + ["a.wav"] * len(expected)
    assert [row["window"] for row in rows] == [*range(len(expected))] * 2
    np.testing.assert_array_equal(
        np.array([row["audio"] for row in rows], np.float32)[: len(expected)], expected.audio
    )


@pytest.mark.parametrize("form", ["jsonl", "parquet", "h5"])
def test_table_of_failures_only_can_be_read_or_is_not_there(tmp_path: Path, encoder: Encoder, form: str) -> None:
    table = tmp_path / f"all.{form}"
    events = finish(make_plan([str(tmp_path / "x.mp4"), str(tmp_path / "y.mp4")], str(table)), encoder)
    assert [type(event) for event in events] == [TaskFailed, TaskFailed]
    if form == "parquet" and table.exists():
        assert pyarrow.parquet.read_table(table).num_rows == 0
    else:
        assert not table.exists() or table.read_bytes() == b""


def test_output_that_cannot_be_written_is_one_failure(sounds: Path, sound: Path, encoder: Encoder) -> None:
    out = sounds.parent / "out"
    out.mkdir()
    (out / "sub").write_bytes(b"a file in the way")
    copy_old(sound, sounds / f"{'b' * 250}.wav")
    copy_old(sound, sounds / "c.wav")
    (out / "d.wav.npz").mkdir()
    copy_old(sound, sounds / "d.wav")
    for again in (TaskDone, TaskSkipped):
        events = finish(make_plan([str(sounds)], str(out)), encoder)
        failed = [event.failure for event in events if isinstance(event, TaskFailed)]
        assert [failure.reason for failure in failed] == ["unwritable"] * 3
        assert all("cannot be written (" in failure.message for failure in failed)
        assert [event.task.name for event in events if isinstance(event, again)] == [str(sounds / "c.wav")]
    assert [reason for _, reason in failures(out)] == ["unwritable"] * 3
    assert not list(out.rglob("*.part"))


def test_folder_that_cannot_be_made_is_said_before_any_work(sounds: Path, encoder: Encoder) -> None:
    (sounds.parent / "out").write_bytes(b"a file in the way")
    plan = make_plan([str(sounds)], str(sounds.parent / "out" / "deep"))
    with pytest.raises(OutputError, match="cannot be written"):
        next(run(plan, encoder, EmbedSettings()))


@pytest.mark.parametrize("form", ["npz", "npy", "parquet"])
def test_full_disk_ends_the_job(sounds: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), form)
    with pytest.raises(FullDiskError, match="the disk is full"):
        finish(plan, encoder)
    assert not [path for path in (sounds.parent / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_killed_run_left_is_swept_even_where_all_is_done(sounds: Path, encoder: Encoder, form: str) -> None:
    plan = make_plan([str(sounds)], str(sounds.parent / "out"), form)
    finish(plan, encoder)
    part = output_of(plan).with_name(f"{PREFIX}0123.part")
    part.write_bytes(b"half")
    assert finish(plan, encoder) == [TaskSkipped(plan.tasks[0])]
    assert not part.exists()


def test_bad_time_is_refused_before_any_work(sounds: Path, encoder: Encoder) -> None:
    with pytest.raises(ArgumentError, match="hop"):
        finish(make_plan([str(sounds)], str(sounds.parent / "out")), encoder, EmbedSettings(hop=0.0))
    with pytest.raises(ArgumentError, match="start"):
        finish(make_plan([str(sounds)], str(sounds.parent / "out")), encoder, EmbedSettings(start=float("nan")))
    assert not (sounds.parent / "out").exists()
