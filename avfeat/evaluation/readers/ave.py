"""AVE as its authors publish it (Tian et al., ECCV 2018), and folders in the same layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avfeat.errors import ArgumentError
from avfeat.evaluation.dataset import Dataset, DatasetError, Fold, Item
from avfeat.evaluation.readers.files import by_stem, checked_root, read_lines, wrong_line
from avfeat.media.source import MEDIA_SUFFIXES, is_special

Split = Literal["dedupe", "official"]
ANNOTATIONS = "Annotations.txt"
LISTS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
VIDEO_FOLDERS = ("AVE", "AVE_video", "data", "videos", ".")
SECONDS = 10
"""Length of AVE's videos, and the number of its one-second segments."""

_FORM = "Category&VideoID&Quality&StartTime&EndTime"


@dataclass(frozen=True)
class Row:
    """One annotation: the class holds from second ``start`` up to second ``end``; some have no length."""

    label: str
    id: str
    start: int
    end: int


@dataclass(frozen=True)
class Ave:
    """AVE's text files, and the videos that are there.

    Attributes:
        annotations: all rows of ``Annotations.txt``.
        splits: the rows of ``train``, ``val`` and ``test``, as their files have them.
        videos: where each annotated video is, or would be, by its identifier.
    """

    annotations: tuple[Row, ...]
    splits: dict[str, tuple[Row, ...]]
    videos: dict[str, Path]

    def rows(self, split: Split) -> dict[str, tuple[Row, ...]]:
        """The rows of each part. ``dedupe`` leaves out train rows whose video is in val or test, too."""
        if split not in ("dedupe", "official"):
            raise ArgumentError(f"The split is dedupe or official, not {split!r}.")
        if split == "official":
            return self.splits
        evaluated = {row.id for part in ("val", "test") for row in self.splits[part]}
        train = tuple(row for row in self.splits["train"] if row.id not in evaluated)
        return {**self.splits, "train": train}

    def counts(self, split: Split) -> dict[str, int]:
        """How many rows each part has, whether their videos are there or not."""
        return {part: len(rows) for part, rows in self.rows(split).items()}

    def dataset(self, split: Split) -> Dataset:
        """The rows as items, with one fold: C is chosen on val, without a refit."""
        items: list[Item] = []
        parts: dict[str, tuple[int, ...]] = {}
        for part, rows in self.rows(split).items():
            parts[part] = tuple(range(len(items), len(items) + len(rows)))
            items += [Item(row.id, self.videos[row.id], row.label, row.id, (row.start, row.end)) for row in rows]
        return Dataset("AVE", tuple(items), (Fold("", parts["train"], parts["val"], parts["test"]),))


def read_ave(root: Path) -> Ave:
    """Read a folder with AVE's four text files and videos.

    The text files lie in ``root`` or in a folder of it (``data``, ``AVE_Dataset``, ...); with or without a header
    line. The videos lie in ``AVE``, ``AVE_video``, ``data``, ``videos`` or no folder, below ``root`` or beside
    the text files.

    Raises:
        DatasetError: a text file is missing, or a line is no annotation.
    """
    folder = text_folder(checked_root(root))
    if folder is None:
        raise DatasetError(f"{root}: has no {ANNOTATIONS}; name the folder that holds AVE's text files and videos.")
    annotations = _rows(folder / ANNOTATIONS)
    splits = {part: _rows(folder / name) for part, name in LISTS.items()}
    known = set(annotations)
    for part, rows in splits.items():
        strange = next((row for row in rows if row not in known), None)
        if strange is not None:
            raise DatasetError(
                f"{folder / LISTS[part]}: names {strange.label} of {strange.id}, which {ANNOTATIONS} does not; "
                "take all text files from one copy of AVE."
            )
    found = _videos(root, folder)
    default = root / VIDEO_FOLDERS[0]
    videos = {row.id: found.get(row.id, default / f"{row.id}.mp4") for row in annotations}
    return Ave(annotations, splits, videos)


def second_labels(row: Item, background: str) -> tuple[str, ...]:
    """The label of each of the ten seconds: ``start <= t < end`` has the class, all others are background."""
    assert row.event is not None
    start, end = row.event
    return tuple(row.label if start <= second < end else background for second in range(SECONDS))


def text_folder(root: Path) -> Path | None:
    """The folder with AVE's text files: ``root`` or one in it; None if this is no copy of AVE."""
    below = sorted(path for path in root.iterdir() if path.is_dir())
    return next((folder for folder in (root, *below) if (folder / ANNOTATIONS).is_file()), None)


def _rows(path: Path) -> tuple[Row, ...]:
    if not path.is_file():
        raise DatasetError(f"{path}: is missing; AVE has {ANNOTATIONS}, {', '.join(LISTS.values())}.")
    lines = read_lines(path)
    if lines and lines[0][1].split("&")[0] == "Category":
        lines = lines[1:]
    return tuple(_row(path, number, line) for number, line in lines)


def _row(path: Path, number: int, line: str) -> Row:
    fields = line.split("&")
    if len(fields) != 5 or not (fields[3].strip().isdecimal() and fields[4].strip().isdecimal()):
        raise wrong_line(path, number, _FORM, line)
    return Row(fields[0], fields[1], int(fields[3]), int(fields[4]))


def _videos(root: Path, folder: Path) -> dict[str, Path]:
    places = dict.fromkeys(base / name for base in (root, folder) for name in VIDEO_FOLDERS)
    return by_stem(path for place in places for path in _media_in(place))


def _media_in(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in MEDIA_SUFFIXES)
    return [path for path in found if not path.is_dir() and not is_special(path)]
