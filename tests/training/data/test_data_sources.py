from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import sys
import tarfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError, AvfeatError, BackendError, DatasetError, MediaError
from avfeat.media import decode
from avfeat.training.data import SourceItem, open_source
from avfeat.training.data.sources.media import BytesMedia, FileMedia, NoMedia, Region, RegionMedia, SyntheticMedia
from avfeat.world import plan


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def items(data: object) -> list[SourceItem]:
    return list(open_source(str(data)).items)


def names(data: object) -> list[str]:
    return [item.name for item in items(data)]


def labels(data: object) -> dict[str, str | None]:
    return {item.name: item.label for item in items(data)}


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def shard(members: dict[str, bytes], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, data in members.items():
            add(tar, name, data)
    return file.getvalue()


def test_a_file_is_one_item(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    assert names(tmp_path / "a.mp4") == ["a.mp4"]


def test_a_folder_gives_its_media_files_in_order(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "2.MKV", tmp_path / "a.mp4", tmp_path / ".c.mp4", tmp_path / ".d" / "1.mp4")
    touch(tmp_path / "notes.txt", tmp_path / "b" / "1.wav")
    found = open_source(str(tmp_path))
    assert [item.name for item in found.items] == ["a.mp4", "b/1.wav", "b/2.MKV"]
    assert found.count == 3
    assert set(labels(tmp_path).values()) == {None}


def test_folders_are_classes_where_there_are_two_or_more(tmp_path: Path) -> None:
    touch(tmp_path / "cat" / "1.mp4", tmp_path / "cat" / "old" / "1.mp4")
    assert set(labels(tmp_path).values()) == {None}
    touch(tmp_path / "dog" / "1.mp4")
    assert labels(tmp_path) == {"cat/1.mp4": "cat", "cat/old/1.mp4": "cat", "dog/1.mp4": "dog"}
    touch(tmp_path / "0.mp4")
    assert labels(tmp_path) == {"0.mp4": None, "cat/1.mp4": "cat", "cat/old/1.mp4": "cat", "dog/1.mp4": "dog"}


def test_names_do_not_depend_on_where_the_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "x" / "a" / "1.mp4", tmp_path / "x" / "2.mp4")
    shutil.copytree(tmp_path / "x", tmp_path / "elsewhere" / "y")
    monkeypatch.chdir(tmp_path)
    assert names(tmp_path / "x") == names("x") == names("elsewhere/y") == ["2.mp4", "a/1.mp4"]


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="gone: no such file or folder"):
        items(tmp_path / "gone")
    touch(tmp_path / "empty" / "a.tar")
    with pytest.raises(MediaError, match=r"empty: no media file in it; for shards give .*empty/\*\.tar") as raised:
        items(tmp_path / "empty")
    assert raised.value.reason == "empty"
    with pytest.raises(ArgumentError, match="DATA is empty"):
        items("")
    with pytest.raises(ArgumentError, match="only shards can be read from a URL"):
        items("https://example.org/a.mp4")


unix = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs, sockets, devices and links are Unix's")


@unix
def test_folders_give_no_fifos_sockets_and_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The name of a socket must be short.
    monkeypatch.chdir(tmp_path)
    touch(Path("a.mp4"))
    os.mkfifo("b.mp4")
    Path("c.mp4").symlink_to("/dev/zero")
    Path("d.mp4").symlink_to("a.mp4")
    Path("e.mp4").symlink_to("nowhere.mp4")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("f.mp4")
        found = items(".")
    assert [item.name for item in found] == ["a.mp4", "d.mp4", "e.mp4"]
    with pytest.raises(MediaError) as caught:
        found[-1].media.digest()
    assert caught.value.reason == "not_found"


@unix
def test_a_fifo_that_is_named_is_a_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    (tmp_path / "l.txt").write_text("a.mp4\n/dev/zero\n")
    for item in items(tmp_path / "l.txt"):
        with pytest.raises(MediaError, match="is no regular file") as caught:
            item.media.digest()
        assert caught.value.reason == "unreadable"


@pytest.mark.skipif(sys.platform != "linux", reason="a file that cannot be read is in /proc")
def test_files_that_cannot_be_read_are_failures() -> None:
    # It opens as any file does; the first read is an error.
    path = Path("/proc/self/mem")
    for media in (FileMedia(path), RegionMedia(path, "a.mp4", 0, 100)):
        with pytest.raises(MediaError, match=r"/proc/self/mem.*: cannot be read \(Input/output error\)") as caught:
            media.digest()
        assert caught.value.reason == "unreadable"
    with path.open("rb") as file, pytest.raises(MediaError, match="the name: cannot be read"):
        decode(Region(file, 0, 100, "the name"))  # type: ignore[arg-type]


