from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import onnxruntime
import pyarrow.parquet
import pytest
from bundles import said_to_be
from making import AudioTrack, VideoTrack, make_media
from processes import begun

import avfeat
from avfeat import Embedding, Encoder
from avfeat.bundle import find_bundle

COMMAND = [sys.executable, "-c", "from avfeat.cli import main; main()"]
VECTORS = ("video", "audio", "video_shared", "audio_shared")
SUBTITLE = "1\n00:00:00,000 --> 00:00:02,000\nhello\n"
ODD_NAMES = [
    "a b.mp4",
    "ü—日本.mp4",
    "[red]x[bold].mp4",
    ":smile:.mp4",
    "100%d.mp4",
    "a:b.mp4",
    "'quoted\".mp4",
    "-n.mp4",
]


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The least media that gives a row: half a second of sound."""
    return make_media(tmp_path_factory.mktemp("short") / "short.m4a", audio=AudioTrack(0.5))


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """A folder with good, odd and bad files."""
    folder = tmp_path_factory.mktemp("media") / "mixed"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(clip, folder / "good.mp4")
    make_media(folder / "silent.mkv", VideoTrack(1.5))
    make_media(folder / "sub" / "sound.m4a", audio=AudioTrack(2.5))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    (folder / "subtitle.mp4").write_text(SUBTITLE)
    return folder


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transport stream that breaks off in the middle of a packet."""
    path = make_media(tmp_path_factory.mktemp("cut") / "cut.ts", VideoTrack(3.0), AudioTrack(3.0))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10 // 188 * 188 + 100])
    return path


@pytest.fixture(scope="session")
def index_last(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """The clip with its index behind its data."""
    path = tmp_path_factory.mktemp("last") / "last.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = path.read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")
    return path


def process(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, timeout=60, **options)


