"""UCF101 (Soomro et al. 2012): 13,320 videos of 101 actions, three official divisions into train and test."""

from __future__ import annotations

import re
from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, find, media_below, read_lines, wrong_line
from avfeat.datasets.labelled import LabelledFile, Split
from avfeat.errors import DatasetError

_FOLDS = ("1", "2", "3")
_PARTS: tuple[Split, ...] = ("train", "test")
_GROUP = re.compile(r"_g\d+(?=_c\d+$)")


def read_ucf101(root: Path) -> list[LabelledFile]:
    """Read ``trainlist0N.txt`` and ``testlist0N.txt``, wherever they lie below ``root``, with the videos.

    A group is UCF101's group of a class (``v_Archery_g08``).

    Raises:
        DatasetError: no list is there, or a line is not what it should be.
    """
    lists = find(checked_root(root), "trainlist01.txt", "UCF101's lists and videos").parent
    folds: dict[str, dict[str, Split]] = {}
    for fold in _FOLDS:
        paths = {part: lists / f"{part}list0{fold}.txt" for part in _PARTS}
        if all(path.is_file() for path in paths.values()):
            for part, path in paths.items():
                for name in _names(path):
                    folds.setdefault(name, {})[fold] = part
    if not folds:
        raise DatasetError(f"{lists}: has no testlist01.txt; UCF101 has trainlist0N.txt and testlist0N.txt.")
    videos = by_stem(media_below(root))
    return [
        LabelledFile(
            name, videos.get(Path(name).stem, root / name), name.partition("/")[0], _group(name), folds=splits
        )
        for name, splits in folds.items()
    ]


def _names(path: Path) -> list[str]:
    """The videos of a list; lines are ``Class/v_Class_g08_c01.avi``, then maybe a number."""
    names = []
    for number, line in read_lines(path):
        name = line.split()[0]
        _, slash, file = name.partition("/")
        if not slash or not file:
            raise wrong_line(path, number, "Class/file.avi", line)
        names.append(name)
    return names


def _group(name: str) -> str:
    stem = Path(name).stem
    found = _GROUP.search(stem)
    return stem if found is None else stem[: found.end()]