def test_a_path_that_exists_wins_over_options(tmp_path: Path) -> None:
    touch(tmp_path / "what?now=yes.mp4", tmp_path / "odd?" / "a.mp4")
    assert names(tmp_path / "what?now=yes.mp4") == ["what?now=yes.mp4"]
    assert names(tmp_path / "odd?") == ["a.mp4"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("splt=train", "a folder has no option 'splt'; there are: dataset"),
        ("a", "must be key=value, not 'a'"),
        ("a=1&a=2", "a is given twice"),
    ],
)
def test_options_that_are_none(tmp_path: Path, query: str, says: str) -> None:
    touch(tmp_path / "a.mp4")
    with pytest.raises(ArgumentError, match=says):
        items(f"{tmp_path}?{query}")


# AVE


@pytest.fixture
def ave(tmp_path: Path) -> Path:
    root = tmp_path / "AVE_Dataset"
    rows = ["Church bell&-abcdefghij&good&0&10", "Frying (food)&bbbbbbbbbbb&good&2&8", "Goat&-abcdefghij&good&0&10"]
    touch(root / "AVE" / "-abcdefghij.mp4", root / "AVE" / "bbbbbbbbbbb.mp4", root / "AVE" / "notlisted00.mp4")
    rows.insert(2, "Male speech, man speaking&ccccccccccc&good&0&10")
    (root / "Annotations.txt").write_text("Category&VideoID&Quality&StartTime&EndTime\n" + "\n".join(rows) + "\n")
    (root / "trainSet.txt").write_text(f"{rows[0]}\n{rows[2]}\n")
    (root / "testSet.txt").write_text(rows[1])
    return root


def test_ave_takes_each_video_once_with_its_last_label(ave: Path) -> None:
    assert labels(ave) == {
        "ave/-abcdefghij": "Goat",
        "ave/bbbbbbbbbbb": "Frying (food)",
        "ave/ccccccccccc": "Male speech, man speaking",
    }
    assert [item.media.name for item in items(ave)] == [
        str(ave / "AVE" / f"{name}.mp4") for name in ("-abcdefghij", "bbbbbbbbbbb", "ccccccccccc")
    ]


def test_ave_without_the_line_of_names_is_the_same(ave: Path) -> None:
    before = labels(ave)
    text = (ave / "Annotations.txt").read_text()
    (ave / "Annotations.txt").write_text(text.partition("\n")[2])
    assert labels(ave) == before


@pytest.mark.parametrize("folder", ["AVE_video", "data", "videos", "."])
def test_ave_videos_may_lie_in_other_folders(ave: Path, folder: str) -> None:
    (ave / folder).mkdir(exist_ok=True)
    for path in (ave / "AVE").iterdir():
        path.rename(ave / folder / path.name)
    assert [Path(item.media.name).is_file() for item in items(ave)] == [True, True, False]


@pytest.mark.parametrize("folder", ["data", "texts"])
def test_ave_annotations_may_lie_in_a_folder(ave: Path, folder: str) -> None:
    before = labels(ave)
    (ave / folder).mkdir()
    for path in ave.glob("*.txt"):
        path.rename(ave / folder / path.name)
    assert labels(ave) == before and labels(f"{ave}?split=test") == {"ave/bbbbbbbbbbb": "Frying (food)"}


def test_ave_videos_that_are_not_there_stay_in_the_list(ave: Path) -> None:
    found = {item.name: item.media for item in items(f"{ave}?split=train")}
    assert list(found) == ["ave/-abcdefghij", "ave/ccccccccccc"]
    with pytest.raises(MediaError, match=r"ccccccccccc\.mp4: no such file") as caught:
        found["ave/ccccccccccc"].digest()
    assert caught.value.reason == "not_found"


@unix
def test_ave_takes_no_fifo_for_a_video(ave: Path) -> None:
    os.mkfifo(ave / "AVE" / "ccccccccccc.mp4")
    media = items(f"{ave}?split=train")[1].media
    with pytest.raises(MediaError, match=r"ccccccccccc\.mp4: is no regular file"):
        media.digest()
    touch(ave / "data" / "ccccccccccc.mp4")
    assert items(f"{ave}?split=train")[1].media == FileMedia(ave / "data" / "ccccccccccc.mp4")


