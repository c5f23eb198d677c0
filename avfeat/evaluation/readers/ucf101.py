"""UCF101 (Soomro et al. 2012): 13,320 videos of 101 actions, three official splits."""

from __future__ import annotations

import re
from pathlib import Path

from avfeat.datasets.files import (
    by_stem,
    checked_root,
    find,
    media_below,
    read_lines,
    wrong_line,
)
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.readers.held_out import held_out

_SPLITS = ("1", "2", "3")
_GROUP = re.compile(r"_g\d+(?=_c\d+$)")


def read_ucf101(root: Path) -> Dataset:
    """Read ``trainlist0N.txt`` and ``testlist0N.txt``, wherever they lie below ``root``, with the videos.

    A group is UCF101's group of a class (``v_Archery_g08``). Every fifth group of a train list chooses C; then
    all of the list is fitted.

    Raises:
        DatasetError: no list is there, or a line is not what it should be.
    """
    lists = find(checked_root(root), "trainlist01.txt", "UCF101's lists and videos").parent
    videos = by_stem(media_below(root))
    items: dict[str, LabelledItem] = {}
    parts = []
    for split in _SPLITS:
        paths = [lists / f"{part}list0{split}.txt" for part in ("train", "test")]
        if all(path.is_file() for path in paths):
            parts.append((split, [_names(path, root, videos, items) for path in paths]))
    if not parts:
        raise DatasetError(f"{lists}: has no testlist01.txt; UCF101 has trainlist0N.txt and testlist0N.txt.")
    rows = tuple(items.values())
    place = {name: index for index, name in enumerate(items)}
    folds = []
    for split, (train_names, test_names) in parts:
        train, test = tuple(place[name] for name in train_names), tuple(place[name] for name in test_names)
        folds.append(Fold(split, train, held_out(rows, train), test, refit=True))
    return Dataset("UCF101", rows, tuple(folds))


def _names(path: Path, root: Path, videos: dict[str, Path], items: dict[str, LabelledItem]) -> list[str]:
    """The videos of a list, added to ``items``; lines are ``Class/v_Class_g08_c01.avi``, then maybe a number."""
    names = []
    for number, line in read_lines(path):
        name = line.split()[0]
        label, slash, file = name.partition("/")
        if not slash or not file:
            raise wrong_line(path, number, "Class/file.avi", line)
        stem = Path(file).stem
        found = _GROUP.search(stem)
        group = stem if found is None else stem[: found.end()]
        items.setdefault(name, LabelledItem(name, videos.get(stem, root / name), label, group))
        names.append(name)
    return names
