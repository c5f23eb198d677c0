from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import avfeat
from avfeat import BackendError, Embedding, OutputError
from avfeat.errors import FullDiskError
from avfeat.writers import FORMATS
from avfeat.writers.atomic import atomic, sweep
from avfeat.writers.journal import OutputJournal
from avfeat.writers.jsonl import embedding_lines

ARRAYS = ["start", "end", "video", "audio", "video_shared", "audio_shared", "has_video", "has_audio"]
VECTORS = ["video", "audio", "video_shared", "audio_shared"]
COLUMNS = ["source", "window", "start", "end", *VECTORS]
META = {"source", "bundle", "sha256", "hop", "start", "seconds", "duration", "avfeat", "damaged", "damage"}
DAMAGE = ("a corrupt packet",)


@pytest.fixture
def embedding() -> Embedding:
    """Awkward numbers: video is missing in the last window, audio in the first."""
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal((4, 6 if "shared" in name else 9)).astype(np.float32) for name in VECTORS}
    values["video"][0, :6] = [1 / 3, 1e-38, -3.4028235e38, 1.17549435e-38, 16777217, -0.0]
    has_video, has_audio = np.array([True, True, True, False]), np.array([False, True, True, True])
    for name, rows in values.items():
        rows[~(has_video if name.startswith("video") else has_audio)] = 0
    start = np.array([-0.1, 0.1, 0.2, 0.30000000000000004])
    return Embedding(
        start=start,
        end=start + 2,
        has_video=has_video,
        has_audio=has_audio,
        source="a folder/ü—日本.mp4",
        bundle="c0ffee" * 10 + "c0de",
        seconds=2.0,
        hop=0.1,
        duration=2.345678,
        damaged=True,
        damage=DAMAGE,
        **values,
    )


def mask_of(embedding: Embedding, name: str) -> np.ndarray:
    return embedding.has_video if name.startswith("video") else embedding.has_audio


def check_rows(embedding: Embedding, rows: list[dict]) -> None:
    """Rows of a table are the windows, with nulls where a modality is missing."""
    assert len(rows) == len(embedding)
    for index, row in enumerate(rows):
        assert list(row) == COLUMNS
        assert (row["source"], row["window"]) == (embedding.source, index)
        assert (row["start"], row["end"]) == (embedding.start[index], embedding.end[index])
        for name in VECTORS:
            if mask_of(embedding, name)[index]:
                np.testing.assert_array_equal(np.array(row[name], np.float32), getattr(embedding, name)[index])
            else:
                assert row[name] is None


def check_meta(embedding: Embedding, meta: dict) -> None:
    assert set(meta) == META
    for name in ("source", "bundle", "hop", "seconds", "duration", "damaged"):
        assert meta[name] == getattr(embedding, name)
    assert meta["start"] == embedding.start[0]
    assert meta["avfeat"] == avfeat.__version__
    assert meta["damage"] == list(DAMAGE)