def test_ave_says_what_is_wrong(ave: Path) -> None:
    with pytest.raises(ArgumentError, match="AVE has no split 'trian'; did you mean 'train'"):
        items(f"{ave}?split=trian")
    with pytest.raises(ArgumentError, match="an AVE root has no option 'spilt'; did you mean 'split'"):
        items(f"{ave}?spilt=train")
    with pytest.raises(DatasetError, match=r"valSet.txt: is missing"):
        items(f"{ave}?split=val")
    (ave / "valSet.txt").write_text("Goat&unknown&good&0&10\n")
    with pytest.raises(DatasetError, match=r"valSet.txt: names Goat of unknown, which Annotations.txt does not"):
        items(f"{ave}?split=val")
    (ave / "Annotations.txt").write_text("Goat&x&good&0\n")
    with pytest.raises(DatasetError, match="line 1: not Category&VideoID"):
        items(ave)


# CSV


@pytest.fixture
def table(tmp_path: Path) -> Path:
    touch(tmp_path / "clips" / "a.mp4", tmp_path / "clips" / "b.mp4", tmp_path / "clips" / "c d.mp4")
    path = tmp_path / "clips.csv"
    path.write_text(
        'file,source,class,label,train,note\na.mp4,one,music,drum,yes,"x, y"\nb.mp4,one,animal,,no,\n'
        "c d.mp4,,music,oud,yes\n",
        "utf-8-sig",
    )
    return path


def test_a_table_gives_files_labels_and_groups(table: Path) -> None:
    found = items(table)
    assert [(item.name, item.label, item.group) for item in found] == [
        ("a.mp4", "drum", "one"),
        ("b.mp4", None, "one"),
        ("c d.mp4", "oud", None),
    ]
    assert all(Path(item.media.name).is_file() for item in found)


def test_a_table_can_be_filtered_and_read_by_other_columns(table: Path) -> None:
    assert labels(f"{table}?train=yes&label=class") == {"a.mp4": "music", "c d.mp4": "music"}
    assert names(f"{table}?train=yes&note=x%2C%20y") == ["a.mp4"]
    assert items(f"{table}?group=note")[0].group == "x, y"


def test_a_tables_files_lie_beside_it_or_where_it_says(table: Path, tmp_path: Path) -> None:
    touch(*(tmp_path / "other" / name for name in ("a.mp4", "b.mp4", "c d.mp4")))
    assert items(f"{table}?root=other")[0].media == FileMedia(tmp_path / "other" / "a.mp4")
    touch(tmp_path / "b.mp4")
    assert items(table)[0].media == FileMedia(tmp_path / "a.mp4")


def test_blanks_around_labels_and_groups_do_not_count(table: Path) -> None:
    table.write_text("file,label,group,,\na.mp4, cat ,one \nb.mp4,cat, ,\n")
    assert [(item.label, item.group) for item in items(table)] == [("cat", "one"), ("cat", None)]


def test_absolute_files_are_named_by_what_sets_them_apart(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "1" / "a.mp4", tmp_path / "x" / "2" / "a.mp4")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "t.csv").write_text(f"path\n{tmp_path}/x/1/a.mp4\n{tmp_path}/x/2/a.mp4\n")
    assert names(tmp_path / "t" / "t.csv") == ["1/a.mp4", "2/a.mp4"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("trian=yes", "no column 'trian'; did you mean 'train'"),
        ("train=ye", "no row has train=ye; did you mean 'yes'"),
        ("label=klass", "no column 'klass'; did you mean 'class'"),
        ("root=nowhere", "nowhere is not there; give another root="),
    ],
)
def test_a_table_says_what_is_wrong(table: Path, query: str, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        items(f"{table}?{query}")


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text, says in (
        ("a,b\n1,2\n", "among those found, 'a', 'b'; name the one with the file by the option 'file'"),
        ("file;label\na.mp4;x\n", "among those found, 'file;label'; .* let commas separate columns"),
        ("File\na.mp4\n", "among those found, 'File'; "),
        ("file,label,label\na.mp4,x,y\n", "t.csv: the CSV has several columns called 'label'; rename all but one"),
        ("file\n", "no row below its header"),
        ("file,x\n,1\n", "no row names a file"),
        ('file\n"a', "t.csv: cannot be read"),
        ("file\na.mp4\na.mp4\n", "a.mp4 occurs twice"),
    ):
        path.write_text(text)
        with pytest.raises(AvfeatError, match=says):
            items(path)


# Lists


def test_a_list_mixes_sources(table: Path, tmp_path: Path) -> None:
    touch(tmp_path / "more" / "cat" / "1.mp4", tmp_path / "more" / "dog" / "1.mp4", tmp_path / "deep" / "1.mp4")
    (tmp_path / "s.tar").write_bytes(shard({"1.mp4": b"x"}))
    (tmp_path / "deep" / "inner.lst").write_text("1.mp4\ngone.mp4\n")
    lines = ["clips.csv?train=no", "more", "deep/inner.lst", "", "s.tar", "synthetic:ave?videos=1", "deep/1.mp4"]
    (tmp_path / "all.txt").write_text("\r\n".join(lines))
    found = open_source(str(tmp_path / "all.txt"))
    assert found.count == 8
    assert [item.name for item in found.items] == [
        "clips.csv/b.mp4",
        "more/cat/1.mp4",
        "more/dog/1.mp4",
        "deep/inner.lst/1.mp4",
        "deep/inner.lst/gone.mp4",
        "s.tar/1.mp4",
        f"synthetic:ave/{plan(1)[0].id}",
        "deep/1.mp4",
    ]


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "1" / "a.mp4", tmp_path / "x" / "2" / "a.mp4", tmp_path / "here" / "a.mp4")
    (tmp_path / "here" / "l.txt").write_text(f"{tmp_path}/x/1/a.mp4\n../x/2/a.mp4\na.mp4\n")
    assert names(tmp_path / "here" / "l.txt") == ["1/a.mp4", "2/a.mp4", "a.mp4"]


