"""Training and evaluation read the same files, labels, groups and splits from the same folder or table."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat.datasets import Columns
from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.readers import read_ave, read_labelled
from avfeat.training.data import open_source
from avfeat.training.data.sources.media import FileMedia


@dataclass(frozen=True)
class Found:
    """What a reader says of a file."""

    path: Path
    label: str | None
    group: str


def trained_on(data: str) -> list[Found]:
    found = []
    for item in open_source(data).items:
        assert isinstance(item.media, FileMedia)
        found.append(Found(item.media.path, item.label, item.group or item.name))
    return found


def evaluated_on(data: Path, columns: Columns | None = None) -> list[Found]:
    try:
        return [Found(item.file, item.label, item.group) for item in read_labelled(data, columns).items]
    except DatasetError as error:
        if "holds no labelled file" in str(error):
            return []
        raise


def labelled(found: list[Found]) -> list[Found]:
    return [one for one in found if one.label is not None]


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


# Tables

FILES = ["a.mp4", "b.wav", "deep/c.mkv", "./d.mp4", "gone.mp4", "notes.txt"]
FILE_COLUMNS = ("path", "video", "file", "filename")
NAMES = [*FILE_COLUMNS, "label", "class", "category", "source", "group", "train", " group", "label "]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    header = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
    number = draw(st.integers(1, len(FILES)))
    columns = []
    for name in header:
        if name in FILE_COLUMNS:
            files = draw(st.permutations(FILES))[:number]
            columns.append([file if draw(st.integers(0, 4)) else "" for file in files])
        else:
            columns.append(
                draw(st.lists(st.sampled_from(["", " ", "x", " y ", "z"]), min_size=number, max_size=number))
            )
    rows = [list(row) for row in zip(*columns, strict=True)]
    return header, [row[: draw(st.integers(len(row) - 1, len(row)))] for row in rows]


@given(
    table=tables(),
    beside=st.sets(st.sampled_from(FILES)),
    inside=st.sets(st.sampled_from(FILES)),
    label=st.sampled_from([None, "class", "category"]),
    group=st.sampled_from([None, "source", "train"]),
)
def test_a_table(
    table: tuple[list[str], list[list[str]]],
    beside: set[str],
    inside: set[str],
    label: str | None,
    group: str | None,
) -> None:
    with folder() as root:
        path = root / "clips.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([table[0], *table[1]])
        touch(*(root / name for name in beside), *(root / "clips" / name for name in inside))
        options = "&".join(f"{key}={value}" for key, value in (("label", label), ("group", group)) if value)
        try:
            expected = evaluated_on(path, Columns(label=label, group=group))
        except (ArgumentError, DatasetError) as error:
            if "no column label" in str(error):
                # All that training does without.
                return
            with pytest.raises(type(error)) as raised:
                trained_on(f"{path}?{options}" if options else str(path))
            assert str(raised.value) == str(error)
            return
        try:
            found = trained_on(f"{path}?{options}" if options else str(path))
        except DatasetError as error:
            assert "no row names a file" in str(error) and not expected
            return
        assert labelled(found) == expected


def test_columns_of_the_usual_names_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("path,source,file,group,label\na.mp4,one,b.mp4,two,cat\n")
    expected = [Found(tmp_path / "b.mp4", "cat", "two")]
    assert evaluated_on(path) == trained_on(str(path)) == expected


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("file", ["file", "path", "video", "filename"]),
        ("label", ["label", "class", "category"]),
        ("group", ["group", "source"]),
    ],
)
def test_the_first_of_the_usual_names_counts(tmp_path: Path, role: str, names: list[str]) -> None:
    path = tmp_path / "t.csv"
    others = {"file": "a.mp4", "label": "cat", "group": "one"}
    del others[role]
    for number, counts in enumerate(names):
        row = others | {name: f"by_{name}" for name in reversed(names[number:])}
        path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
        said = others | {role: f"by_{counts}"}
        expected = [Found(tmp_path / said["file"], said["label"], said["group"])]
        assert evaluated_on(path) == trained_on(str(path)) == expected


def test_where_files_lie_does_not_depend_on_the_rows_that_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,label,train\na.mp4,,no\nb.mp4,cat,yes\n")
    touch(tmp_path / "a.mp4", tmp_path / "t" / "b.mp4")
    expected = [Found(tmp_path / "b.mp4", "cat", "b.mp4")]
    assert evaluated_on(path) == labelled(trained_on(str(path))) == trained_on(f"{path}?train=yes") == expected


# Folders

PLACES = [
    "loose.mp4",
    "cat/a.mp4",
    "cat/deep/b.wav",
    "cat/.hidden.mp4",
    "dog/a.mp4",
    "dog/a.txt",
    ".d/a.mp4",
    "e/f.mkv",
]


@given(st.sets(st.sampled_from(PLACES)))
def test_a_folder(places: set[str]) -> None:
    with folder() as root:
        touch(root / "readme.md", root / "last.mp4", *(root / name for name in places))
        expected, found = evaluated_on(root), trained_on(str(root))
        if len({one.label for one in expected}) == 1:
            # Training takes a single class for none; the files are the same.
            assert labelled(found) == []
            assert {one.path for one in expected} < {one.path for one in found}
        else:
            assert labelled(found) == expected


# AVE

IDS = ["-a", "bbb", "c d", "E"]
LINES = st.lists(
    st.tuples(st.sampled_from(["Cat", "Dog, small", "A\x0bB"]), st.sampled_from(IDS), st.integers(0, 3)), max_size=6
)
SPLITS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}


def line(row: tuple[str, str, int]) -> str:
    label, id_, start = row
    return f"{label}&{id_}&good&{start}&10"


@given(
    lists=st.fixed_dictionaries(dict.fromkeys(SPLITS, LINES)),
    header=st.booleans(),
    texts=st.sampled_from([".", "data", "lists", "videos"]),
    videos=st.sets(
        st.tuples(
            st.sampled_from([".", "lists", "data"]),
            st.sampled_from(["AVE", "AVE_video", "data", "videos", ".", "elsewhere"]),
            st.sampled_from([*IDS, "unlisted"]),
            st.sampled_from([".mp4", ".mkv", ".txt"]),
        )
    ),
)
def test_ave(
    lists: dict[str, list[tuple[str, str, int]]], header: bool, texts: str, videos: set[tuple[str, str, str, str]]
) -> None:
    with folder() as root:
        (root / texts).mkdir(exist_ok=True)
        every = [line(row) for rows in lists.values() for row in rows]
        first = ["Category&VideoID&Quality&StartTime&EndTime"] if header else []
        (root / texts / "Annotations.txt").write_text("\n".join([*first, *every]))
        for split, rows in lists.items():
            (root / texts / SPLITS[split]).write_text("\n".join([*first, *map(line, rows)]) + "\n")
        touch(*(root / base / place / f"{name}{suffix}" for base, place, name, suffix in videos))
        ave = read_ave(root)
        for split, data in ((None, str(root)), *((split, f"{root}?split={split}") for split in SPLITS)):
            expected = ave.annotations if split is None else ave.rows("official")[split]
            # Training takes each video once, under the last of its labels.
            last = {row.id: row.label for row in expected}
            assert trained_on(data) == [Found(ave.videos[id_], label, f"ave/{id_}") for id_, label in last.items()]