def test_npz_holds_exactly_the_arrays_and_meta(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["npz"].write(tmp_path / "a.npz", embedding)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == sorted([*ARRAYS, "meta"])
        for name in ARRAYS:
            expected = getattr(embedding, name)
            assert arrays[name].dtype == expected.dtype
            np.testing.assert_array_equal(arrays[name], expected)
        check_meta(embedding, json.loads(str(arrays["meta"])))


def test_npy_holds_the_pooled_vector(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["npy"].write(tmp_path / "a.npy", embedding)
    vector = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, embedding.pooled())


def test_jsonl_rows_are_exact(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["jsonl"].write(tmp_path / "a.jsonl", embedding)
    content = (tmp_path / "a.jsonl").read_bytes()
    assert content.endswith(b"\n") and content.count(b"\n") == len(embedding)
    assert embedding.source.encode() in content
    check_rows(embedding, [json.loads(line) for line in content.split(b"\n")[:-1]])


def test_embedding_lines_are_the_lines_of_the_file(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["jsonl"].write(tmp_path / "a.jsonl", embedding)
    assert list(embedding_lines(embedding)) == (tmp_path / "a.jsonl").read_text("utf-8").split("\n")[:-1]


def test_parquet_rows_are_exact(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["parquet"].write(tmp_path / "a.parquet", embedding)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    check_rows(embedding, table.to_pylist())
    check_meta(embedding, json.loads(table.schema.metadata[b"meta"]))


def test_parquet_vectors_are_fixed_size_float32_lists(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["parquet"].write(tmp_path / "a.parquet", embedding)
    schema = pyarrow.parquet.read_schema(tmp_path / "a.parquet")
    assert schema.names == COLUMNS
    for name in VECTORS:
        kind = schema.field(name).type
        assert pyarrow.types.is_fixed_size_list(kind) and kind.value_type == pyarrow.float32()
        assert kind.list_size == getattr(embedding, name).shape[1]
    assert schema.field("start").type == schema.field("end").type == pyarrow.float64()
    assert schema.field("window").type == pyarrow.int64() and schema.field("source").type == pyarrow.string()


def open_table(form: str, path: Path) -> AbstractContextManager[Callable[[Embedding], None]]:
    table = FORMATS[form].table
    assert table is not None
    return table(path)


def test_parquet_table_of_many_embeddings(tmp_path: Path, embedding: Embedding) -> None:
    other = replace(embedding, source="other.mp4", has_video=np.zeros(4, dtype=bool))
    with open_table("parquet", tmp_path / "all.parquet") as add:
        add(embedding)
        add(other)
    rows = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pylist()
    check_rows(embedding, rows[:4])
    check_rows(other, rows[4:])


def test_h5_columns_are_exact(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["h5"].write(tmp_path / "a.h5", embedding)
    with h5py.File(tmp_path / "a.h5") as store:
        assert sorted(store) == sorted({*ARRAYS, *COLUMNS})
        for name in ARRAYS:
            expected = getattr(embedding, name)
            assert store[name].dtype == expected.dtype
            np.testing.assert_array_equal(store[name][:], expected)
        assert list(store["source"].asstr()) == [embedding.source] * 4
        assert list(store["window"]) == [0, 1, 2, 3]
        check_meta(embedding, json.loads(store.attrs["meta"]))


def test_h5_table_has_the_columns_of_all_embeddings(tmp_path: Path, embedding: Embedding) -> None:
    path, many = tmp_path / "all.h5", [replace(embedding, source=f"{number}.mp4") for number in range(40)]
    with open_table("h5", path) as add:
        for each in many:
            add(each)
    FORMATS["h5"].write(tmp_path / "one.h5", embedding)
    with h5py.File(path) as store, h5py.File(tmp_path / "one.h5") as one:
        assert sorted(store) == sorted([*one, "metas"])
        for name in ARRAYS:
            assert store[name].dtype == one[name].dtype
            np.testing.assert_array_equal(store[name][:], np.concatenate([getattr(each, name) for each in many]))
        assert list(store["source"].asstr()) == [f"{number // 4}.mp4" for number in range(160)]
        assert list(store["window"]) == [0, 1, 2, 3] * 40


def test_h5_table_of_one_modality(tmp_path: Path, embedding: Embedding) -> None:
    nothing = np.zeros((4, 0), np.float32)
    with open_table("h5", tmp_path / "all.h5") as add:
        for _ in range(2):
            add(replace(embedding, video=nothing, video_shared=nothing))
    with h5py.File(tmp_path / "all.h5") as store:
        assert store["video"].shape == (8, 0) and store["audio"].shape == (8, embedding.audio.shape[1])


def test_damage_to_an_h5_table_is_noticed_by_who_reads_it(tmp_path: Path, embedding: Embedding) -> None:
    path = tmp_path / "all.h5"
    with open_table("h5", path) as add:
        add(embedding)
    content = bytearray(path.read_bytes())
    content[content.index(embedding.audio[2].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with h5py.File(path) as store, pytest.raises(OSError, match="filter returned failure"):
        store["audio"][:]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "h5"])
def test_table_that_is_not_finished_leaves_the_one_before(tmp_path: Path, embedding: Embedding, form: str) -> None:
    path = tmp_path / f"all.{form}"
    with open_table(form, path) as add:
        add(embedding)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), open_table(form, path) as add:
        add(replace(embedding, source="other.mp4"))
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_meta_reads_back(tmp_path: Path, embedding: Embedding, form: str) -> None:
    FORMATS[form].write(tmp_path / f"a.{form}", embedding)
    check_meta(embedding, FORMATS[form].read_meta(tmp_path / f"a.{form}"))


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_truncated_file_has_no_meta(tmp_path: Path, embedding: Embedding, form: str) -> None:
    whole, cut = tmp_path / f"whole.{form}", tmp_path / f"cut.{form}"
    FORMATS[form].write(whole, embedding)
    content = whole.read_bytes()
    lengths = {*range(0, len(content), 1 + len(content) // 150), *range(len(content) - 40, len(content))}
    for length in lengths:
        cut.write_bytes(content[:length])
        assert FORMATS[form].read_meta(cut) is None, length


@pytest.mark.parametrize("form", ["npz", "parquet"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(999)], ids=["empty", "text", "zeros"])
def test_foreign_file_has_no_meta(tmp_path: Path, form: str, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert FORMATS[form].read_meta(tmp_path / "a") is None
    assert FORMATS[form].read_meta(tmp_path / "nowhere") is None


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_a_damaged_byte_never_raises(tmp_path: Path, embedding: Embedding, form: str) -> None:
    FORMATS[form].write(tmp_path / "a", embedding)
    content = (tmp_path / "a").read_bytes()
    # Where the archive's directory is, or the table's footer.
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    last = footer if form == "parquet" else content.index(b"PK\x01\x02")
    for place in (*range(0, last, last // 60), *range(last, len(content), 5)):
        for bit in (1, 64):
            damaged = bytearray(content)
            damaged[place] ^= bit
            (tmp_path / "b").write_bytes(damaged)
            FORMATS[form].read_meta(tmp_path / "b")


def test_parquet_with_a_damaged_row_has_no_meta(tmp_path: Path, embedding: Embedding) -> None:
    path = tmp_path / "a.parquet"
    FORMATS["parquet"].write(path, embedding)
    content = bytearray(path.read_bytes())
    content[content.index(embedding.audio[2].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    assert avfeat.writers.read_parquet_meta(path) is None


def test_npz_with_a_damaged_row_has_no_meta(tmp_path: Path, embedding: Embedding) -> None:
    FORMATS["npz"].write(tmp_path / "a.npz", embedding)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.index(embedding.audio[2].tobytes())
    content[place] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    assert FORMATS["npz"].read_meta(tmp_path / "a.npz") is None


def test_npz_without_an_array_has_no_meta(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", meta=np.array('{"bundle": "x"}'), video=np.zeros(3))
    assert FORMATS["npz"].read_meta(tmp_path / "a.npz") is None


@pytest.mark.parametrize("form", FORMATS)
def test_source_of_any_bytes_can_be_written(tmp_path: Path, embedding: Embedding, form: str) -> None:
    odd = replace(embedding, source="caf\udce9.mp4")
    FORMATS[form].write(tmp_path / f"a.{form}", odd)
    assert (tmp_path / f"a.{form}").stat().st_size > 0


@pytest.mark.parametrize("form", FORMATS)
def test_folders_are_made(tmp_path: Path, embedding: Embedding, form: str) -> None:
    FORMATS[form].write(tmp_path / "deep" / "er" / f"a.{form}", embedding)
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == [f"a.{form}"]


@pytest.mark.parametrize("form", FORMATS)
def test_place_that_cannot_be_written(tmp_path: Path, embedding: Embedding, form: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OutputError, match="cannot be written"):
        FORMATS[form].write(tmp_path / "file" / f"a.{form}", embedding)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("form", "module"), [("parquet", "pyarrow"), ("h5", "h5py")])
def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, form: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    check = FORMATS[form].check
    assert check is not None
    with pytest.raises(BackendError, match=rf"pip install 'avfeat\[{form}\]'"):
        check()


def test_atomic_writes_the_file(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.bin") as file:
        file.write(b"new")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_atomic_leaves_nothing_when_the_block_fails(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic(tmp_path / "a.bin") as file:
        file.write(b"part")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_atomic_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a.bin") as file:
        file.write(b"part")
        raise RuntimeError
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]


def test_atomic_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(FullDiskError, match=r"a\.bin: the disk is full; make room"), atomic(tmp_path / "a.bin"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), atomic(tmp_path / ("a" * 300)):
        raise AssertionError("the work began")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows holds open files itself")
def test_parts_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from avfeat.writers.atomic import atomic, sweep
with atomic(Path({str(tmp_path)!r}) / "a.bin") as file:
    file.write(b"half")
    file.flush()
    print("there", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"there\n"
        sweep(tmp_path)
        assert len(list(tmp_path.glob(".avfeat-*.part"))) == 1
        writer.kill()
        writer.wait()
        assert len(list(tmp_path.glob(".avfeat-*.part"))) == 1
    with atomic(tmp_path / "b.bin") as file:
        file.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.bin"]


def test_atomic_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError), atomic(tmp_path / "a") as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.fixture
def noted(tmp_path: Path, embedding: Embedding) -> Path:
    """An output that the journal of its folder knows."""
    output = tmp_path / "sub" / "a.jsonl"
    FORMATS["jsonl"].write(output, embedding)
    OutputJournal(tmp_path).note(output, embedding)
    return output


def test_journal_remembers_meta(tmp_path: Path, noted: Path, embedding: Embedding) -> None:
    check_meta(embedding, OutputJournal(tmp_path).read(noted))


def test_journal_knows_the_newest_line(tmp_path: Path, noted: Path, embedding: Embedding) -> None:
    OutputJournal(tmp_path).note(noted, replace(embedding, hop=0.7))
    assert OutputJournal(tmp_path).read(noted)["hop"] == 0.7


def test_journal_does_not_vouch_for_a_changed_file(tmp_path: Path, noted: Path) -> None:
    noted.write_bytes(noted.read_bytes()[:-2])
    assert OutputJournal(tmp_path).read(noted) is None


def test_journal_does_not_know_other_files(tmp_path: Path, noted: Path) -> None:
    other = noted.with_name("b.jsonl")
    other.write_bytes(noted.read_bytes())
    assert OutputJournal(tmp_path).read(other) is None


@pytest.mark.parametrize("rest", [b'{"output": "sub/a.j', b"[]", b"3", b"\xff\xff", b'{"output": "sub/a.jsonl"}'])
def test_line_that_was_cut_costs_the_journal_only_itself(
    tmp_path: Path, noted: Path, embedding: Embedding, rest: bytes
) -> None:
    with (tmp_path / ".avfeat-journal.jsonl").open("ab") as file:
        file.write(rest)
    OutputJournal(tmp_path).read(noted)
    OutputJournal(tmp_path).note(noted, embedding)
    check_meta(embedding, OutputJournal(tmp_path).read(noted))