def test_lists_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    touch(tmp_path / "a.mp4")
    for text, says in (
        ("\n \n", "the list is empty"),
        ("m.lst\n", "the list names itself"),
        ("a.mp4\na.mp4\n", "a.mp4 occurs twice"),
    ):
        path.write_text(text)
        (tmp_path / "m.lst").write_text("l.txt")
        with pytest.raises(ArgumentError, match=says):
            items(path)


# The synthetic dataset


def test_the_made_world_is_a_source() -> None:
    found = items("synthetic:ave?videos=30&seed=4&split=train")
    made = [video for video in plan(30, 4) if video.split == "train"]
    assert [item.name for item in found] == [f"synthetic:ave/{video.id}" for video in made]
    assert [item.label for item in found] == [video.category for video in made]
    assert [item.media for item in found] == [SyntheticMedia(video) for video in made]
    assert len({item.media.digest() for item in found}) == len(found)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("synthetic:eva", "no synthetic dataset is called 'eva'; there are: ave"),
        ("synthetic:ave?video=3", "no option 'video'; did you mean 'videos'"),
        ("synthetic:ave?videos=many", "videos must be a whole number"),
        ("synthetic:ave?split=tests", "did you mean 'test'"),
        ("synthetic:ave?videos=1&split=test", "ask for more videos"),
    ],
)
def test_made_worlds_that_are_none(data: str, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        items(data)


# Shards

SAMPLES = {
    "a/1.mp4": b"one",
    "a/1.cls": b"3\n",
    "a/2.json": b'{"label": "dog"}',
    "a/2.txt": b"a caption",
    "a/2.video.mkv": b"two",
    "__notes__.json": b"{}",
    "3.wav": b"three",
    "3.txt": b"cat",
    "4.mp4": b"four",
    "4.json": b"not json",
}
NAMES = ["a/1.mp4", "a/2.video.mkv", "3.wav", "4.mp4"]


def read(item: SourceItem) -> bytes:
    assert isinstance(item.media, RegionMedia | BytesMedia)
    with item.media.open() as source:
        return source.read()


def test_local_shards_are_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(shard(SAMPLES))
    found = items(tmp_path / "s.tar")
    assert [item.name for item in found] == [f"s.tar/{name}" for name in NAMES]
    assert [item.label for item in found] == ["3", "dog", "cat", None]
    assert [read(item) for item in found] == [b"one", b"two", b"three", b"four"]
    assert open_source(str(tmp_path / "s.tar")).count == 4


def test_the_same_content_has_the_same_digest_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(shard(SAMPLES))
    (tmp_path / "s.tgz").write_bytes(gzip.compress(shard(SAMPLES)))
    (tmp_path / "1.mp4").write_bytes(b"one")
    in_place, streamed = items(tmp_path / "s.tar"), items(tmp_path / "s.tgz")
    assert [type(item.media) for item in streamed] == [BytesMedia] * 4
    assert [item.media.digest() for item in in_place] == [item.media.digest() for item in streamed]
    assert [item.label for item in in_place] == [item.label for item in streamed]
    assert FileMedia(tmp_path / "1.mp4").digest() == in_place[0].media.digest()


def test_braces_and_stars_name_several_shards(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"s-00{number}.tar").write_bytes(shard({"1.mp4": b"x"}))
    every = [f"s-00{number}.tar/1.mp4" for number in range(3)]
    assert names(f"{tmp_path}/s-{{000..002}}.tar") == names(f"{tmp_path}/s-*.tar") == every
    with pytest.raises(ArgumentError, match="no shard is called that"):
        items(f"{tmp_path}/t-*.tar")
    with pytest.raises(ArgumentError, match="braces do not match"):
        items(f"{tmp_path}/s-{{000..002.tar")


def test_remote_shards_are_streamed() -> None:
    files = fsspec.filesystem("memory")
    for number in range(2):
        files.pipe(f"/data/{number}/s.tar", shard(SAMPLES))
    for data in ("memory://data/{0..1}/s.tar", "memory://data/*/s.tar"):
        assert open_source(data).count is None
        assert names(data) == [f"{number}/s.tar/{name}" for number in range(2) for name in NAMES]
    assert [read(item) for item in items("memory://data/0/s.tar")] == [b"one", b"two", b"three", b"four"]


@pytest.mark.parametrize("url", ["nonsense://a/b.tar", "dropbox://a/{0..1}.tar"])
def test_urls_that_nothing_here_can_open(url: str) -> None:
    with pytest.raises(BackendError, match="fsspec cannot open such a URL here"):
        items(url)


def test_samples_that_are_no_use_are_failures(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(shard({"1.mp4": b"x", "1.wav": b"x", "2.txt": b"x", "3.mp4": b"x"}))
    two, none, good = items(tmp_path / "s.tar")
    with pytest.raises(MediaError, match=r"several media members \(1.mp4, 1.wav\); put its streams into one file"):
        two.media.digest()
    with pytest.raises(MediaError, match="no media member"):
        none.media.digest()
    assert good.name == "s.tar/3.mp4"


def test_shards_that_break_off_or_are_not_there_are_failures(tmp_path: Path) -> None:
    whole = shard({"1.mp4": b"x" * 3000, "2.mp4": b"x" * 3000})
    (tmp_path / "cut.tar").write_bytes(whole[:5000])
    (tmp_path / "short.tar").write_bytes(whole[:4000])
    (tmp_path / "endless.tar").write_bytes(whole[: 2 * 3584])
    (tmp_path / "broken.tar").write_bytes(whole[:3584] + b"!" * 512 + whole[4096:])
    (tmp_path / "text.tar").write_bytes(b"no tar file at all" * 100)
    (tmp_path / "short.tgz").write_bytes(gzip.compress(whole)[:-30])
    for name in ("text.tar", "short.tgz", "gone.tar", "cut.tar", "short.tar", "endless.tar", "broken.tar"):
        last = items(tmp_path / name)[-1]
        assert isinstance(last.media, NoMedia) and last.name == name
        assert last.media.reason == ("not_found" if name == "gone.tar" else "unreadable")


def test_media_in_a_shard_decodes_as_the_file(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "s.tar").write_bytes(shard({"0.txt": b"", "0.mp4": b"x", "1.mp4": clip.read_bytes()}))
    media = items(tmp_path / "s.tar")[-1].media
    assert isinstance(media, RegionMedia)
    with media.open() as source:
        found = decode(source, size=32)
    expected = decode(clip, size=32)
    assert (found.frames == expected.frames).all() and (found.waveform == expected.waveform).all()


@given(
    st.lists(
        st.tuples(st.text("ab", min_size=1, max_size=2), st.sampled_from(["mp4", "cls", "json", "x.mkv"])),
        unique=True,
        max_size=12,
    )
)
def test_every_run_of_a_key_is_one_sample(tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, str]]):
    members.sort()
    data = shard({f"{key}.{suffix}": json.dumps(key).encode() for key, suffix in members})
    path = tmp_path_factory.mktemp("s") / "s.tar"
    path.write_bytes(data)
    found = items(path)
    keys = sorted({key for key, _ in members})
    assert [item.name.split("/")[1].partition(".")[0] for item in found] == keys
    for item, key in zip(found, keys, strict=True):
        media = [suffix for other, suffix in members if other == key and suffix in ("mp4", "x.mkv")]
        assert isinstance(item.media, RegionMedia) == (len(media) == 1)
