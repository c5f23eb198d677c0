"""HMDB51 (Kuehne et al. 2011): 6,766 videos of 51 actions, three official divisions into train and test."""

from __future__ import annotations

import re
from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, media_below, read_lines, walk, wrong_line
from avfeat.datasets.labelled import LabelledFile, Split
from avfeat.errors import DatasetError

_LIST = re.compile(r"(?P<label>.+)_test_split(?P<fold>[123])\.txt")
_PARTS: dict[str, Split] = {"1": "train", "2": "test"}


def read_hmdb51(root: Path) -> list[LabelledFile]:
    """Read the files ``CLASS_test_splitN.txt``, wherever they lie below ``root``, with the videos.

    Their lines are ``file.avi 1`` (train), ``2`` (test) or ``0`` (in neither). A group is what precedes the class
    in a file's name: the film or the uploader.

    Raises:
        DatasetError: no list is there, or a line is not what it should be.
    """
    found = list(walk(checked_root(root)))
    lists = [(path, match) for path in found if (match := _LIST.fullmatch(path.name))]
    if not lists:
        raise DatasetError(f"{root}: has no CLASS_test_splitN.txt; name the folder that holds lists and videos.")
    folds: dict[tuple[str, str], dict[str, Split]] = {}
    for path, match in lists:
        for name, part in _rows(path):
            folds.setdefault((match["label"], name), {})[match["fold"]] = part
    videos = by_stem(media_below(root))
    return [_file(root, videos, label, name, splits) for (label, name), splits in folds.items()]


def _rows(path: Path) -> list[tuple[str, Split]]:
    """The videos of a list that are in train or test."""
    rows = []
    for number, line in read_lines(path):
        name, _, part = line.strip().rpartition(" ")
        if part not in ("0", *_PARTS) or not name.strip():
            raise wrong_line(path, number, "file.avi 0|1|2", line)
        if part in _PARTS:
            rows.append((name.strip(), _PARTS[part]))
    return rows


def _file(root: Path, videos: dict[str, Path], label: str, name: str, splits: dict[str, Split]) -> LabelledFile:
    stem = Path(name).stem
    group, between, _ = stem.partition(f"_{label}_")
    # The videos of a class lie in its folder; names are unique across classes, but for the copies of some releases.
    path = root / label / name
    found = path if path.is_file() else videos.get(stem, path)
    return LabelledFile(f"{label}/{name}", found, label, group if between else stem, folds=splits)