def load_rows(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def meta_of(path: Path) -> dict:
    return json.loads(str(load_rows(path)["meta"]))


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def failures_in(folder: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (folder / "failures.jsonl").read_text("utf-8").splitlines()]
    assert all(row["message"].startswith(row["source"]) for row in rows)
    return {Path(row["source"]).name: row["reason"] for row in rows}


def sentences(err: str) -> list[str]:
    return err.splitlines()


def check_same(rows: dict[str, np.ndarray], expected: Embedding) -> None:
    for name in ("start", "end", "has_video", "has_audio"):
        np.testing.assert_array_equal(rows[name], getattr(expected, name))
    for name in VECTORS:
        np.testing.assert_allclose(rows[name], getattr(expected, name), rtol=1e-4, atol=1e-4)


def test_one_file_goes_to_the_current_folder(avfeat_command, tmp_path: Path, clip: Path, encoder: Encoder) -> None:
    ran = avfeat_command("embed", clip, "--device", "cpu")
    assert (ran.status, sentences(ran.err)) == (0, [])
    assert files_in(tmp_path) == ["clip.mp4.npz"]
    check_same(load_rows(tmp_path / "clip.mp4.npz"), encoder.embed(clip))
    assert "clip.mp4.npz" in ran.out and "5.30 s" in ran.out


def test_meta_says_how_it_was_made(avfeat_command, tmp_path: Path, clip: Path, encoder: Encoder) -> None:
    assert avfeat_command("embed", clip, "--hop", "1.5").status == 0
    meta = meta_of(tmp_path / "clip.mp4.npz")
    assert meta["source"] == str(clip) and meta["bundle"] == encoder.bundle.sha256
    assert (meta["hop"], meta["seconds"], meta["damaged"]) == (1.5, encoder.bundle.seconds, False)
    assert meta["avfeat"] == avfeat.__version__ and meta["duration"] == pytest.approx(5.3, abs=0.05)


def test_an_untrained_bundle_is_noted_on_stderr(avfeat_command, short: Path, tmp_path: Path) -> None:
    ran = avfeat_command("embed", short, "--model", said_to_be(tmp_path / "bundle", trained=False))
    assert ran.status == 0 and [line for line in ran.err.splitlines() if "random weights" in line]
    assert "note" not in ran.out
    assert avfeat_command("embed", short, "--model", "base-int8", "-o", "small.npz").err == ""
    assert meta_of(tmp_path / "small.npz")["bundle"] == avfeat.Bundle.open(find_bundle("base-int8")).sha256


@pytest.mark.parametrize("out", ["F.npz", "deep/er/F.npz", "F.jsonl", "F.npy", "F.parquet", "F.h5"])
def test_one_file_to_a_file(avfeat_command, tmp_path: Path, short: Path, out: str) -> None:
    assert avfeat_command("embed", short, "-o", out).status == 0
    assert files_in(tmp_path) == [out]


@pytest.mark.parametrize("form", ["npz", "npy", "jsonl", "parquet", "h5"])
def test_format_names_the_output(avfeat_command, tmp_path: Path, short: Path, form: str) -> None:
    assert avfeat_command("embed", short, "--format", form).status == 0
    assert files_in(tmp_path) == [f"short.m4a.{form}"]


def test_bad_files_do_not_stop_the_others(avfeat_command, tmp_path: Path, mixed: Path, encoder: Encoder) -> None:
    (tmp_path / "list").write_text(f"{tmp_path}/missing.mp4\n\n", "utf-8")
    ran = avfeat_command("embed", mixed, "--list", "list", "-o", "out")
    assert ran.status == 1
    assert failures_in(tmp_path / "out") == {
        "empty.mp4": "empty",
        "text.mp4": "unreadable",
        "subtitle.mp4": "no_streams",
        "missing.mp4": "not_found",
    }
    good = ["good.mp4.npz", "silent.mkv.npz", "sub/sound.m4a.npz"]
    assert files_in(tmp_path / "out") == ["failures.jsonl", *good]
    assert len(sentences(ran.err)) == 4 and all(line.startswith("error: ") for line in sentences(ran.err))
    assert "3 embedded, 4 failed" in ran.out
    for name in good:
        check_same(load_rows(tmp_path / "out" / name), encoder.embed(mixed / name.removesuffix(".npz")))


def test_missing_modality_is_masked(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    ran = avfeat_command("embed", mixed / "silent.mkv", mixed / "sub" / "sound.m4a", "-o", "out")
    assert ran.status == 0 and "2 embedded" in ran.out
    silent, sound = (
        load_rows(tmp_path / "out" / "silent.mkv.npz"),
        load_rows(tmp_path / "out" / "sound.m4a.npz"),
    )
    assert silent["has_video"].all() and not silent["has_audio"].any() and not silent["audio"].any()
    assert sound["has_audio"].all() and not sound["has_video"].any() and not sound["video"].any()
    assert silent["video"].any() and sound["audio"].any()


def test_second_run_skips_what_is_done(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    first = avfeat_command("embed", mixed, "-o", "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")}
    second = avfeat_command("embed", mixed, "-o", "out")
    assert "3 embedded, 3 failed" in first.out
    assert second.status == 1 and "0 embedded, 3 up to date, 3 failed" in second.out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")}


def test_overwrite_and_other_hops_do_it_again(avfeat_command, tmp_path: Path, short: Path) -> None:
    shutil.copy(short, tmp_path / "a.m4a")
    shutil.copy(short, tmp_path / "b.m4a")
    inputs = ("embed", "a.m4a", "b.m4a", "-o", "out")
    assert "2 embedded" in avfeat_command(*inputs).out
    assert "2 embedded" in avfeat_command(*inputs, "--overwrite").out
    assert "2 embedded" in avfeat_command(*inputs, "--hop", "0.3").out
    assert "0 embedded, 2 up to date" in avfeat_command(*inputs, "--hop", "0.3").out


def test_on_error_fail_stops_at_the_first(avfeat_command, tmp_path: Path, short: Path) -> None:
    for name in ("a.m4a", "c.m4a"):
        shutil.copy(short, tmp_path / name)
    (tmp_path / "b.m4a").write_bytes(b"")
    ran = avfeat_command("embed", "a.m4a", "b.m4a", "c.m4a", "-o", "out", "--on-error", "fail")
    assert ran.status == 1
    assert files_in(tmp_path / "out") == ["a.m4a.npz", "failures.jsonl"]


def test_on_error_fail_keeps_what_is_known_of_files_behind(avfeat_command, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    avfeat_command("embed", "a.mp4", "b.mp4", "-o", "out")
    avfeat_command("embed", "a.mp4", "b.mp4", "-o", "out", "--on-error", "fail")
    assert failures_in(tmp_path / "out") == {"a.mp4": "empty", "b.mp4": "empty"}


def test_on_error_fail_writes_no_table(avfeat_command, tmp_path: Path, short: Path) -> None:
    (tmp_path / "empty.m4a").write_bytes(b"")
    ran = avfeat_command("embed", "empty.m4a", short, "-o", "all.jsonl", "--on-error", "fail")
    assert ran.status == 1
    assert files_in(tmp_path) == ["empty.m4a"]


def test_folder_into_one_table(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    ran = avfeat_command("embed", mixed, "-o", "all.parquet")
    assert ran.status == 1 and "3 embedded, 3 failed" in ran.out
    assert files_in(tmp_path) == ["all.parquet"]
    sources = pyarrow.parquet.read_table(tmp_path / "all.parquet")["source"].to_pylist()
    assert sorted(set(sources)) == sorted(str(mixed / name) for name in ("good.mp4", "silent.mkv", "sub/sound.m4a"))


def test_shards_do_all_the_work_once(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    counts = [avfeat_command("embed", mixed, "-o", "out", "--shard", f"{index}/4").status for index in range(1, 5)]
    assert counts.count(1) >= 1
    assert files_in(tmp_path / "out") == [
        "failures.jsonl",
        "good.mp4.npz",
        "silent.mkv.npz",
        "sub/sound.m4a.npz",
    ]
    assert len(failures_in(tmp_path / "out")) == 3


def test_number_of_workers_changes_nothing(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    for workers in (1, 4):
        avfeat_command("embed", mixed, "-o", f"out{workers}", "--workers", workers)
    assert files_in(tmp_path / "out1") == files_in(tmp_path / "out4")
    one, four = (load_rows(tmp_path / f"out{workers}" / "good.mp4.npz") for workers in (1, 4))
    for name in VECTORS:
        np.testing.assert_allclose(one[name], four[name], rtol=1e-4, atol=1e-4)


def test_damaged_media_is_embedded_with_a_warning(tmp_path: Path, cut: Path) -> None:
    ran = process("embed", cut, cwd=tmp_path)
    err = ran.stderr.decode()
    assert ran.returncode == 0
    assert [line for line in sentences(err) if line.startswith(f"warning: {cut}: damaged")]
    assert meta_of(tmp_path / "cut.ts.npz")["damaged"] is True


def test_damaged_media_is_a_failure_with_strict(avfeat_command, tmp_path: Path, cut: Path, short: Path) -> None:
    ran = avfeat_command("embed", cut, short, "-o", "out", "--strict")
    assert ran.status == 1
    assert failures_in(tmp_path / "out") == {"cut.ts": "damaged"}
    assert files_in(tmp_path / "out") == ["failures.jsonl", "short.m4a.npz"]


def test_strict_counts_for_lines_on_stdout_too(avfeat_command, cut: Path) -> None:
    assert avfeat_command("embed", cut, "-o", "-").status == 0
    ran = avfeat_command("embed", cut, "-o", "-", "--strict")
    assert ran.status == 1
    assert sentences(ran.err)[0].startswith(f"error: {cut}: damaged")


def test_strict_run_does_not_take_over_what_a_lenient_one_did(avfeat_command, cut: Path, short: Path) -> None:
    assert avfeat_command("embed", cut, short, "-o", "out").status == 0
    assert avfeat_command("embed", cut, short, "-o", "out", "--strict").status == 1


def test_lines_on_stdout_are_the_rows_of_the_file(avfeat_command, tmp_path: Path, clip: Path) -> None:
    ran = avfeat_command("embed", clip, "-o", "-", "--hop", "0.7")
    assert (ran.status, files_in(tmp_path)) == (0, [])
    avfeat_command("embed", clip, "-o", "F.npz", "--hop", "0.7")
    lines, rows = [json.loads(line) for line in ran.out.splitlines()], load_rows(tmp_path / "F.npz")
    assert len(lines) == len(rows["start"]) == 6
    for index, line in enumerate(lines):
        assert list(line) == ["source", "window", "start", "end", *VECTORS]
        assert (line["source"], line["window"]) == (str(clip), index)
        assert (line["start"], line["end"]) == (rows["start"][index], rows["end"][index])
        for name in VECTORS:
            np.testing.assert_array_equal(np.array(line[name], np.float32), rows[name][index])


@pytest.mark.parametrize("start", [-0.5, 1.25, 100.0])
def test_rows_begin_at_the_start(
    avfeat_command, tmp_path: Path, clip: Path, encoder: Encoder, start: float
) -> None:
    expected = encoder.embed(clip, hop=1.0, start=start)
    assert expected.start[0] == start
    times = ("--hop", "1", "--start", start, "--device", "cpu")
    assert avfeat_command("embed", clip, "-o", "F.npz", *times).status == 0
    check_same(load_rows(tmp_path / "F.npz"), expected)
    assert (meta_of(tmp_path / "F.npz")["start"], meta_of(tmp_path / "F.npz")["hop"]) == (start, 1.0)
    lines = avfeat_command("embed", clip, "-o", "-", *times).out.splitlines()
    assert [json.loads(line)["start"] for line in lines] == expected.start.tolist()


def test_another_start_is_work_to_do(avfeat_command, tmp_path: Path, short: Path) -> None:
    for name in ("a.m4a", "b.m4a"):
        shutil.copy(short, tmp_path / name)
    for start, state in (("-0.5", "2 embedded"), ("-0.5", "0 embedded, 2 up to date"), ("0", "2 embedded")):
        ran = avfeat_command("embed", ".", "-o", "out", "--start", start)
        assert ran.out.startswith(f"{state} -> out"), start


def test_lines_on_stdout_have_null_for_a_missing_modality(avfeat_command, mixed: Path) -> None:
    line = json.loads(avfeat_command("embed", mixed / "silent.mkv", "-o", "-").out)
    assert line["audio"] is None and line["audio_shared"] is None
    graph = avfeat.Bundle.open(find_bundle()).video_graph
    assert (len(line["video"]), len(line["video_shared"])) == (graph.features.shape[1], graph.shared.shape[1])


def test_lines_on_stdout_of_many_inputs(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    ran = avfeat_command("embed", mixed, "-o", "-")
    sources = [Path(json.loads(line)["source"]).name for line in ran.out.splitlines()]
    assert ran.status == 1 and sources == ["good.mp4"] * 3 + ["silent.mkv"] + ["sound.m4a"] * 2
    assert len(sentences(ran.err)) == 3 and files_in(tmp_path) == []


def test_equal_names_do_not_clash_on_stdout(avfeat_command, tmp_path: Path, short: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        shutil.copy(short, tmp_path / folder / "a.m4a")
    ran = avfeat_command("embed", "x", "y", "-o", "-")
    assert ran.status == 0
    assert [json.loads(line)["source"] for line in ran.out.splitlines()] == ["x/a.m4a", "y/a.m4a"]


def test_reader_that_leaves_early_is_no_traceback(tmp_path: Path, clip: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "embed", str(clip), "-o", "-", "--hop", "0.1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert json.loads(running.stdout.readline())["window"] == 0
        running.stdout.close()
        assert sentences(running.stderr.read().decode()) == []
        assert running.wait(60) == 1


@pytest.mark.parametrize("media", ["clip", "other_clip", "index_last"])
def test_piped_media_gives_the_rows_of_the_file(
    tmp_path: Path, encoder: Encoder, request: pytest.FixtureRequest, media: str
) -> None:
    path = request.getfixturevalue(media)
    ran = process("embed", "-", "-o", "F.npz", "--device", "cpu", cwd=tmp_path, input=path.read_bytes())
    assert (ran.returncode, sentences(ran.stderr.decode())) == (0, [])
    check_same(load_rows(tmp_path / "F.npz"), encoder.embed(path))
    assert meta_of(tmp_path / "F.npz")["source"] == "<stdin>"


def test_redirected_media_gives_the_rows_of_the_file(tmp_path: Path, encoder: Encoder, index_last: Path) -> None:
    with index_last.open("rb") as stdin:
        ran = process("embed", "-", "--device", "cpu", cwd=tmp_path, stdin=stdin)
    assert ran.returncode == 0
    check_same(load_rows(tmp_path / "stdin.npz"), encoder.embed(index_last))


@pytest.mark.parametrize(("content", "why"), [(b"", "no bytes"), (b"this is no video\n" * 50, "not a media file")])
def test_bad_stdin_is_one_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    ran = process("embed", "-", cwd=tmp_path, input=content)
    (sentence,) = sentences(ran.stderr.decode())
    assert ran.returncode == 1
    assert sentence.startswith("error: <stdin>: ") and why in sentence
    assert files_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_closed_stdin_does_not_matter_to_files(tmp_path: Path, short: Path) -> None:
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "embed", str(short)],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert (ran.returncode, sentences(ran.stderr.decode())) == (0, [])


USAGE = {
    "no input": (["embed"], "Name at least one file"),
    "hop of nothing": (["embed", "a.mp4", "--hop", "0"], "hop must be"),
    "hop backwards": (["embed", "a.mp4", "--hop", "-1"], "hop must be"),
    "hop that is no number": (["embed", "a.mp4", "--hop", "nan"], "hop must be"),
    "start that is no number": (["embed", "a.mp4", "--start", "nan"], "start must be"),
    "start in words": (["embed", "a.mp4", "--start", "first"], "--start"),
    "shard 0 of 0": (["embed", "a.mp4", "--shard", "0/0"], "--shard must be I/N"),
    "shard 3 of 2": (["embed", "a.mp4", "--shard", "3/2"], "--shard must be I/N"),
    "shard without a count": (["embed", "a.mp4", "--shard", "1"], "--shard must be I/N"),
    "shard of words": (["embed", "a.mp4", "--shard", "one/two"], "--shard must be I/N"),
    "format": (["embed", "a.mp4", "--format", "zip"], "--format"),
    "suffix": (["embed", "a.mp4", "-o", "F.npz", "--format", "jsonl"], "contradicts --format"),
    "npz on stdout": (["embed", "a.mp4", "-o", "-", "--format", "npz"], "Only jsonl can go to stdout"),
    "device": (["embed", "a.mp4", "--device", "tpu"], "--device"),
    "backend": (["embed", "a.mp4", "--backend", "tensorflow"], "--backend"),
    "no workers": (["embed", "a.mp4", "--workers", "0"], "--workers"),
    "on error": (["embed", "a.mp4", "--on-error", "panic"], "--on-error"),
    "list": (["embed", "--list", "nowhere"], "the list cannot be read"),
    "shared outputs": (["embed", "x/a.mp4", "y/a.mp4"], "would share the output"),
    "a table of another kind": (
        ["embed", "a.mp4", "-o", "x.csv"],
        "x.csv: no output is called .csv; give a folder",
    ),
    "media as output": (["embed", "a.mp4", "b.mp4", "-o", "c.mp4"], "c.mp4: no output is called .mp4"),
    "track below 0": (["embed", "a.mp4", "--audio-track", "-1"], "audio_track must be a whole number"),
    "no time": (["embed", "a.mp4", "--timeout", "0"], "timeout must be a positive number"),
    "empty list": (["embed", "--list", os.devnull], "Name at least one file"),
    "option": (["embed", "a.mp4", "--speed", "9"], "--speed"),
    "command": (["transmogrify"], "transmogrify"),
}


@pytest.mark.parametrize(("arguments", "why"), USAGE.values(), ids=USAGE)
def test_wrong_usage(avfeat_command, tmp_path: Path, arguments: list[str], why: str) -> None:
    ran = avfeat_command(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert why in ran.err and "Traceback" not in ran.err
    assert files_in(tmp_path) == []


def test_a_folder_without_media_is_an_input_that_failed(avfeat_command, tmp_path: Path, short: Path) -> None:
    (tmp_path / "bare").mkdir()
    shutil.copy(short, tmp_path / "a.m4a")
    ran = avfeat_command("embed", "bare", "a.m4a", "-o", "out")
    assert ran.status == 1 and "error: bare: the folder is empty: no media file is in it" in ran.err
    assert (tmp_path / "out" / "a.m4a.npz").exists()
    assert '"source": "bare", "reason": "empty"' in (tmp_path / "out" / "failures.jsonl").read_text()


def test_an_empty_folder_leaves_nothing_elsewhere(avfeat_command, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for arguments in (["bare"], ["bare", "-o", "-"]):
        ran = avfeat_command("embed", *arguments)
        assert ran.status == 1 and ran.err.count("the folder is empty") == 1
    assert files_in(tmp_path) == []
    assert "empty" in avfeat_command("embed", "bare", "--dry-run").out


def test_what_is_left_out_of_a_folder_is_said(avfeat_command, tmp_path: Path, short: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(short, tmp_path / "in" / "a.m4a")
    for name in ("b.txt", "c.txt", "d.jpg", "e", ".hidden", "f.npz"):
        (tmp_path / "in" / name).write_text("x")
    ran = avfeat_command("embed", "in", "-o", "out")
    assert ran.status == 0
    assert "note: left out as no media by suffix: 2 .txt, 1 .jpg, 1 no suffix; name such files" in ran.err
    assert "left out" not in avfeat_command("embed", "in/a.m4a", "-o", "out").err


def test_a_quoted_pattern_is_a_sentence_with_the_remedy(avfeat_command, tmp_path: Path) -> None:
    ran = avfeat_command("embed", "clips/*.mp4")
    assert ran.status == 1
    assert (
        "clips/*.mp4: no such file; patterns are for the shell: leave the quotes away, or name the folder."
        in ran.err
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_list_in_any_unicode(avfeat_command, tmp_path: Path, short: Path, encoding: str) -> None:
    shutil.copy(short, tmp_path / "größe.m4a")
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    (tmp_path / "list.txt").write_bytes((mark + "größe.m4a\r\n\r\n").encode(encoding))
    ran = avfeat_command("embed", "--list", "list.txt", "-o", "out")
    assert ran.status == 0 and (tmp_path / "out" / "größe.m4a.npz").exists()


@pytest.mark.parametrize("data", ["a.m4a\n".encode("utf-16-le"), b"\xff\xfea", b"\xff\xfe\x00\xd8"])
def test_a_list_that_is_no_text_is_refused(avfeat_command, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(data)
    ran = avfeat_command("embed", "--list", "list.txt", "-o", "out")
    assert ran.status == 2 and "list.txt: the list is not" in ran.err and "save it as UTF-8." in ran.err


def test_limits_are_failures_with_their_reasons(avfeat_command, tmp_path: Path, clip: Path) -> None:
    cases = {
        "--max-duration": ("3", "too_long"),
        "--timeout": ("0.000001", "timeout"),
        "--max-pixels": ("99", "too_large"),
    }
    for option, (value, reason) in cases.items():
        ran = avfeat_command("embed", clip, clip.parent / "nowhere.mp4", "-o", f"out{option}", option, value)
        assert ran.status == 1
        assert f'"reason": "{reason}"' in (tmp_path / f"out{option}" / "failures.jsonl").read_text()
        assert avfeat_command("embed", clip, "-o", "-", option, value).status == 1
        assert avfeat_command("embed", clip, option, "-1").status == 2


def test_another_track_is_work_to_do(avfeat_command, tmp_path: Path, clip: Path) -> None:
    assert avfeat_command("embed", clip, "-o", "out/").status == 0
    assert "up to date" in avfeat_command("embed", clip, "-o", "out/").out
    again = avfeat_command("embed", clip, "-o", "out/", "--audio-track", "0")
    assert again.status == 0 and "up to date" not in again.out
    assert "up to date" in avfeat_command("embed", clip, "-o", "out/", "--audio-track", "0").out
    missing = avfeat_command("embed", clip, "-o", "out/", "--audio-track", "7")
    assert missing.status == 1 and "has no audio track 7; it has 1, counted from 0." in missing.err


def test_dry_run_writes_nothing(avfeat_command, tmp_path: Path, mixed: Path) -> None:
    ran = avfeat_command("embed", mixed, "nowhere.mp4", "-o", "out", "--dry-run")
    assert ran.status == 0 and files_in(tmp_path) == [] and not (tmp_path / "out").exists()
    assert ran.out.count("pending") == 7
    for word in ("5.3", "empty", "unreadable", "no_streams", "not_found"):
        assert word in ran.out


def test_dry_run_knows_what_is_done(avfeat_command, tmp_path: Path, short: Path) -> None:
    for name in ("a.m4a", "b.m4a"):
        shutil.copy(short, tmp_path / name)
    avfeat_command("embed", "a.m4a", "b.m4a", "-o", "out", "--shard", "1/2")
    before = files_in(tmp_path)
    ran = avfeat_command("embed", "a.m4a", "b.m4a", "-o", "out", "--dry-run")
    assert ran.out.count("up to date") == 1 and ran.out.count("pending") == 1
    assert files_in(tmp_path) == before


def test_missing_file_is_one_sentence(avfeat_command, tmp_path: Path) -> None:
    ran = avfeat_command("embed", "nowhere.mp4")
    assert (ran.status, sentences(ran.err)) == (1, ["error: nowhere.mp4: no such file."])
    assert "1 failed" in ran.out and "None" not in ran.out
    assert files_in(tmp_path) == []


def test_missing_bundle_is_one_sentence(avfeat_command, short: Path) -> None:
    ran = avfeat_command("embed", short, "--model", "nowhere")
    assert ran.status == 1
    said = "nowhere: no such bundle; give the folder that holds bundle.json, or base or base-int8, which ship."
    assert ran.err == f"error: {said}\n"


def test_output_that_cannot_be_written_is_one_sentence(avfeat_command, tmp_path: Path, short: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = avfeat_command("embed", short, "-o", "file/F.npz")
    (sentence,) = sentences(ran.err)
    assert ran.status == 1 and sentence.startswith("error: file/F.npz: cannot be written")


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime knows CUDA"
)
def test_cuda_that_is_not_there_is_one_sentence(avfeat_command, tmp_path: Path, short: Path) -> None:
    ran = avfeat_command("embed", short, "--device", "cuda")
    assert (ran.status, ran.out, files_in(tmp_path)) == (1, "", [])
    assert ran.err.startswith("error: CUDA was asked for") and ran.err.count("\n") == 1


def test_without_onnxruntime_the_extra_is_named(
    avfeat_command, monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = avfeat_command("embed", short)
    assert ran.status == 1 and "pip install 'avfeat[cpu]'" in ran.err and ran.err.count("\n") == 1


def test_missing_package_of_a_format_is_said_before_any_work(
    avfeat_command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short: Path
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    ran = avfeat_command("embed", short, "nowhere.mp4", "-o", "out", "--format", "h5")
    assert ran.status == 1 and files_in(tmp_path) == []
    assert sentences(ran.err) == ["error: h5py is not installed; run: pip install 'avfeat[h5]'"]


@pytest.mark.parametrize(("debug", "traceback"), [("1", True), ("0", False)])
def test_traceback_only_for_those_who_ask(tmp_path: Path, debug: str, traceback: bool) -> None:
    ran = process("embed", "a.mp4", "--model", "nowhere", cwd=tmp_path, env={**os.environ, "AVFEAT_DEBUG": debug})
    assert ran.returncode == 1
    assert (b"Traceback" in ran.stderr) is traceback
    assert b"nowhere: no such bundle" in ran.stderr


def test_torch_is_not_imported(tmp_path: Path, short: Path) -> None:
    code = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); "
    command = [sys.executable, "-c", code + "from avfeat.cli import main; main()", "embed", short]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert ran.returncode == 0 and ran.stdout.decode().splitlines()[-1] == "False"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_name_of_one_file(avfeat_command, tmp_path: Path, short: Path, name: str) -> None:
    shutil.copy(short, tmp_path / name)
    ran = avfeat_command("embed", "--", name)
    assert (ran.status, sentences(ran.err)) == (0, [])
    assert files_in(tmp_path) == sorted([name, f"{name}.npz"])
    assert f"{name}.npz" in ran.out
    assert meta_of(tmp_path / f"{name}.npz")["source"] == name


def test_odd_names_in_a_folder(avfeat_command, tmp_path: Path, short: Path) -> None:
    for name in ODD_NAMES:
        shutil.copy(short, tmp_path / name)
    plan = avfeat_command("embed", ".", "-o", "out", "--dry-run")
    assert plan.status == 0 and all(name in plan.out for name in ODD_NAMES)
    ran = avfeat_command("embed", ".", "-o", "out")
    assert ran.status == 0 and f"{len(ODD_NAMES)} embedded" in ran.out
    assert files_in(tmp_path / "out") == sorted(f"{name}.npz" for name in ODD_NAMES)
    assert f"{len(ODD_NAMES)} up to date" in avfeat_command("embed", ".", "-o", "out").out


def test_odd_names_that_fail(avfeat_command, tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).write_bytes(b"")
    ran = avfeat_command("embed", ".", "-o", "out")
    assert ran.status == 1
    assert sorted(failures_in(tmp_path / "out")) == sorted(ODD_NAMES)
    assert sorted(sentences(ran.err)) == sorted(f"error: {name}: the file is empty." for name in ODD_NAMES)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
@pytest.mark.parametrize("form", ["npz", "jsonl"])
def test_names_that_are_no_text_do_not_stop_the_others(
    avfeat_command, tmp_path: Path, short: Path, form: str
) -> None:
    for name in (b"\xfe.m4a", b"z.m4a"):
        shutil.copy(short, os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118
    Path(os.path.join(os.fsdecode(tmp_path), os.fsdecode(b"\xff.m4a"))).write_bytes(b"")  # noqa: PTH118
    ran = avfeat_command("embed", ".", "-o", "out", "--format", form)
    assert ran.status == 1 and "2 embedded, 1 failed" in ran.out
    assert len((tmp_path / "out" / "failures.jsonl").read_bytes().splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
@pytest.mark.parametrize("out", ["out-npz/", "out-npy/", "out-h5/", "all.jsonl", "all.parquet"])
def test_a_killed_job_leaves_no_part_after_the_next_run(
    avfeat_command, tmp_path: Path, short: Path, out: str
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(6):
        shutil.copy(short, tmp_path / "in" / f"{number}.m4a")
    folder = out.endswith("/")
    words = ["embed", "in", "-o", out, "--workers", 1, *(["--format", out[4:-1]] if folder else [])]
    rng = random.Random(out)
    killed = begun(*words, cwd=tmp_path, until=lambda: files_in(tmp_path / out) if folder else parts_in(tmp_path))
    time.sleep(rng.uniform(0, 0.2))
    killed.kill()
    killed.communicate()
    # A table is a part until its end.
    assert folder or killed.returncode == 0 or parts_in(tmp_path)
    assert avfeat_command(*words).status == 0
    assert parts_in(tmp_path) == []
    assert (tmp_path / out).exists() and (not folder or len(list((tmp_path / out).glob("*.m4a.*"))) == 6)


def parts_in(folder: Path) -> list[Path]:
    return list(folder.rglob(".avfeat-*.part"))


def test_jobs_are_isolated_unless_that_is_not_wanted(
    avfeat_command, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[bool] = []
    real = Encoder.embed_many

    def noted(self: Encoder, sources, **options):
        chosen.append(options["isolate"])
        return real(self, sources, **options)

    monkeypatch.setattr(Encoder, "embed_many", noted)
    for words in ([], ["-o", "out/"], ["-o", "out/", "--overwrite", "--no-isolate"]):
        assert avfeat_command("embed", short, *words).status == 0
    assert chosen == [False, True, False]
